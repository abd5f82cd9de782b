"""Reading it all back: the base, then the tail. Nothing is skipped and nothing is guessed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from attrs import frozen

from scheduler.changelog.base import read_base
from scheduler.changelog.codec import decode
from scheduler.changelog.configs import Configs
from scheduler.changelog.errors import Damaged
from scheduler.changelog.store import Pointer, read_meta
from scheduler.contracts import Entry
from scheduler.core.ops import Op

__all__ = ["LoadResult", "apply_all", "load"]

# Rows are fetched in pieces, each in a read transaction of its own: one held open for long would keep the write-ahead
# log from being cut.
_PIECE_ROWS: Final = 200


@frozen
class LoadResult:
    """Where the log ends, and how much was read. `offset` 0: the log is empty.

    `epoch`, `timestamp_ms` and `checksum` are those of the last entry. `lineage` is 32 hexadecimal digits.
    """

    offset: int
    epoch: int
    timestamp_ms: int
    checksum: bytes
    lineage: str
    cluster: str
    base: Pointer
    base_ops: int
    tail_entries: int
    tail_ops: int
    tail_bytes: int


def load(
    db: sqlite3.Connection,
    data_dir: Path,
    apply: Callable[[Op], None],
    configs: Configs,
    *,
    upto: int | None = None,
    passed: Callable[[Entry], None] | None = None,
) -> LoadResult:
    """Give every op, in order, to `apply`; `upto` is the last offset to read.

    `passed` is told each entry of the tail, once it was applied.

    An exception of `apply` means that the op does not fit what came before it, which is damage too.
    Raises Damaged with the offset, ForeignLineage, FormatTooNew.
    """
    try:
        return _load(db, data_dir, apply, configs, upto, passed)
    except sqlite3.Error as error:
        raise Damaged(None, f"SQLite cannot read it ({error})") from error


def _load(
    db: sqlite3.Connection,
    data_dir: Path,
    apply: Callable[[Op], None],
    configs: Configs,
    upto: int | None,
    passed: Callable[[Entry], None] | None,
) -> LoadResult:
    meta = read_meta(db)
    pointer = meta.pointer
    base_ops = 0
    for chunk in read_base(data_dir, pointer, meta.lineage, configs):
        apply_all(chunk, apply, pointer.covered)
        base_ops += len(chunk)

    last, epoch, timestamp_ms, checksum = pointer.covered, pointer.epoch, pointer.timestamp_ms, pointer.checksum
    entries = tail_ops = tail_bytes = 0
    end = 2**63 - 1 if upto is None else upto
    while rows := _piece(db, last, end):
        for offset, frame in rows:
            if offset != last + 1:
                raise Damaged(last + 1, f"this entry is missing, the next one there is {offset}")
            entry, checksum = decode(frame, offset=offset, lineage=meta.lineage, previous=checksum, configs=configs)
            if entry.epoch < epoch:
                raise Damaged(offset, f"its epoch {entry.epoch} is lower than the epoch {epoch} before it")
            apply_all(entry.ops, apply, offset)
            if passed is not None:
                passed(entry)
            last, epoch, timestamp_ms = offset, entry.epoch, entry.timestamp_ms
            entries, tail_ops, tail_bytes = entries + 1, tail_ops + len(entry.ops), tail_bytes + len(frame)
    lineage = meta.lineage.hex()
    return LoadResult(
        last, epoch, timestamp_ms, checksum, lineage, meta.cluster, pointer, base_ops, entries, tail_ops, tail_bytes
    )


def _piece(db: sqlite3.Connection, after: int, end: int) -> list[tuple[int, bytes]]:
    return db.execute(
        'SELECT "offset", entry FROM tail WHERE "offset" > ? AND "offset" <= ? ORDER BY "offset" LIMIT ?',
        (after, end, _PIECE_ROWS),
    ).fetchall()


def apply_all(ops: Iterable[Op], apply: Callable[[Op], None], offset: int) -> None:
    """Raises Damaged with the offset."""
    for op in ops:
        try:
            apply(op)
        except Exception as error:
            raise Damaged(offset, f"{type(op).__name__} does not fit the state before it ({error!r})") from error
