"""The SQLite file of the embedded changelog: what is in it, and how it is opened.

`meta` is one row: whose log it is, and the base it stands on. `tail` is one row per committed entry behind the base:
its offset, and the very bytes of the entry, so that position and content cannot disagree. The base itself is a file
beside it (`base.py`), which counts when `meta` points to it.

Exactly one connection, the server's, ever writes or checkpoints. SQLite before 3.51.3 (Debian 12 has 3.40) can lose
committed transactions when one connection resets the write-ahead log while another checkpoints it
(https://sqlite.org/wal.html, "the WAL-reset bug"); with one connection that does both, it cannot happen. The helper
that folds opens the file for reading only.
"""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

from attrs import astuple, frozen

from scheduler.changelog.datadir import state_of_disk
from scheduler.changelog.errors import Damaged, DataDirRefused, FormatTooNew
from scheduler.changelog.frame import genesis
from scheduler.changelog.wal import find_break
from scheduler.contracts import Unavailable

__all__ = [
    "BASES",
    "DB_FILE",
    "WAL_FILE",
    "Meta",
    "Pointer",
    "check_wal",
    "has_tables",
    "is_checkpointed",
    "move_pointer",
    "open_for_reading",
    "open_for_writing",
    "read_meta",
    "remains_in",
    "sync_folder",
]

DB_FILE: Final = "changelog.db"
WAL_FILE: Final = f"{DB_FILE}-wal"
BASES: Final = "base-*"

_APPLICATION_ID: Final = 0x5453_4E31  # "TSN1", in the file's header: `file changelog.db` shows it
_TABLES_VERSION: Final = 1

_SCHEMA: Final = """
CREATE TABLE meta (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    cluster TEXT NOT NULL,
    lineage BLOB NOT NULL,
    created_ms INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    covered INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    timestamp_ms INTEGER NOT NULL,
    checksum BLOB NOT NULL,
    chunks INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    base_checksum BLOB NOT NULL
);
CREATE TABLE tail ("offset" INTEGER PRIMARY KEY, entry BLOB NOT NULL);
"""


@frozen
class Pointer:
    """Which base counts, and what it covers. `epoch`, `timestamp_ms` and `checksum` are those of the entry `covered`.

    Generation 0 is no base: nothing is covered, and `checksum` is the hash of the lineage.
    """

    generation: int
    covered: int
    epoch: int
    timestamp_ms: int
    checksum: bytes
    chunks: int = 0
    size_bytes: int = 0
    base_checksum: bytes = b""


@frozen
class Meta:
    """`lineage` has 16 bytes; people see it in hexadecimal."""

    cluster: str
    lineage: bytes
    created_ms: int
    pointer: Pointer


def open_for_writing(
    data_dir: Path, cluster: str, lineage: bytes | None = None, *, base: Pointer | None = None, durable: bool = True
) -> sqlite3.Connection:
    """The one connection of the server; the file is made if there is none, of a new lineage.

    `lineage` and `base` are what a new file begins with: it has both, or it is not there.
    Not `durable`, the newest commits may be lost when the machine loses power: for a copy of what is kept elsewhere.
    The caller holds the lock of the folder. May be used in another thread than this.
    Raises DataDirRefused, Unreadable, and Unavailable for a disk that is full or fails: try again later.
    """
    path = data_dir / DB_FILE
    try:
        if durable:
            check_wal(data_dir)
            if base is None and not (path.exists() and path.stat().st_size):
                _check_nothing_remains(data_dir, BASES, WAL_FILE)
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        try:
            db.execute("PRAGMA journal_mode = WAL").fetchone()
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA secure_delete = OFF")  # Debian's default overwrites what is deleted: twice the writing
            db.execute("PRAGMA journal_size_limit = 16777216")  # after a burst the WAL file is cut to 16 MB again
            # What is read back must be on the disk, also if the last server ended because an fsync failed: the pages
            # the log still shows may be in memory only.
            _checkpoint(db)
            if not has_tables(db):
                if durable and base is None:
                    _check_nothing_remains(data_dir, BASES)
                _create(db, cluster, lineage or uuid4().bytes, base)
                sync_folder(data_dir)
            elif _is_empty(db):
                db.execute("UPDATE meta SET cluster = ? WHERE cluster <> ?", (cluster, cluster))
            if not durable:
                db.execute("PRAGMA synchronous = NORMAL")
            found = read_meta(db)
        except BaseException:
            db.close()
            raise
    except sqlite3.Error as error:
        raise _unreadable(path, error) from error
    if found.cluster != cluster:
        db.close()
        raise DataDirRefused(f"{path} is the changelog of the cluster {found.cluster!r}, not of {cluster!r}")
    return db


def _is_empty(db: sqlite3.Connection) -> bool:
    """True of a log nobody ever led with: all that a start leaves that was refused for another reason."""
    return read_meta(db).pointer.generation == 0 and db.execute("SELECT 1 FROM tail LIMIT 1").fetchone() is None


