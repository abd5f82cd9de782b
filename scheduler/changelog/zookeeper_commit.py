"""Committing to the log in ZooKeeper, and finding out what became of a commit that was not answered.

A commit is one multi: check the epoch, set the head from its expected version, create the log node. When the
connection breaks before the answer, the entry is *pending*: it was committed if its uuid stands at its offset, and if
not, the identical multi is sent again. The version of the head lets only one of the two happen, however late the first
arrives. So an entry that may have been sent is never replaced by another at the same offset.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from scheduler.changelog.codec import encode
from scheduler.changelog.errors import Damaged
from scheduler.changelog.frame import read_header
from scheduler.changelog.zookeeper_layout import Head, Layout, Manifest
from scheduler.changelog.zookeeper_parts import write_parts
from scheduler.changelog.zookeeper_reading import Position, read_head
from scheduler.contracts import Entry, Fenced, OutcomeUnknown, Unavailable
from scheduler.failpoints import failpoint
from scheduler.zk.client import Client
from scheduler.zk.clock import boot_ms
from scheduler.zk.epoch import Claim, prove
from scheduler.zk.errors import BadVersion, MultiRefused, NoNode, NotSent, Refusal, Superseded, TooLarge, ZkError
from scheduler.zk.ops import Op, create, set_data

__all__ = ["Committer"]


@frozen
class _Pending:
    """An entry on its way: everything that is needed to send the very same multi again."""

    entry: Entry
    frame: bytes
    checksum: bytes
    ops: tuple[Op, ...]


class Committer:
    """Writes for one epoch, from the moment the log was read to its end."""

    def __init__(
        self,
        client: Client,
        layout: Layout,
        held: Claim,
        here: Position,
        head_version: int,
        *,
        committed: Callable[[int, bytes], None],
        on_quorum_write: Callable[[int], None],
    ) -> None:
        """`committed` is told offset and frame of each entry; `on_quorum_write` when a write that passed was sent."""
        self._client = client
        self._layout = layout
        self.held = held
        self._here = here
        self._head_version = head_version
        self._told = committed
        self._on_quorum_write = on_quorum_write
        self._pending: _Pending | None = None

    @property
    def is_settled(self) -> bool:
        """Nothing is on its way."""
        return self._pending is None

    # --- committing ---

    async def append(self, entry: Entry) -> None:
        """See `ZooKeeperChangelog.append`."""
        if self._pending is not None:
            raise OutcomeUnknown(f"entry {self._pending.entry.offset} is not settled yet")
        prepared = self._pending = await self._prepare(entry)
        failpoint("before-append")
        try:
            await self._send(prepared)
        except NotSent as error:
            self._pending = None
            raise Unavailable(f"entry {entry.offset} was not sent: {error}") from error
        except ZkError as error:
            raise OutcomeUnknown(f"entry {entry.offset} may have been committed: {error}") from error
        except MultiRefused as refused:
            self._pending = None
            raise _explain(refused, entry) from refused

    async def _prepare(self, entry: Entry) -> _Pending:
        here, held, layout = self._here, self.held, self._layout
        if entry.offset != here.offset + 1:
            raise ValueError(f"entry {entry.offset} cannot follow entry {here.offset}")
        if entry.epoch != held.number:
            raise Fenced(f"epoch {entry.epoch} is not the one that was claimed: that is {held.number}")
        frame, checksum = encode(entry, lineage=here.lineage, previous=here.checksum, configs=here.configs)
        data = frame
        if len(frame) > layout.entry_bytes:
            try:
                manifest = await write_parts(self._client, layout, read_header(frame), frame, checksum)
            except ZkError as error:  # parts mean nothing until they are committed
                raise Unavailable(f"the parts of entry {entry.offset} were not written: {error}") from error
            except NoNode:  # while we wrote, somebody swept them
                raise Fenced(f"the parts of entry {entry.offset} were removed: epoch {held.number} is over") from None
            except Refusal as refused:
                raise Unavailable(f"the parts of entry {entry.offset} were not written: {refused}") from refused
            data = manifest.to_bytes()
        head = Head(entry.offset + 1, checksum, here.lineage)
        folder = [create(layout.folder(entry.offset))] if layout.opens_folder(entry.offset) else []
        ops = (
            held.fence(),
            set_data(layout.head, head.to_bytes(), self._head_version),
            *folder,
            create(layout.entry(entry.offset), data),
        )
        return _Pending(entry, frame, checksum, ops)

    async def _send(self, pending: _Pending) -> None:
        sent_ms = boot_ms()
        await self._client.multi(pending.ops)
        failpoint("after-append")
        self._committed(pending, sent_ms)

    def _committed(self, pending: _Pending, sent_ms: int | None) -> None:
        self._pending = None
        self._head_version += 1
        self._here.move(pending.entry, pending.checksum)
        if sent_ms is not None:
            self._on_quorum_write(sent_ms)
        self._told(pending.entry.offset, pending.frame)

    # --- settling ---

    async def settle(self) -> None:
        """See `ZooKeeperChangelog.settle`."""
        pending = self._pending
        if pending is None:
            return
        offset = pending.entry.offset
        try:
            sent_ms = boot_ms()
            await self._client.sync(self._layout.head)
            await prove(self._client, self.held)
            if await self._is_in_log(pending):
                self._committed(pending, sent_ms)
            else:
                await self._send(pending)
        except Superseded:
            raise await self._after_the_end(pending) from None
        except MultiRefused as refused:
            await self._refused_again(refused, pending)
        except (ZkError, Refusal) as error:
            raise OutcomeUnknown(f"entry {offset} may have been committed: {error}") from error

    async def _refused_again(self, refused: MultiRefused, pending: _Pending) -> None:
        """The second multi was refused: because the first one arrived in between, or because the epoch is over."""
        if _is_fenced(refused):
            raise await self._after_the_end(pending)
        try:
            arrived = await self._is_in_log(pending)
        except (ZkError, Refusal) as error:
            raise OutcomeUnknown(f"entry {pending.entry.offset} may have been committed: {error}") from error
        if not arrived:
            self._pending = None
            raise _explain(refused, pending.entry)
        self._committed(pending, None)

    async def _after_the_end(self, pending: _Pending) -> Fenced | OutcomeUnknown:
        """The epoch is over, so nothing of ours can arrive any more: what stands in the log is the truth."""
        offset = pending.entry.offset
        try:
            if await self._is_in_log(pending):
                return OutcomeUnknown(f"entry {offset} was committed before epoch {self.held.number} ended")
            head, _ = await read_head(self._client, self._layout)
            missing = await self._client.exists(self._layout.entry(offset)) is None
        except (ZkError, Refusal) as error:
            return OutcomeUnknown(f"epoch {self.held.number} is over, and entry {offset} cannot be looked for: {error}")
        if missing and head.next > offset:
            return OutcomeUnknown(f"epoch {self.held.number} is over, and entry {offset} was cut off the log since")
        self._pending = None
        return Fenced(f"entry {offset} was not written: epoch {self.held.number} is over")

    async def _is_in_log(self, pending: _Pending) -> bool:
        """Does its uuid stand at its offset?"""
        offset = pending.entry.offset
        try:
            data, _ = await self._client.get(self._layout.entry(offset))
        except NoNode:
            return False
        manifest = Manifest.from_bytes(data, offset)
        return pending.entry.uuid == (read_header(data, offset).uuid if manifest is None else manifest.uuid)

    # --- both ---

    async def append_through(self, entry: Entry) -> None:
        """See `ZooKeeperChangelog.append_through`."""
        while True:
            try:
                if self._pending is None:
                    return await self.append(entry)
                return await self.settle()
            except (Unavailable, OutcomeUnknown) as failure:
                cause = failure.__cause__
                if not isinstance(cause, ZkError) or isinstance(cause, TooLarge):
                    raise
                try:
                    await self._client.connected()
                except ZkError:
                    raise failure from None


def _is_fenced(refused: MultiRefused) -> bool:
    return refused.index == 0 and isinstance(refused.error, (BadVersion, NoNode))


def _explain(refused: MultiRefused, entry: Entry) -> Exception:
    if _is_fenced(refused):
        return Fenced(f"entry {entry.offset} was refused: epoch {entry.epoch} is over")
    if refused.index > 0:
        return Damaged(entry.offset, f"ZooKeeper refused it although the epoch holds: {refused}")
    return Unavailable(f"entry {entry.offset} was refused: {refused}")
