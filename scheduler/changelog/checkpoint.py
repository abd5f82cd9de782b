"""The checkpoint of ZooKeeper mode: a local copy of the log, so that a start does not read all of it from there.

It is the store of the embedded changelog, in a folder of its own: `checkpoint/` under the data directory. Base and
tail, one row per *committed* entry with the very bytes of the entry, folded by the same helper. Only that it may lose
its newest rows with the power: what is lost is read from ZooKeeper again.

What does not continue into the log (it is torn, of another history, or went another way) is never repaired and never
thrown away: it is set aside as `checkpoint-set-aside`, and a new one is begun. An embedded changelog in the same data
directory is left alone: it may be the only copy of something.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from attrs import frozen

from scheduler.changelog.base import base_path
from scheduler.changelog.configs import Configs
from scheduler.changelog.datadir import lock, prepare
from scheduler.changelog.errors import Unreadable
from scheduler.changelog.folding import Folding
from scheduler.changelog.frame import CHECKSUM_BYTES
from scheduler.changelog.gc_policy import rehydrating
from scheduler.changelog.load import LoadResult, load
from scheduler.changelog.store import DB_FILE, Pointer, open_for_writing, read_meta
from scheduler.changelog.writer import Job, Writer, explain
from scheduler.contracts import Entry, Unavailable
from scheduler.core.ops import Op
from scheduler.failpoints import failpoint

__all__ = ["FOLDER", "SET_ASIDE", "Checkpoint", "End"]

FOLDER: Final = "checkpoint"
SET_ASIDE: Final = "checkpoint-set-aside"

_log = logging.getLogger("thesan")


@frozen
class End:
    """Where a checkpoint ends: of which history, the last entry's offset and checksum, without having read it all."""

    lineage: bytes
    offset: int
    checksum: bytes


