"""The changelog in ZooKeeper: shared by all schedulers of a cluster, written by the one that holds the epoch.

>>> changelog = ZooKeeperChangelog(client, Layout("/thesan/east"), data_dir, "east")
>>> await changelog.open()
>>> apply = changelog.load(begin)               # the local checkpoint; `begin` makes a fresh state and its apply
>>> await changelog.follow(apply)               # a standby, again and again
>>> epoch = await changelog.claim(candidate)    # elected: from here on nobody else can write
>>> await changelog.follow(apply)               # exactly to the head
>>> await changelog.append(Entry(changelog.offset + 1, epoch, uuid, now_ms, ops))
>>> await changelog.close()

The layout, the protocol, and what each failure does are in docs/zookeeper.md.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from uuid import uuid4

from scheduler.changelog.base import read_base
from scheduler.changelog.checkpoint import Checkpoint, End
from scheduler.changelog.checkpoint_missing import CheckpointIsBack, Missing
from scheduler.changelog.errors import Damaged, FormatTooNew, Unreadable
from scheduler.changelog.load import LoadResult, apply_all
from scheduler.changelog.store import Pointer
from scheduler.changelog.zookeeper_begin import begin_log
from scheduler.changelog.zookeeper_catch_up import CatchUp
from scheduler.changelog.zookeeper_commit import Committer
from scheduler.changelog.zookeeper_gone import LogIsGone, epoch_is_gone, log_is_gone
from scheduler.changelog.zookeeper_keeper import SnapshotKeeper
from scheduler.changelog.zookeeper_layout import Head, Layout
from scheduler.changelog.zookeeper_parts import sweep_parts
from scheduler.changelog.zookeeper_reading import Position, departs, frames, read_head
from scheduler.changelog.zookeeper_snapshot import fetch_of, room
from scheduler.contracts import Entry, Fenced, Unavailable
from scheduler.core.ops import FORMAT_LEVEL, Op
from scheduler.failpoints import failpoint
from scheduler.zk.client import Client
from scheduler.zk.clock import boot_ms
from scheduler.zk.epoch import Claim, claim
from scheduler.zk.errors import NoNode, Refusal, Superseded, UnreadableEpoch, ZkError

__all__ = ["LogIsGone", "ZooKeeperChangelog"]

_SLICE_MS: Final = 10
"""Then others on the loop have their turn."""

_log = logging.getLogger("thesan")

Apply = Callable[[Op], None]


class ZooKeeperChangelog:
    """Implements `contracts.Changelog`. When the session has ended: `attach` as a standby, after leading begin anew."""

    def __init__(self, client: Client, layout: Layout, data_dir: Path | None = None, cluster: str = "local") -> None:
        """`layout`: where the log is. Without `data_dir` there is no checkpoint. Raises DataDirRefused."""
        self._client = client
        self._layout = layout
        self._data_dir = data_dir
        self._cluster = cluster
        self.checkpoint: Checkpoint | None = None
        self.missing: Missing | None = None
        """There while the disk takes no checkpoint: everything is as without `data_dir` then."""
        self._catch_up: CatchUp | None = None
        if data_dir is not None:
            try:
                self.checkpoint = Checkpoint(data_dir, cluster)
                self._catch_up = CatchUp(self.checkpoint, self._missed)
            except Unavailable as wrong:
                self._go_without(wrong)
        self.loaded: LoadResult | None = None
        """What the checkpoint held at the start, after `load`."""
        self._arrived: Pointer | None = None
        """The snapshot that was fetched as a base, and where it is when there is no checkpoint."""
        self._arrived_in: TemporaryDirectory[str] | None = None
        self._position: Position | None = None
        self._claim: Claim | None = None
        self._committer: Committer | None = None
        self.head_offset = 0
        """Of the last committed entry, as far as is known; `head_offset - offset` is how far we are behind."""
        self.as_of_ms = 0
        """What was committed before then has been read. Milliseconds of CLOCK_BOOTTIME."""
        self.on_quorum_write: Callable[[int], None] = lambda sent_ms: None
        """Told of each claim and commit when it had been sent (same clock): that renews the lease."""

        self.level = FORMAT_LEVEL
        """The highest format level that is read; lower only in tests of schedulers that are older than this."""
        self.on_entry: Callable[[Entry], None] = lambda entry: None
        """Told of each entry that was read, once its ops were applied; not of those folded into the base."""

    # --- where we stand ---

    @property
    def offset(self) -> int:
        """Of the last entry that was read or committed."""
        return self._here.offset

    @property
    def timestamp_ms(self) -> int:
        """When that entry was committed, by the wall's clock of its leader; 0 before the first."""
        return self._here.timestamp_ms

    @property
    def lineage(self) -> str:
        """Names this history, in 32 hexadecimal digits."""
        return self._here.lineage.hex()

    @property
    def held(self) -> Claim:
        """The epoch that was claimed."""
        if self._claim is None:
            raise RuntimeError("no epoch was claimed")
        return self._claim

    @property
    def is_settled(self) -> bool:
        """No commit waits for `settle`."""
        return self._committer is None or self._committer.is_settled

    @property
    def _here(self) -> Position:
        if self._position is None:
            raise RuntimeError("the changelog was not opened")
        return self._position

    # --- reading ---

    async def open(self) -> None:
        """Find the log, or begin one where there is none, and look whether the checkpoint continues into it.

        Without a checkpoint that does, the snapshot is fetched, if there is one.
        Raises LogIsGone, Unreadable, Unavailable when no disk takes the snapshot, ZkError; after the last two it may be
        called again.
        """
        await self._client.ensure(self._layout.root)
        await self._client.sync(self._layout.root)
        try:
            head, _ = await read_head(self._client, self._layout)
        except NoNode:
            head = await begin_log(self._client, self._layout, self._read_before)
        self._position = Position(head.lineage, level=self.level)
        self.head_offset = head.next - 1
        if self.checkpoint is not None:
            try:
                await self._continue(head, self.checkpoint)
            except Unavailable as wrong:
                self._go_without(wrong)
        if self.checkpoint is None:
            self._forget_arrived()
            self._arrived_in = room()
            self._arrived = await fetch_of(self._client, self._layout, head, Path(self._arrived_in.name))

    async def _continue(self, head: Head, checkpoint: Checkpoint) -> None:
        """See to it that the checkpoint is the beginning of this log. Raises Unavailable when its disk refuses."""
        if checkpoint.end is not None:
            why = await departs(self._client, self._layout, head, checkpoint.end)
            if why is not None:
                checkpoint.set_aside(why)
        if checkpoint.end is None:
            self._arrived = await fetch_of(self._client, self._layout, head, checkpoint.make_room())
            if self._arrived is not None:
                checkpoint.adopt(head.lineage, self._arrived)

    def _read_before(self) -> End | None:
        """How much of a log this scheduler has read. Raises Unavailable when that cannot be seen."""
        if self.missing is not None:
            self.missing.check_nothing_is_there()
        return None if self.checkpoint is None else self.checkpoint.end

    def _go_without(self, wrong: Unavailable) -> None:
        assert self._data_dir is not None
        if self.checkpoint is not None:
            self.checkpoint.give_up()
        self.checkpoint, self._catch_up, self._arrived = None, None, None
        self.missing = Missing(self._data_dir, self._cluster, wrong)

    def load(self, begin: Callable[[], Apply]) -> Apply:
        """Read the checkpoint back, once, and blocking. Then `follow`.

        `begin` makes a fresh state and returns how to apply an op to it; what it returned last counts, and is returned.
        """
        if self.checkpoint is not None:
            try:
                return self._load_checkpoint(self.checkpoint, begin)
            except Unavailable as wrong:
                self._go_without(wrong)
        apply = begin()
        self._load_arrived(apply)
        return apply

    def _load_checkpoint(self, checkpoint: Checkpoint, begin: Callable[[], Apply]) -> Apply:
        """Raises Unavailable when there is nothing to be read yet, and the disk does not take a new one."""
        apply, here = begin(), self._here
        try:
            loaded = checkpoint.load(here.lineage, apply, here.configs, self.on_entry)
        except FormatTooNew:
            raise  # nothing is wrong with it but our age
        except Unreadable as wrong:
            if self._arrived is not None:
                raise  # not our copy is damaged, but what it was made from
            checkpoint.set_aside(str(wrong))
            apply = begin()
            loaded = checkpoint.load(here.lineage, apply, here.configs, self.on_entry)
        here.stands_at(loaded)
        self.loaded = loaded
        return apply

    def _load_arrived(self, apply: Apply) -> None:
        if self._arrived is not None and self._arrived_in is not None:
            here, base = self._here, self._arrived
            for ops in read_base(Path(self._arrived_in.name), base, here.lineage, here.configs, level=self.level):
                apply_all(ops, apply, base.covered)
            here.stands_behind(base)
        self._forget_arrived()

    def _forget_arrived(self) -> None:
        if self._arrived_in is not None:
            self._arrived_in.cleanup()
            self._arrived_in = None

    def attach(self, client: Client) -> None:
        """Go on with a new session, as a standby: what was read is kept. A leader begins anew instead."""
        if self._claim is not None:
            raise RuntimeError("a scheduler that led begins anew when its session has ended")
        self._client = client

    async def follow(self, apply: Apply, upto: int | None = None, *, watch: Callable[[], None] | None = None) -> int:
        """Give `apply` what was committed since, up to the head or to `upto`; returns how many entries that were.

        `watch` is called once when the head has moved again, or when the connection broke. After `claim` nobody can
        add to what this reads, and entries can be appended once it has returned.
        Raises Truncated, CheckpointIsBack, Damaged with the offset, FormatTooNew, LogIsGone, ZkError; after the last it
        may be called again.
        """
        if self._claim is None:
            self._look_at_disk()
        here, asked_ms = self._here, boot_ms()
        await self._client.sync(self._layout.head)
        try:
            head, version = await read_head(self._client, self._layout, watch)
        except NoNode:
            raise log_is_gone(self._layout, here.offset, here.lineage) from None
        if head.lineage != here.lineage:
            raise Damaged(None, f"the log in ZooKeeper is now that of the history {head.lineage.hex()}")
        if head.next <= here.offset:
            raise Damaged(head.next, f"the log in ZooKeeper ends before it, and entry {here.offset} was read once")
        self.head_offset = head.next - 1
        begun, last = here.offset, self.head_offset if upto is None else min(upto, self.head_offset)
        await self._read(apply, last)
        if here.offset == self.head_offset:
            if here.checksum != head.checksum:
                raise Damaged(here.offset, "it is not the entry that the head of the log names")
            self.as_of_ms = asked_ms
            self._may_append(version)
        return here.offset - begun

    def _look_at_disk(self) -> None:
        if self._catch_up is not None:
            self._catch_up.check()
        base_bytes = 0 if self._arrived is None else self._arrived.size_bytes
        if self.missing is not None and self.missing.is_back(base_bytes):
            raise CheckpointIsBack

    async def _read(self, apply: Apply, last: int) -> None:
        here, slice_ms = self._here, boot_ms()
        read: list[tuple[int, bytes]] = []
        try:
            async for frame in frames(self._client, self._layout, here.offset + 1, last):
                entry, checksum = here.read(frame)
                failpoint("follow-before-apply")
                apply_all(entry.ops, apply, entry.offset)
                here.move(entry, checksum)
                failpoint("follow-after-apply")
                self.on_entry(entry)
                read.append((entry.offset, frame))
                if boot_ms() - slice_ms >= _SLICE_MS:
                    self._keep(read)
                    await asyncio.sleep(0)
                    slice_ms = boot_ms()
        finally:
            self._keep(read)

    def _keep(self, read: list[tuple[int, bytes]]) -> None:
        if self.checkpoint is not None:
            self.checkpoint.add(read)
        read.clear()

    async def _missed(self, after: int, most: int) -> list[tuple[int, bytes]]:
        """Frames that were read or committed here, and are no longer in memory."""
        last = min(after + most, self._here.offset)
        found = [frame async for frame in frames(self._client, self._layout, after + 1, last)]
        return list(enumerate(found, after + 1))

    # --- leading ---

    async def claim(self, candidate: str | None = None, *, within_s: float = 5.0) -> int:
        """Begin the next epoch; returns its number. Then `follow` to the head, before the first append.

        Raises Fenced when somebody else did, or when the candidate's node is gone; Unavailable when ZooKeeper cannot
        be reached in time, or refuses it; LogIsGone when the node of the epoch is gone or holds something else.
        """
        sent_ms = boot_ms()
        holder = uuid4().hex
        try:
            held = await claim(self._client, self._layout.epoch, holder, candidate=candidate, within_s=within_s)
        except Superseded as over:
            raise Fenced(str(over)) from None
        except UnreadableEpoch as wrong:
            raise epoch_is_gone(self._here.epoch, str(wrong)) from None
        except (ZkError, Refusal) as error:
            raise Unavailable(f"the epoch could not be claimed: {error}") from error
        self._claim, self._committer = held, None
        self._passed(sent_ms)
        return held.number

    def _may_append(self, head_version: int) -> None:
        if self._claim is None or self._committer is not None:
            return
        self._committer = Committer(
            self._client,
            self._layout,
            self._claim,
            self._here,
            head_version,
            committed=self._committed,
            on_quorum_write=self._passed,
        )

    def _passed(self, sent_ms: int) -> None:
        self.on_quorum_write(sent_ms)

    def _committed(self, offset: int, frame: bytes) -> None:
        self.head_offset = offset
        self._keep([(offset, frame)])

    def _leading(self) -> Committer:
        if self._committer is None:
            raise Unavailable("nothing was written: the log was not claimed, and read to its end")
        return self._committer

    async def append(self, entry: Entry) -> None:
        """Returns when the entry is durable. One at a time, offsets without gaps.

        Raises Fenced when the epoch is over: the entry was not written, nor ever will be. Unavailable when surely
        nothing was written: the same entry may be given again. OutcomeUnknown when the connection broke: `settle`.
        Unencodable (an Unavailable) for an op that does not fit the storage format, ValueError for an entry that cannot
        be the next, Damaged when somebody else wrote to the log although the epoch holds.
        """
        await self._leading().append(entry)

    async def settle(self) -> None:
        """Returns when the entry that may have been committed is durable: it was, or is now. Nothing without one.

        Raises Fenced when it was not written and the epoch is over. OutcomeUnknown when ZooKeeper cannot be asked: ask
        again; or when it was committed and the epoch is over: `append` stays closed.
        """
        await self._leading().settle()

    async def append_through(self, entry: Entry) -> None:
        """`append`, and if the connection breaks: wait until it is back in the same session, settle, and go on.

        Raises what `append` and `settle` raise when that is the last word: Fenced, or OutcomeUnknown, or Unavailable
        when the session ended before anything was sent.
        """
        await self._leading().append_through(entry)

    async def sweep_parts(self) -> int:
        """Remove what dead leaders wrote and never committed; returns how many entries. At any time while leading.

        Raises Fenced, ZkError.
        """
        try:
            return await sweep_parts(self._client, self._layout, self.held)
        except Superseded as over:
            raise Fenced(str(over)) from None

    def snapshots(self) -> SnapshotKeeper:
        """What makes snapshots and cuts the log behind them, for as long as we lead."""
        return SnapshotKeeper(self._client, self._layout, self.held, self._here.lineage, self.checkpoint)

    async def close(self) -> None:
        """Close the checkpoint. The client is the caller's."""
        self._forget_arrived()
        if self._catch_up is not None:
            await self._catch_up.stop()
        if self.checkpoint is not None:
            await self.checkpoint.close()
