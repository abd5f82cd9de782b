"""The pretended disk of one machine: what was written of the log survives the process, but for the last rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from attrs import define, field

from scheduler.changelog.checkpoint import Checkpoint, End
from scheduler.changelog.codec import decode
from scheduler.changelog.configs import Configs
from scheduler.changelog.frame import CHECKSUM_BYTES, genesis, read_header
from scheduler.changelog.load import LoadResult
from scheduler.changelog.store import Pointer
from scheduler.contracts import Entry
from scheduler.core import ops
from scheduler.core.ops import Op

__all__ = ["Disk", "MemoryCheckpoint"]

FOLD_AFTER: Final = 150
"""Frames after which the base is moved on."""


@define(eq=False)
class Disk:
    """A base (everything up to an entry) and the frames behind it, as the real file has them."""

    fold: Callable[[int], tuple[Op, ...] | None]
    """The state at an offset, if somebody has it just now."""
    lineage: bytes = b""
    base: tuple[Op, ...] = ()
    covered: tuple[int, bytes] = (0, b"")
    """The last offset of the base, and the frame that was there."""
    frames: list[tuple[int, bytes]] = field(factory=list)
    may_lose: int = 0
    """How many of the newest frames a sudden death may cost: what is folded is safe."""

    def add(self, frames: Sequence[tuple[int, bytes]]) -> None:
        self.frames += frames
        self.may_lose += len(frames)
        if len(self.frames) >= FOLD_AFTER:
            base = self.fold(self.frames[-1][0])
            if base is not None:
                self.base, self.covered = base, self.frames[-1]
                self.frames, self.may_lose = [], 0

    def lose(self, rows: int) -> None:
        """The process died before it had written these."""
        rows = min(rows, self.may_lose, len(self.frames))
        del self.frames[len(self.frames) - rows :]
        self.may_lose = 0

    def wipe(self) -> None:
        """Another machine in its place."""
        self.base, self.covered, self.frames, self.may_lose = (), (0, b""), [], 0


class MemoryCheckpoint(Checkpoint):
    """What a process knows of its disk. No files, no threads; everything else is as with the real one."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.folder = Path("/nowhere")
        self.folding = None
        self.is_behind = False
        self.failure = None
        self.offset, last = disk.frames[-1] if disk.frames else disk.covered
        self.end = End(disk.lineage, self.offset, last[-CHECKSUM_BYTES:]) if self.offset else None

    def set_aside(self, why: str) -> None:
        self._disk.wipe()
        self.end = None

    def make_room(self) -> Path:
        return self.folder

    def adopt(self, lineage: bytes, base: Pointer) -> None:
        raise NotImplementedError("nothing makes snapshots here")

    def load(
        self,
        lineage: bytes,
        apply: Callable[[Op], None],
        configs: Configs,
        passed: Callable[[Entry], None] | None = None,
    ) -> LoadResult:
        disk = self._disk
        disk.lineage = lineage
        for op in disk.base:
            if isinstance(op, ops.SaveConfig):
                configs.remember(op.digest, op.config)
            apply(op)
        offset, last = disk.covered
        epoch = timestamp_ms = 0
        checksum = last[-CHECKSUM_BYTES:] or genesis(lineage)
        if last:
            header = read_header(last)
            epoch, timestamp_ms = header.epoch, header.timestamp_ms
        for offset, frame in disk.frames:
            entry, checksum = decode(frame, offset=offset, lineage=lineage, previous=checksum, configs=configs)
            for op in entry.ops:
                apply(op)
            epoch, timestamp_ms = entry.epoch, entry.timestamp_ms
            if passed is not None:
                passed(entry)
        base = Pointer(1, disk.covered[0], epoch, timestamp_ms, checksum)
        self.offset = offset
        return LoadResult(
            offset, epoch, timestamp_ms, checksum, lineage.hex(), "east", base, len(disk.base), len(disk.frames), 0, 0
        )

    def add(self, frames: Sequence[tuple[int, bytes]]) -> None:
        if frames:
            self.offset = frames[-1][0]
            self._disk.add(frames)

    async def close(self) -> None:
        self._disk.may_lose = 0