class Checkpoint:
    """Of one data directory, held by its lock until `close`."""

    def __init__(self, data_dir: Path, cluster: str) -> None:
        """Look at what is there. Raises DataDirRefused, and Unavailable while the disk is full or fails."""
        prepare(data_dir)
        self.folder = data_dir / FOLDER
        self._cluster = cluster
        self._lock = lock(data_dir)
        self._db: sqlite3.Connection | None = None
        self._writer: Writer | None = None
        self.folding: Folding | None = None
        self.offset = 0
        """Of the last entry that was given to it; while it is behind: of the last one that it has."""
        self._stored = 0
        self.is_behind = False
        """The disk did not take an entry, so none behind it is written until what is missing is there (`catch_up`)."""
        self.failure: str | None = None
        """What the disk said then."""
        self.fell_behind: Callable[[], object] = lambda: None
        """Called on the loop when the disk has refused an entry."""

        self._behind_since_s = 0.0
        self.end: End | None = None
        """None when there is nothing usable."""
        try:
            if (self.folder / DB_FILE).exists():
                self._look()
        except BaseException:
            self.give_up()
            raise

    def _look(self) -> None:
        try:
            self._db = open_for_writing(self.folder, self._cluster, durable=False)
            meta = read_meta(self._db)
            row = self._db.execute(
                f'SELECT "offset", substr(entry, -{CHECKSUM_BYTES}) FROM tail ORDER BY "offset" DESC LIMIT 1'
            ).fetchone()
        except (Unreadable, sqlite3.Error) as wrong:
            self.set_aside(f"it cannot be read: {wrong}")
            return
        offset, checksum = row or (meta.pointer.covered, meta.pointer.checksum)
        self.end = End(meta.lineage, offset, checksum)

    def set_aside(self, why: str) -> None:
        """It is not what it should be: begin a new one. The last one that was set aside is replaced. Before `load`.

        Raises Unavailable when the disk refuses.
        """
        self._close_file()
        aside = self.folder.with_name(SET_ASIDE)
        _log.warning("the checkpoint is set aside as %s and made anew from ZooKeeper: %s", aside, why)
        shutil.rmtree(aside, ignore_errors=True)
        self.end = None
        try:
            if self.folder.exists():
                self.folder.rename(aside)
        except OSError as error:
            raise Unavailable(f"the checkpoint {self.folder} cannot be set aside: {error.strerror}") from error

    def make_room(self) -> Path:
        """The folder, empty, for a base that arrives. Before `load`, when there is nothing usable.

        Raises DataDirRefused, and Unavailable when the disk refuses.
        """
        prepare(self.folder)
        try:
            for path in self.folder.iterdir():  # another one that did not arrive
                path.unlink()
        except OSError as error:
            raise Unavailable(f"the checkpoint's folder {self.folder} cannot be emptied: {error.strerror}") from error
        return self.folder

    def adopt(self, lineage: bytes, base: Pointer) -> None:
        """Begin with the base that arrived; durable from here on. Raises Unavailable when the disk refuses."""
        self._db = open_for_writing(self.folder, self._cluster, lineage, base=base, durable=False)
        self.end = End(lineage, base.covered, base.checksum)

    def load(
        self,
        lineage: bytes,
        apply: Callable[[Op], None],
        configs: Configs,
        passed: Callable[[Entry], None] | None = None,
    ) -> LoadResult:
        """Give everything it holds to `apply`, in order; then `add` may be called. Once, and blocking.

        `passed` is told each entry behind the base, once it was applied.
        Raises Unreadable: `set_aside`, and load again into a fresh state. Unavailable when the disk refuses a new one.
        """
        if self._db is None:
            prepare(self.folder)
            self._db = open_for_writing(self.folder, self._cluster, lineage, durable=False)
        with rehydrating():
            loaded = load(self._db, self.folder, apply, configs, passed=passed)
        self.offset = self._stored = loaded.offset
        self._writer = Writer(self._db)
        self._writer.start()
        self.folding = Folding(self.folder, self._writer, loaded)
        self.folding.tidy()
        return loaded

    def add(self, frames: Sequence[tuple[int, bytes]]) -> None:
        """Committed entries, in order: offset and bytes. Returns at once, and fails by falling behind."""
        if self._writer is None or self.is_behind or not frames:
            return
        self.offset = frames[-1][0]
        job, count, size = self._insertion(frames), len(frames), _size(frames)

        def insert(db: sqlite3.Connection) -> None:
            if self.is_behind:
                return  # it was handed in before the failure was known; there must be no gap
            try:
                job(db)
            except sqlite3.Error:
                self._behind_since_s = time.monotonic()
                self.is_behind = True
                raise

        def done(error: sqlite3.Error | None) -> None:
            if error is not None:
                self.offset, self.failure = self._stored, str(explain(error))
                _log.error(
                    "the checkpoint is not written, and no snapshot is made from it (the log in ZooKeeper is complete):"
                    " %s; make room, then it catches up",
                    self.failure,
                )
                self.fell_behind()
            elif self.folding is not None and not self.is_behind:
                self.folding.appended(size, count)

        self._writer.submit(insert, asyncio.get_running_loop(), done)

    def _insertion(self, frames: Sequence[tuple[int, bytes]]) -> Job:
        values = [value for row in frames for value in row]  # now: the caller's list may be emptied by then
        statement, last = f"INSERT INTO tail VALUES {', '.join(['(?, ?)'] * len(frames))}", frames[-1][0]

        def insert(db: sqlite3.Connection) -> None:
            failpoint("before-tail-row")
            db.execute(statement, values)
            failpoint("after-tail-row")
            self._stored = last

        return insert

    async def catch_up(self, frames: Sequence[tuple[int, bytes]]) -> None:
        """Entries that it missed, from `offset` on. Without any it has them all, and `add` is taken again.

        Raises Unavailable or OutcomeUnknown while the disk refuses.
        """
        if self._writer is None or self.folding is None:
            raise Unavailable("the checkpoint is not loaded")
        if not frames:
            self.is_behind, self.failure = False, None
            _log.info("the checkpoint has caught up with the log in ZooKeeper: entry %d", self.offset)
            return
        try:
            await self._writer.perform(self._insertion(frames))
        except sqlite3.Error as error:
            raise explain(error) from error
        self.offset = frames[-1][0]
        self.folding.appended(_size(frames), len(frames))

    @property
    def age_ms(self) -> int:
        """For how long it has not held everything that this scheduler knows of the log; 0 while it does."""
        return int((time.monotonic() - self._behind_since_s) * 1000) if self.is_behind else 0

    async def fold(self) -> tuple[Pointer, Path]:
        """Fold everything that it was given into a base now: what it covers, and its file. Raises Unavailable."""
        if self.is_behind or self.folding is None:
            raise Unavailable(f"the checkpoint is behind: {self.failure}" if self.is_behind else "it is not loaded yet")
        pointer = await self.folding.fold_now(self.offset)
        return pointer, base_path(self.folder, pointer.generation)

    def _close_file(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def give_up(self) -> None:
        """Give the data directory back before `load`."""
        self._close_file()
        self._lock.release()

    async def close(self) -> None:
        """Finish what is being written, end a helper at work, give the data directory back."""
        if self.folding is not None:
            await self.folding.stop()
        if self._writer is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._writer.stop)
            self._writer = None
        self.give_up()


def _size(frames: Sequence[tuple[int, bytes]]) -> int:
    return sum(len(frame) for _, frame in frames)
