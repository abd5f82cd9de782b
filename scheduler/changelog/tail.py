"""Entries of the tail once more, for whoever follows the log from further back than memory reaches.

Read by a connection of its own that can change nothing, in any thread. What is folded away is gone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from scheduler.changelog.codec import decode
from scheduler.changelog.configs import Configs
from scheduler.changelog.errors import Damaged
from scheduler.changelog.frame import CHECKSUM_BYTES
from scheduler.changelog.store import open_for_reading, read_meta
from scheduler.contracts import Entry, Unavailable
from scheduler.core.records import JobKey, TaskConfig

__all__ = ["read_tail"]

_MAX_BYTES: Final = 256 * 1024
"""Of the rows of one read: decoding them holds the interpreter for some ten milliseconds."""


class _JobsOnly(Configs):
    """Knows of every configuration whose it is, and nothing else: those of the tail may have been dropped long ago."""

    def __init__(self, job_of: Callable[[bytes], JobKey | None]) -> None:
        super().__init__()
        self._job_of = job_of

    def config_of(self, digest: bytes) -> TaskConfig:
        job = self._job_of(digest)
        if job is None:
            return super().config_of(digest)
        return TaskConfig(job)


def read_tail(
    data_dir: Path, after: int, upto: int, max_ops: int, job_of: Callable[[bytes], JobKey | None]
) -> list[Entry] | None:
    """Entries `after` + 1 to `upto`, or the first of them that have `max_ops` ops or a quarter of a megabyte together.

    None when they are folded away. Of the configurations in what is returned only the job is true: `job_of` tells it by
    digest. Raises Damaged, FormatTooNew, Unavailable. Blocks for milliseconds.
    """
    db = open_for_reading(data_dir)
    try:
        db.execute("BEGIN")  # one view: meanwhile the tail may be folded
        return _read(db, after, upto, max_ops, _JobsOnly(job_of))
    except sqlite3.Error as error:
        raise Unavailable(f"the changelog cannot be read back now: {error}") from error
    finally:
        db.close()


def _read(db: sqlite3.Connection, after: int, upto: int, max_ops: int, configs: Configs) -> list[Entry] | None:
    meta = read_meta(db)
    pointer = meta.pointer
    if after < pointer.covered:
        return None
    previous = pointer.checksum
    if after > pointer.covered:
        (frame,) = db.execute('SELECT entry FROM tail WHERE "offset" = ?', (after,)).fetchone() or (b"",)
        previous = frame[-CHECKSUM_BYTES:]
    found: list[Entry] = []
    ops = size = 0
    rows = db.execute(
        'SELECT "offset", entry FROM tail WHERE "offset" > ? AND "offset" <= ? ORDER BY "offset"', (after, upto)
    )
    for offset, frame in rows:
        if offset != after + len(found) + 1:
            raise Damaged(after + len(found) + 1, f"this entry is missing, the next one there is {offset}")
        entry, previous = decode(frame, offset=offset, lineage=meta.lineage, previous=previous, configs=configs)
        found.append(entry)
        ops, size = ops + len(entry.ops), size + len(frame)
        if ops >= max_ops or size >= _MAX_BYTES:
            break
    return found
