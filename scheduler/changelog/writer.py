"""The thread that writes: every change of the SQLite file happens here, one after another.

A commit waits for the disk, so it cannot happen on the event loop; and a second writing connection must not exist
(`store.py`). The loop hands in jobs and gets a callback; in between, the thread does chores, in steps so small that an
append never waits long for one.

A job is one SQL statement with its values bound: each return from SQLite to Python has to win the interpreter lock
back from a busy loop, so many small statements are many waits.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Final, NamedTuple

from scheduler.contracts import ChangelogError, OutcomeUnknown, Unavailable

__all__ = ["NotWritten", "Writer", "explain"]

Job = Callable[[sqlite3.Connection], None]
Chore = Callable[[sqlite3.Connection], bool]
"""One step of work that can wait; True while there is more to do."""

_NOTHING_WRITTEN: Final = {
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "the disk is read-only",
    "SQLITE_READONLY_DBMOVED": "the file was moved or removed",
    "SQLITE_BUSY": "another program has it locked",
    "SQLITE_CANTOPEN": "a file beside it cannot be opened",
    "SQLITE_NOMEM": "there is no memory left",
    "SQLITE_IOERR_WRITE": "the disk refuses to be written",
}
"""Failures after which a commit has not happened for certain: its last page never reached the write-ahead log.

Not among them: a failed fsync (SQLITE_IOERR_FSYNC). The commit may be there after a crash, and what the system did
with the unwritten pages cannot be known.
"""


class NotWritten(sqlite3.Error):
    """Who raises it has not touched the file."""


def explain(error: sqlite3.Error) -> ChangelogError:
    """What a failed commit means: Unavailable, or OutcomeUnknown when it may have happened all the same."""
    if isinstance(error, NotWritten):
        return Unavailable(f"nothing was written: {error}")
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    why = _NOTHING_WRITTEN.get(name)
    if why is not None:
        return Unavailable(f"nothing was written: {why} ({error})")
    return OutcomeUnknown(f"the store failed while it was writing ({name}: {error})")


class _Task(NamedTuple):
    job: Job
    loop: asyncio.AbstractEventLoop
    done: Callable[[sqlite3.Error | None], None]


class Writer:
    """Owns the connection from `start` to `stop`."""

    def __init__(self, db: sqlite3.Connection, *, gives_up: bool = False) -> None:
        """`gives_up`: after a failure that may have written all the same, the file is not touched any more.

        What it holds shows when it is opened again; a commit on top of that might be lost with it.
        """
        self._db = db
        self._gives_up = gives_up
        self.broken: str | None = None
        """Why the file is not touched any more."""
        self._jobs: SimpleQueue[_Task | Chore | None] = SimpleQueue()
        self._chores: deque[Chore] = deque()
        self._thread = Thread(target=self._run, name="changelog-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, job: Job, loop: asyncio.AbstractEventLoop, done: Callable[[sqlite3.Error | None], None]) -> None:
        """Run `job`; then, on `loop`, call `done` with the error, None when all is durable."""
        self._jobs.put(_Task(job, loop, done))

    def perform(self, job: Job) -> Awaitable[None]:
        """Run `job`, and wait for it on the loop that runs now. Raises sqlite3.Error."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def done(error: sqlite3.Error | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

        self.submit(job, loop, done)
        return future

    def add_chore(self, chore: Chore) -> None:
        """Work for when nothing else waits."""
        self._jobs.put(chore)

    def stop(self) -> None:
        """Finish the jobs handed in, leave the chores for another day, and close the file. Blocks."""
        self._jobs.put(None)
        if self._thread.is_alive():
            self._thread.join()
        self._db.close()

    def _run(self) -> None:
        while True:
            try:
                task = self._jobs.get(block=not self._chores)
            except Empty:
                self._do_chore()
                continue
            if task is None:
                return
            if not isinstance(task, _Task):
                self._chores.append(task)
                continue
            error = self._do(task.job)
            try:
                task.loop.call_soon_threadsafe(task.done, error)
            except RuntimeError:
                return  # the loop is closed: nobody is left to be told

    def _do(self, job: Job) -> sqlite3.Error | None:
        if self.broken is not None:
            return NotWritten(f"{self.broken} earlier; restart to see what is durable")
        error = self._attempt(job)
        if self._gives_up and error is not None and isinstance(failure := explain(error), OutcomeUnknown):
            self.broken = str(failure)
        return error

    def _attempt(self, job: Job) -> sqlite3.Error | None:
        try:
            job(self._db)
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.rollback()
            return error
        return None

    def _do_chore(self) -> None:
        chore = self._chores[0]
        more = False

        def step(db: sqlite3.Connection) -> None:
            nonlocal more
            more = chore(db)

        # A chore that fails is dropped: what it left undone is found and done after the next fold or start.
        if self._do(step) is not None or not more:
            self._chores.popleft()