def _checkpoint(db: sqlite3.Connection) -> None:
    try:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:
        # The log stays as it is, and is read from where it is; there must be a leader to say that the disk is full.
        if not is_disk_trouble(error):
            raise


def remains_in(data_dir: Path, *patterns: str) -> list[str]:
    """Names of files there that are not empty."""
    found = (path for pattern in patterns for path in data_dir.glob(pattern))
    return sorted(path.name for path in found if path.stat().st_size)


def _check_nothing_remains(data_dir: Path, *patterns: str) -> None:
    """Raises Damaged. A log whose database was lost must not begin anew: it would be an empty cluster."""
    if remains := remains_in(data_dir, *patterns):
        raise Damaged(None, f"{DB_FILE} is missing or empty, and {', '.join(remains)} is there")


def is_checkpointed(data_dir: Path) -> bool:
    """Is all that was committed in the database itself? Else the log may show what is in memory only, and a loss of
    power would bring back what stood there before."""
    wal = data_dir / WAL_FILE
    return not wal.exists() or wal.stat().st_size == 0


def check_wal(data_dir: Path) -> None:
    """Raises Damaged. Before SQLite opens the file: closing it would remove the evidence."""
    found = find_break(data_dir / WAL_FILE)
    if found is None:
        return
    db = open_for_reading(data_dir)
    try:
        (last,) = db.execute('SELECT max("offset") FROM tail').fetchone()
        after = (last or read_meta(db).pointer.covered) + 1
    except (sqlite3.Error, Damaged):
        after = None
    finally:
        db.close()
    raise Damaged(
        after, f"{WAL_FILE} is broken in its frame {found.frame}, and {found.lost_commits} commits stand behind that"
    )


def open_for_reading(data_dir: Path) -> sqlite3.Connection:
    """Sees what is committed and can change nothing. Raises Unreadable."""
    path = data_dir / DB_FILE
    try:
        return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None, timeout=5.0)
    except sqlite3.Error as error:
        raise _unreadable(path, error) from error


def has_tables(db: sqlite3.Connection) -> bool:
    """False for a new file. Raises DataDirRefused, FormatTooNew."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application == 0 and tables == 0:
        return False
    if application != _APPLICATION_ID:
        raise DataDirRefused(f"{DB_FILE} is a database of some other program")
    if version > _TABLES_VERSION:
        raise FormatTooNew(None, f"its tables are version {version}, this version reads up to {_TABLES_VERSION}")
    return True


def _create(db: sqlite3.Connection, cluster: str, lineage: bytes, base: Pointer | None) -> None:
    """All in one transaction: a file half made does not exist, and a lineage never stands there without its base."""
    now_ms = time.time_ns() // 1_000_000
    db.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA.split(";"):
        db.execute(statement)
    row = (cluster, lineage, now_ms, *astuple(base or Pointer(0, 0, 0, 0, genesis(lineage))))
    db.execute(f"INSERT INTO meta VALUES (1{', ?' * len(row)})", row)
    db.execute(f"PRAGMA user_version = {_TABLES_VERSION}")
    db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    db.execute("COMMIT")


def sync_folder(path: Path) -> None:
    """Make the names of new files durable."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_meta(db: sqlite3.Connection) -> Meta:
    """Raises Damaged."""
    row: tuple[Any, ...] | None = db.execute(
        "SELECT cluster, lineage, created_ms, generation, covered, epoch, timestamp_ms, checksum, chunks, size_bytes,"
        " base_checksum FROM meta"
    ).fetchone()
    if row is None:
        raise Damaged(None, "it does not say whose it is (its table meta is empty)")
    return Meta(row[0], row[1], row[2], Pointer(*row[3:]))


def move_pointer(db: sqlite3.Connection, to: Pointer) -> None:
    """Make another base the one that counts: one row, durable when this returns, whatever else is.

    The base before it is removed next, and must not be the one that counts again after a loss of power.
    """
    (synchronous,) = db.execute("PRAGMA synchronous").fetchone()
    db.execute("PRAGMA synchronous = FULL")
    try:
        db.execute(
            "UPDATE meta SET generation = ?, covered = ?, epoch = ?, timestamp_ms = ?, checksum = ?, chunks = ?,"
            " size_bytes = ?, base_checksum = ?",
            astuple(to),
        )
    finally:
        db.execute(f"PRAGMA synchronous = {synchronous}")


def is_disk_trouble(error: sqlite3.Error) -> bool:
    """Is it the disk that refuses, and may take it later?"""
    name = getattr(error, "sqlite_errorname", None) or ""
    return name.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_BUSY"))


def _unreadable(path: Path, error: sqlite3.Error) -> Damaged | DataDirRefused | Unavailable:
    if is_disk_trouble(error):
        return Unavailable(f"{path} cannot be opened now: {error}{state_of_disk(path.parent)}")
    if isinstance(error, sqlite3.DatabaseError) and error.sqlite_errorname in ("SQLITE_NOTADB", "SQLITE_CORRUPT"):
        return Damaged(None, f"{path} is not a sound SQLite file ({error})")
    return DataDirRefused(f"{path} cannot be opened: {error}")
