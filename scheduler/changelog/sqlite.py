"""The embedded changelog: one SQLite file on this machine, the only copy there is.

Files in the data directory: `lock` (who has it), `changelog.db` with its `-wal` and `-shm` (pointer and tail),
`base-<generation>` (the state the tail continues). Use:

>>> changelog = SqliteChangelog(Path("/var/lib/thesan"), cluster="local")
>>> loaded = changelog.load(lambda op: apply(state, op))
>>> await changelog.append(Entry(loaded.offset + 1, epoch, uuid, now_ms, ops))
>>> await changelog.close()
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

from scheduler.changelog.base import base_path, sweep
from scheduler.changelog.codec import encode
from scheduler.changelog.configs import Configs
from scheduler.changelog.datadir import lock, prepare
from scheduler.changelog.folding import Folding
from scheduler.changelog.gc_policy import rehydrating
from scheduler.changelog.load import LoadResult, load
from scheduler.changelog.store import Pointer, is_checkpointed, open_for_writing, read_meta
from scheduler.changelog.writer import Writer, explain
from scheduler.contracts import Entry, Fenced, Unavailable
from scheduler.core.ops import Op
from scheduler.failpoints import failpoint

__all__ = ["SqliteChangelog"]


class SqliteChangelog:
    """Implements `contracts.Changelog`. One per data directory, held by an exclusive lock."""

    def __init__(self, data_dir: Path, cluster: str, *, lineage: bytes | None = None, fold: bool = True) -> None:
        """Take the folder and open the file, or make both. `lineage` is for a new file; 16 random bytes otherwise.

        `fold` False keeps the tail as it is, for measurements and tests.
        Raises DataDirRefused (in use, of another cluster, open to others), Unreadable, and Unavailable while the disk
        is full or fails. Blocks for milliseconds, longer after a crash.
        """
        prepare(data_dir)
        self._lock = lock(data_dir)
        try:
            self._db = open_for_writing(data_dir, cluster, lineage)
        except BaseException:
            self._lock.release()
            raise
        self.data_dir = data_dir
        self._lineage = read_meta(self._db).lineage
        self._configs = Configs()
        self._writer = Writer(self._db, gives_up=True)
        self._fold = fold
        self.folding: Folding | None = None
        """Watches the size of the tail; there after `load`."""
        self.appended_bytes = 0
        """Of all entries appended through this object."""
        self._last: LoadResult | None = None
        self._offset = self._epoch = 0
        self._checksum = b""
        self._in_flight: asyncio.Future[None] | None = None
        self._closed = False

    @property
    def lineage(self) -> str:
        """Names this history, in 32 hexadecimal digits."""
        return self._lineage.hex()

    @property
    def offset(self) -> int:
        """Of the last durable entry."""
        return self._offset

    def load(self, apply: Callable[[Op], None], passed: Callable[[Entry], None] | None = None) -> LoadResult:
        """Give everything that is recorded to `apply`, in order; then entries can be appended. Once, and blocking.

        `passed` is told each entry behind the base, once it was applied.
        Raises Unreadable, and leaves the files as they are: Damaged names the offset.
        """
        if self._last is not None:
            raise RuntimeError("the changelog was loaded already")
        with rehydrating():
            loaded = load(self._db, self.data_dir, apply, self._configs, passed=passed)
        self._last = loaded
        self._offset, self._epoch, self._checksum = loaded.offset, loaded.epoch, loaded.checksum
        self._writer.start()
        self.folding = Folding(self.data_dir, self._writer, loaded, automatic=self._fold)
        self.folding.tidy()
        if is_checkpointed(self.data_dir):
            sweep(self.data_dir, loaded.base.generation)
        return loaded

    async def append(self, entry: Entry) -> None:
        """Returns when the entry is durable. One at a time, offsets without gaps.

        Raises Fenced for an epoch below the last one, Unavailable when nothing was written (the sentence says why; try
        again when space returns), OutcomeUnknown when the disk failed in the middle: from then on nothing is taken,
        and what is durable shows when the file is loaded again. Unencodable (an Unavailable) for an op that does not
        fit the storage format, ValueError for an entry that cannot be the next.
        """
        data, checksum = self._prepare(entry)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()

        def insert(db: sqlite3.Connection) -> None:
            failpoint("before-append")
            db.execute("INSERT INTO tail VALUES (?, ?)", (entry.offset, data))
            failpoint("after-append")

        def done(error: sqlite3.Error | None) -> None:
            # Not in the coroutine: it may have been cancelled, which does not call the commit back.
            self._in_flight = None
            if error is None:
                self._offset, self._epoch, self._checksum = entry.offset, entry.epoch, checksum
                self.appended_bytes += len(data)
                if self.folding is not None:
                    self.folding.appended(len(data))
                if not future.done():
                    future.set_result(None)
                return
            if not future.done():
                future.set_exception(explain(error))

        self._in_flight = future
        self._writer.submit(insert, loop, done)
        await future

    def _prepare(self, entry: Entry) -> tuple[bytes, bytes]:
        """The bytes of the entry and its checksum, if it may follow what is there."""
        if self._last is None or self._closed:
            raise Unavailable(f"the changelog is {'closed' if self._closed else 'not loaded yet'}")
        if self._in_flight is not None:
            raise ValueError(f"entry {entry.offset} was given while another one is in flight")
        if entry.offset != self._offset + 1:
            raise ValueError(f"entry {entry.offset} cannot follow entry {self._offset}")
        if entry.epoch < self._epoch:
            raise Fenced(f"epoch {entry.epoch} is over: the log is in epoch {self._epoch}")
        return encode(entry, lineage=self._lineage, previous=self._checksum, configs=self._configs)

    async def fold(self) -> tuple[Pointer, Path]:
        """Fold everything that is durable into a base now: what it covers, and its file. Raises Unavailable."""
        if self.folding is None or self._closed:
            raise Unavailable(f"the changelog is {'closed' if self._closed else 'not loaded yet'}")
        pointer = await self.folding.fold_now(self._offset)
        return pointer, base_path(self.data_dir, pointer.generation)

    async def snapshot(self) -> None:
        """Here the base is the snapshot. Raises Unavailable."""
        await self.fold()

    async def close(self) -> None:
        """Finish the append in flight, end a helper at work, give the folder back."""
        if self._closed:
            return
        self._closed = True
        if self.folding is not None:
            await self.folding.stop()
        await asyncio.get_running_loop().run_in_executor(None, self._writer.stop)
        self._lock.release()
