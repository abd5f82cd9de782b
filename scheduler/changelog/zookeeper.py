"""The changelog in ZooKeeper: shared by all schedulers of a cluster, written by the one that holds the epoch.

A commit is one multi: check the epoch, move the head, make the log node. Either all of it happens or nothing, and only
for the holder of the newest epoch. The protocol, and what each failure does, are in docs/zookeeper.md.

>>> changelog = ZooKeeperChangelog(client, "/thesan/east", data_dir, "east")
>>> await changelog.open()
>>> changelog.load(begin)                            # the local checkpoint
>>> await changelog.follow(apply)                    # a standby, as often as it likes
>>> epoch = await changelog.claim(candidate)         # elected: from here on nobody else can write
>>> await changelog.follow(apply)                    # exactly to the head
>>> await changelog.append(Entry(changelog.offset + 1, epoch, uuid, now_ms, ops))
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

from attrs import frozen

from scheduler.changelog.codec import encode
from scheduler.changelog.errors import Damaged
from scheduler.changelog.frame import read_header
from scheduler.changelog.zookeeper_layout import ENTRY_BYTES, Head, Layout
from scheduler.changelog.zookeeper_parts import write_parts
from scheduler.changelog.zookeeper_reading import Position, frames, read_head
from scheduler.contracts import Entry, Fenced, OutcomeUnknown, Unavailable
from scheduler.core.ops import Op
from scheduler.zk.client import Client
from scheduler.zk.clock import boot_ms
from scheduler.zk.epoch import Claim, claim, epoch_bytes
from scheduler.zk.errors import BadVersion, MultiRefused, NoNode, NotSent, Superseded, Unanswered, ZkError
from scheduler.zk.ops import Op as ZkOp, create, set_data

__all__ = ["ZooKeeperChangelog"]


@frozen
class _Pending:
    """An entry on its way: everything that is needed to send the very same multi again."""

    entry: Entry
    checksum: bytes
    frame: bytes
    ops: tuple[ZkOp, ...]


class ZooKeeperChangelog:
    """Implements `contracts.Changelog`. One per session; begin anew with a new client when that has ended."""

    def __init__(self, client: Client, root: str) -> None:
        self._client = client
        self._layout = Layout(root)
        self._position: Position | None = None
        self._claim: Claim | None = None
        self._head_version: int | None = None
        """Of the head, once it is ours to move: claimed, and followed to its end."""
        self._pending: _Pending | None = None
        self.on_quorum_write: Callable[[int], None] = lambda sent_ms: None
        """Told when a write that passed the quorum had been sent, in milliseconds of CLOCK_BOOTTIME: renews a lease."""

    # --- where we stand ---

    @property
    def offset(self) -> int:
        """Of the last entry that was read or committed."""
        return self._here.offset

    @property
    def lineage(self) -> str:
        """Names this history, in 32 hexadecimal digits."""
        return self._here.lineage.hex()

    @property
    def _here(self) -> Position:
        if self._position is None:
            raise RuntimeError("the changelog was not opened")
        return self._position

    # --- reading ---

    async def open(self) -> None:
        """Find the log, or begin one where there is none. Raises Unreadable, ZkError."""
        layout = self._layout
        try:
            await self._client.sync(layout.root)
            head, _ = await read_head(self._client, layout)
        except NoNode:
            head = await self._begin_log()
        self._position = Position(head.lineage)

    async def _begin_log(self) -> Head:
        layout, head = self._layout, Head.of_new_log(uuid4().bytes)
        await self._client.ensure(layout.root)
        try:
            await self._client.multi(
                [
                    create(layout.epoch, epoch_bytes(0, "")),
                    create(layout.head, head.to_bytes()),
                    create(layout.log),
                    create(layout.folder(0)),
                    create(layout.all_parts),
                ]
            )
        except MultiRefused:  # somebody else began it
            head, _ = await read_head(self._client, layout)
        return head

    async def follow(self, apply: Callable[[Op], None], upto: int | None = None) -> int:
        """Give `apply` what was committed since, up to the head or to `upto`; returns how many entries that were.

        After `claim`, nobody can add to what this reads, and entries can be appended once it returns.
        Raises Truncated, Damaged with the offset, FormatTooNew, ZkError; it may be called again after the last.
        """
        here = self._here
        await self._client.sync(self._layout.head)
        head, version = await read_head(self._client, self._layout)
        if head.lineage != here.lineage:
            raise Damaged(None, f"the log in ZooKeeper is now that of the history {head.lineage.hex()}")
        first, last = here.offset + 1, head.next - 1 if upto is None else min(upto, head.next - 1)
        async for frame in frames(self._client, self._layout, first, last):
            entry, checksum = here.read(frame)
            for op in entry.ops:
                _apply(apply, op, entry.offset)
            here.move(entry, checksum)
        if here.offset == head.next - 1 and here.checksum != head.checksum:
            raise Damaged(here.offset, "it is not the entry that the head of the log names")
        if self._claim is not None and here.offset == head.next - 1:
            self._head_version = version
        return max(0, last - first + 1)

    # --- leading ---

    async def claim(self, candidate: str | None = None, *, within_s: float = 5.0) -> int:
        """Begin the next epoch; returns its number. `follow` to the head before the first append.

        Raises Fenced when somebody else did, or when the candidate's node is gone; Unavailable when ZooKeeper cannot
        be reached in time.
        """
        sent_ms = boot_ms()
        try:
            self._claim = await claim(
                self._client, self._layout.epoch, uuid4().hex, candidate=candidate, within_s=within_s
            )
        except Superseded as over:
            raise Fenced(str(over)) from None
        except ZkError as error:
            raise Unavailable(f"the epoch could not be claimed: {error}") from error
        self._head_version = None
        self.on_quorum_write(sent_ms)
        return self._claim.number

    async def append(self, entry: Entry) -> None:
        """Returns when the entry is durable. One at a time, offsets without gaps.

        Raises Fenced when the epoch is over: the entry was surely not written, nor ever will be. Unavailable when
        surely nothing was written: the same entry may be given again. OutcomeUnknown when the connection broke: call
        `settle` when it is back. Unencodable (an Unavailable), ValueError for an entry that cannot be the next.
        """
        if self._pending is not None:
            raise OutcomeUnknown(f"entry {self._pending.entry.offset} is not settled yet")
        self._pending = await self._prepare(entry)
        await self._commit(self._pending)

    async def _prepare(self, entry: Entry) -> _Pending:
        here, held = self._here, self._claim
        if held is None or self._head_version is None:
            raise Unavailable("this scheduler has not claimed the log and read it to its end")
        if entry.offset != here.offset + 1:
            raise ValueError(f"entry {entry.offset} cannot follow entry {here.offset}")
        if entry.epoch != held.number:
            raise Fenced(f"epoch {entry.epoch} is not the one that was claimed: {held.number}")
        frame, checksum = encode(entry, lineage=here.lineage, previous=here.checksum, configs=here.configs)
        told = frame
        if len(frame) > ENTRY_BYTES:
            try:
                manifest = await write_parts(self._client, self._layout, read_header(frame), frame, checksum)
            except ZkError as error:  # parts mean nothing until they are committed
                raise Unavailable(f"entry {entry.offset} could not be sent: {error}") from error
            told = manifest.to_bytes()
        layout, head = self._layout, Head(entry.offset + 1, checksum, here.lineage)
        folder = [create(layout.folder(entry.offset))] if layout.opens_folder(entry.offset) else []
        ops = (
            held.fence(),
            set_data(layout.head, head.to_bytes(), self._head_version),
            *folder,
            create(layout.entry(entry.offset), told),
        )
        return _Pending(entry, checksum, frame, ops)

    async def _commit(self, pending: _Pending) -> None:
        offset, sent_ms = pending.entry.offset, boot_ms()
        try:
            await self._client.multi(pending.ops)
        except NotSent as error:
            self._pending = None
            raise Unavailable(f"entry {offset} was not sent: {error}") from error
        except Unanswered as error:
            raise OutcomeUnknown(f"entry {offset} may have been committed: {error}") from error
        except MultiRefused as refused:
            self._pending = None
            raise self._explain(refused, pending) from refused
        self._committed(pending, sent_ms)

    def _committed(self, pending: _Pending, sent_ms: int) -> None:
        assert self._head_version is not None
        self._pending = None
        self._head_version += 1
        self._here.move(pending.entry, pending.checksum)
        self.on_quorum_write(sent_ms)

    def _explain(self, refused: MultiRefused, pending: _Pending) -> Exception:
        offset = pending.entry.offset
        if refused.index == 0 and isinstance(refused.error, (BadVersion, NoNode)):
            return Fenced(f"entry {offset} was refused: epoch {pending.entry.epoch} is over")
        if isinstance(refused.error, (BadVersion, NoNode)) or refused.index > 0:
            return Damaged(offset, f"ZooKeeper refused it although the epoch holds: {refused.error!r}")
        return Unavailable(f"entry {offset} was refused: {refused.error!r}")


def _apply(apply: Callable[[Op], None], op: Op, offset: int) -> None:
    try:
        apply(op)
    except Exception as error:
        raise Damaged(offset, f"{type(op).__name__} does not fit the state before it ({error!r})") from error
