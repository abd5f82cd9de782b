"""The pretended disk of one machine: what was written of the log survives the process, but for the last rows.

Bases are real files, in a folder of the run; what the helper process makes of the tail is taken from the run's mirror.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from attrs import define, field

from scheduler.changelog.base import base_path, read_base, write_base
from scheduler.changelog.checkpoint import Checkpoint, End
from scheduler.changelog.codec import decode
from scheduler.changelog.configs import Configs
from scheduler.changelog.fold import Folded
from scheduler.changelog.folding import Folding
from scheduler.changelog.frame import CHECKSUM_BYTES, genesis, read_header
from scheduler.changelog.load import LoadResult
from scheduler.changelog.store import Pointer
from scheduler.contracts import Entry
from scheduler.core.ops import Op

__all__ = ["Disk", "MemoryCheckpoint"]

FOLD_AFTER: Final = 30
"""Frames after which the base is moved on."""
FOLD_S: Final = 0.25
"""How long the helper takes. Meanwhile everything goes on, and the process may die."""

_NOTHING: Final = Pointer(0, 0, 0, 0, b"")


@define(eq=False)
class Disk:
    """A base (everything up to an entry) and the frames behind it, as the real file has them."""

    folder: Path
    fold: Callable[[int], tuple[Op, ...] | None]
    """The state at an offset, if somebody has it just now."""
    adopted: Callable[[], None]
    """Told when a machine begins with a base that it fetched."""
    lineage: bytes = b""
    base: Pointer = _NOTHING
    frames: list[tuple[int, bytes]] = field(factory=list)
    may_lose: int = 0
    """How many of the newest frames a sudden death may cost: what is folded is safe."""

    def lose(self, rows: int) -> None:
        """The process died before it had written these."""
        rows = min(rows, self.may_lose, len(self.frames))
        del self.frames[len(self.frames) - rows :]
        self.may_lose = 0

    def wipe(self) -> None:
        """Another machine in its place."""
        self.base, self.frames, self.may_lose = _NOTHING, [], 0
        for path in self.folder.iterdir():
            path.unlink()


class MemoryFolding(Folding):
    """No helper process and no writer; when to fold, the swap, and its failpoints are the real ones."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._data_dir = disk.folder
        self._task = None
        self._not_before_bytes = 0
        self.pointer = disk.base
        self.tail_entries = self.tail_bytes = 0
        self.failure = None
        self.folded = lambda: None

    def _is_due(self) -> bool:
        return len(self._disk.frames) >= FOLD_AFTER

    async def _make(self) -> Folded | None:
        disk = self._disk
        offset, last = disk.frames[-1]
        ops = disk.fold(offset)
        if ops is None:
            return None
        await asyncio.sleep(FOLD_S)
        generation, header = disk.base.generation + 1, read_header(last)
        path = base_path(disk.folder, generation)
        written = write_base(path, ops, generation=generation, lineage=disk.lineage, configs=Configs())
        checksum = last[-CHECKSUM_BYTES:]
        pointer = Pointer(
            generation,
            offset,
            header.epoch,
            header.timestamp_ms,
            checksum,
            written.chunks,
            written.size_bytes,
            written.checksum,
        )
        return Folded(pointer, 0, 0)

    async def _swap(self, new: Pointer) -> None:
        disk = self._disk
        disk.base = new
        disk.frames = [row for row in disk.frames if row[0] > new.covered]
        disk.may_lose = min(disk.may_lose, len(disk.frames))

    def tidy(self) -> None:
        """The covered rows are gone already."""


class MemoryCheckpoint(Checkpoint):
    """What a process knows of its disk. No database, no threads; everything else is as with the real one."""

    def __init__(self, disk: Disk, level: int) -> None:
        self._disk = disk
        self._level = level
        self.folder = disk.folder
        self.folding = None
        self.is_behind = False
        self.failure = None
        self.offset, checksum = disk.base.covered, disk.base.checksum
        if disk.frames:
            self.offset, checksum = disk.frames[-1][0], disk.frames[-1][1][-CHECKSUM_BYTES:]
        self.end = End(disk.lineage, self.offset, checksum) if self.offset else None

    def set_aside(self, why: str) -> None:
        self._disk.wipe()
        self.end = None

    def make_room(self) -> Path:
        self._disk.wipe()
        return self.folder

    def adopt(self, lineage: bytes, base: Pointer) -> None:
        self._disk.lineage, self._disk.base = lineage, base
        self.end = End(lineage, base.covered, base.checksum)
        self._disk.adopted()

    def load(
        self,
        lineage: bytes,
        apply: Callable[[Op], None],
        configs: Configs,
        passed: Callable[[Entry], None] | None = None,
    ) -> LoadResult:
        disk = self._disk
        disk.lineage, base = lineage, disk.base
        base_ops = 0
        for chunk in read_base(self.folder, base, lineage, configs, level=self._level):
            base_ops += len(chunk)
            for op in chunk:
                apply(op)
        offset, epoch, timestamp_ms = base.covered, base.epoch, base.timestamp_ms
        checksum = base.checksum or genesis(lineage)
        for offset, frame in disk.frames:
            entry, checksum = decode(
                frame, offset=offset, lineage=lineage, previous=checksum, configs=configs, level=self._level
            )
            for op in entry.ops:
                apply(op)
            epoch, timestamp_ms = entry.epoch, entry.timestamp_ms
            if passed is not None:
                passed(entry)
        self.offset, self.folding = offset, MemoryFolding(disk)
        return LoadResult(
            offset, epoch, timestamp_ms, checksum, lineage.hex(), "east", base, base_ops, len(disk.frames), 0, 0
        )

    def add(self, frames: Sequence[tuple[int, bytes]]) -> None:
        if frames:
            disk = self._disk
            self.offset = frames[-1][0]
            disk.frames += frames
            disk.may_lose += len(frames)
            assert self.folding is not None
            self.folding.appended(0, len(frames))

    async def close(self) -> None:
        self._disk.may_lose = 0
        if self.folding is not None:
            await self.folding.stop()
