"""The server's side of folding: when to start the helper, and what to do when it is done."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from scheduler.changelog.base import sweep
from scheduler.changelog.fold import Folded, from_line
from scheduler.changelog.frame import CHECKSUM_BYTES
from scheduler.changelog.load import LoadResult
from scheduler.changelog.store import Pointer, move_pointer
from scheduler.changelog.writer import Chore, Job, NotWritten, Writer, explain
from scheduler.contracts import OutcomeUnknown, Unavailable
from scheduler.failpoints import failpoint

__all__ = ["FOLD_AFTER_BYTES", "FOLD_AFTER_ENTRIES", "Folding"]

FOLD_AFTER_BYTES: Final = 16 * 1024 * 1024
"""About 150,000 records of 100 bytes, which a start reads back in a second or two."""

FOLD_AFTER_ENTRIES: Final = 50_000
"""The same for a quiet server that commits a record or two at a time: there the entries cost, not their bytes."""

FOLD_SHARE_OF_BASE: Final = 0.5
"""With a large state the tail may grow to half of its base: else every few records would rewrite all of it."""

_DELETE_ROWS: Final = 100
"""Covered rows deleted in one step: less than a millisecond, so that an append does not wait longer than that."""

_log = logging.getLogger(__name__)


class Folding:
    """Watches the tail grow and runs at most one helper."""

    def __init__(self, data_dir: Path, writer: Writer, loaded: LoadResult, *, automatic: bool = True) -> None:
        self._data_dir = data_dir
        self._writer = writer
        self.pointer = loaded.base
        self.tail_entries = loaded.tail_entries
        self.tail_bytes = loaded.tail_bytes
        self._automatic = automatic
        self._not_before_bytes = 0
        self._task: asyncio.Task[None] | None = None
        self.failure: str | None = None
        """Why the last try did not succeed; None when it did."""
        self.folded: Callable[[], object] = lambda: None
        """Called when a new base counts."""

    def appended(self, size: int, entries: int = 1) -> None:
        """The tail grew. Called on the loop."""
        self.tail_entries += entries
        self.tail_bytes += size
        if self._task is None and self._is_due():
            self.start()

    def _is_due(self) -> bool:
        if not self._automatic or self.tail_bytes < self._not_before_bytes:
            return False
        most = max(FOLD_AFTER_BYTES, FOLD_SHARE_OF_BASE * self.pointer.size_bytes)
        return self.tail_bytes >= most or self.tail_entries >= FOLD_AFTER_ENTRIES

    def start(self) -> asyncio.Task[None]:
        """Fold now; the task ends when the new base counts, or with a warning. It never raises."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="changelog-fold")
            self._task.add_done_callback(self._ended)
        return self._task

    async def fold_now(self, upto: int) -> Pointer:
        """Fold until the base covers the entry `upto`, which must have been handed to the writer; returns its pointer.

        Raises Unavailable with what is in the way: the base before it counts on.
        """
        try:
            await self._writer.perform(lambda _: None)  # what was handed in before is in the file now
        except sqlite3.Error as error:
            raise explain(error) from error
        while self.pointer.covered < upto:
            before = self.pointer
            await asyncio.wait((self.start(),))
            if self.pointer is before:
                raise Unavailable(f"the tail was not folded: {self.failure or 'the entries are not in it'}")
        return self.pointer

    def _ended(self, _: object) -> None:
        self._task = None

    async def stop(self) -> None:
        """End a helper at work: it leaves nothing that counts."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        size = self.tail_bytes
        try:
            folded = await self._make()
            if folded is None:
                return
            await self._point_to(folded)
        except (OSError, ValueError, KeyError, TypeError, sqlite3.Error) as error:
            # Nothing is lost but the space: the tail goes on growing, and the next try is half as far again.
            self._not_before_bytes = int(size * 1.5)
            if not _may_count(error):
                sweep(self._data_dir, self.pointer.generation)
            self.failure = str(explain(error) if isinstance(error, sqlite3.Error) else error)
            _log.warning("the changelog's tail was not folded: %s", self.failure)
            return
        self.failure = None
        _log.info(
            "folded %d entries, %d bytes into base %d", folded.entries, folded.size_bytes, self.pointer.generation
        )

    async def _make(self) -> Folded | None:
        """The next base, complete in its file; None when there is nothing to fold."""
        return await _run_helper(self._data_dir)

    async def _swap(self, new: Pointer) -> None:
        """In one step the new base counts."""
        await self._writer.perform(_swap(self.pointer, new))

    async def _point_to(self, folded: Folded) -> None:
        """Make the new base count. From here on the entries it covers are not needed."""
        failpoint("fold-before-swap")
        await self._swap(folded.pointer)
        self.pointer = folded.pointer
        self.tail_entries -= folded.entries
        self.tail_bytes -= folded.size_bytes
        failpoint("fold-after-swap")
        self.tidy()
        sweep(self._data_dir, self.pointer.generation)
        self.folded()

    def tidy(self) -> None:
        """Delete the entries that the base covers, a few at a time, while nothing is appended."""
        self._writer.add_chore(_delete_covered(self.pointer.covered))


def _may_count(error: Exception) -> bool:
    """May the new base count all the same, which shows at the next start? Then both must be there."""
    return isinstance(error, sqlite3.Error) and isinstance(explain(error), OutcomeUnknown)


def _swap(old: Pointer, new: Pointer) -> Job:
    """Moves the pointer, once it is sure that the base continues this very log."""

    def job(db: sqlite3.Connection) -> None:
        row = db.execute(
            f'SELECT substr(entry, -{CHECKSUM_BYTES}) FROM tail WHERE "offset" = ?', (new.covered,)
        ).fetchone()
        if row != (new.checksum,) or new.generation != old.generation + 1:
            raise NotWritten(f"base {new.generation} does not belong to this log")
        move_pointer(db, new)

    return job


def _delete_covered(covered: int) -> Chore:
    def step(db: sqlite3.Connection) -> bool:
        deleted = db.execute(
            'DELETE FROM tail WHERE "offset" IN (SELECT "offset" FROM tail WHERE "offset" <= ? LIMIT ?)',
            (covered, _DELETE_ROWS),
        ).rowcount
        failpoint("fold-deleting")
        return deleted == _DELETE_ROWS

    return step


async def _run_helper(data_dir: Path) -> Folded | None:
    """Raises OSError or ValueError with what the helper said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "scheduler.changelog.fold",
        str(data_dir),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        said = err.decode(errors="replace").strip().rpartition("\n")[2]
        raise OSError(f"its helper ended with {process.returncode} ({said or 'and said nothing'})")
    return from_line(out.decode())
