"""Reading the log in ZooKeeper: frames in order, each held against the one before it."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable

from attrs import define, field

from scheduler.changelog.checkpoint import End
from scheduler.changelog.codec import decode
from scheduler.changelog.configs import Configs
from scheduler.changelog.errors import Damaged
from scheduler.changelog.frame import genesis, read_header
from scheduler.changelog.load import LoadResult
from scheduler.changelog.store import Pointer
from scheduler.changelog.zookeeper_layout import Head, Layout, Manifest
from scheduler.changelog.zookeeper_parts import read_parts
from scheduler.contracts import Entry
from scheduler.core.ops import FORMAT_LEVEL
from scheduler.zk.client import Client
from scheduler.zk.errors import NoNode

__all__ = ["Position", "Truncated", "departs", "frames", "read_head"]


class Truncated(Damaged):
    """An entry was cut off the log since, and stands in a snapshot: close the changelog, and open it anew."""


@define
class Position:
    """How far somebody has read, and what the next frame must agree with."""

    lineage: bytes
    configs: Configs = field(factory=Configs)
    offset: int = 0
    epoch: int = 0
    timestamp_ms: int = 0
    checksum: bytes = b""
    level: int = FORMAT_LEVEL
    """The highest format level that is read."""

    def __attrs_post_init__(self) -> None:
        self.checksum = self.checksum or genesis(self.lineage)

    def stands_at(self, loaded: LoadResult) -> None:
        self.offset, self.epoch = loaded.offset, loaded.epoch
        self.timestamp_ms, self.checksum = loaded.timestamp_ms, loaded.checksum

    def stands_behind(self, base: Pointer) -> None:
        self.offset, self.epoch = base.covered, base.epoch
        self.timestamp_ms, self.checksum = base.timestamp_ms, base.checksum

    def read(self, frame: bytes) -> tuple[Entry, bytes]:
        """The next entry and its checksum. Raises Unreadable with the offset; nothing is changed."""
        offset = self.offset + 1
        entry, checksum = decode(
            frame,
            offset=offset,
            lineage=self.lineage,
            previous=self.checksum,
            configs=self.configs,
            level=self.level,
        )
        if entry.epoch < self.epoch:
            raise Damaged(offset, f"its epoch {entry.epoch} is lower than the epoch {self.epoch} before it")
        return entry, checksum

    def move(self, entry: Entry, checksum: bytes) -> None:
        """To behind this entry."""
        self.offset, self.epoch = entry.offset, entry.epoch
        self.timestamp_ms, self.checksum = entry.timestamp_ms, checksum


async def read_head(client: Client, layout: Layout, watch: Callable[[], None] | None = None) -> tuple[Head, int]:
    """The head and its version. Raises NoNode, Damaged, ZkError."""
    data, stat = await client.get(layout.head, watch)
    return Head.from_bytes(data), stat.version


async def _previous_of(client: Client, layout: Layout, offset: int) -> bytes:
    """The checksum that this entry names as that of the one before it. Raises NoNode, Damaged, ZkError."""
    data, _ = await client.get(layout.entry(offset))
    manifest = Manifest.from_bytes(data, offset)
    return read_header(data, offset).previous if manifest is None else manifest.previous


async def departs(client: Client, layout: Layout, head: Head, end: End) -> str | None:
    """Why the checkpoint that ends there is not a copy of the beginning of this log; None when it is. Raises ZkError"""
    if end.lineage != head.lineage:
        return f"it is of the history {end.lineage.hex()}, the log of {head.lineage.hex()}"
    if end.offset >= head.next:
        return f"it ends at offset {end.offset}, the log at offset {head.next - 1}"
    if end.offset == head.next - 1:
        follows = head.checksum
    else:
        try:
            follows = await _previous_of(client, layout, end.offset + 1)
        except NoNode:
            return f"it ends at offset {end.offset}, and the log now begins later"
    return None if follows == end.checksum else f"at offset {end.offset} the log has another entry"


async def frames(client: Client, layout: Layout, first: int, last: int) -> AsyncIterator[bytes]:
    """The frames `first` to `last`, which must be below the head: many are asked for at once.

    Raises Truncated or Damaged for one that is missing, ZkError.
    """
    at_once = layout.reads_at_once
    asked = deque(client.get(layout.entry(offset)) for offset in range(first, min(first + at_once, last + 1)))
    for offset in range(first, last + 1):
        try:
            data, _ = await asked.popleft()
        except NoNode:
            raise await _missing(client, layout, offset) from None
        if offset + at_once <= last:
            asked.append(client.get(layout.entry(offset + at_once)))
        yield await _whole(client, layout, offset, data)


async def _whole(client: Client, layout: Layout, offset: int, data: bytes) -> bytes:
    manifest = Manifest.from_bytes(data, offset)
    if manifest is None:
        return data
    try:
        return await read_parts(client, layout, manifest, offset)
    except NoNode:
        if await client.exists(layout.entry(offset)) is None:  # cut off since we read its manifest, and its parts too
            raise await _missing(client, layout, offset) from None
        folder = layout.parts(manifest.epoch, manifest.uuid)
        raise Damaged(offset, f"a part of it is missing (in {folder})") from None


async def _missing(client: Client, layout: Layout, offset: int) -> Damaged:
    """What it means that an entry below the head is not there. Never that it will come."""
    if await client.exists(layout.snapshot) is None:
        return Damaged(offset, "this entry is missing in ZooKeeper, and there is no snapshot to begin from")
    return Truncated(offset, "this entry was cut off the log in ZooKeeper")
