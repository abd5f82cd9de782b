"""Backups: files to keep elsewhere. Each is the whole state at one offset, whichever mode it was made in.

A line of JSON says whose state it is and what must come out of what follows: a base file, packed (`packing.py`). The
last field of the line is a checksum of all that stands before it; in format 1 there is none. A file is written beside
its name, made durable, and renamed, so what has the name of a backup is whole. Names are Aurora's,
`scheduler-backup-<yyyy-MM-dd-HH-mm>`, in UTC; a second one in the same minute takes the place of the first, as there.
"""

from __future__ import annotations

import calendar
import json
import os
import shutil
import time
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from scheduler.changelog.base import base_path, read_base
from scheduler.changelog.configs import Configs
from scheduler.changelog.errors import Damaged, Unreadable
from scheduler.changelog.frame import CHECKSUM_BYTES
from scheduler.changelog.packing import PART_BYTES, Unpacking, packed
from scheduler.changelog.store import Pointer, sync_folder
from scheduler.core.ops import Op

__all__ = ["Backup", "backup_id", "list_backups", "made_s", "prune", "read_backup", "sweep_backups", "write_backup"]

_PREFIX: Final = "scheduler-backup-"
_TEMPORARY: Final = "temp_"
_STAGING: Final = ".staging-"
"""Folders of releases that unpacked what they staged here."""
_MAGIC: Final = "thesan backup"
_FORMAT: Final = 2
_SEALED: Final = b', "line_checksum": "'
_MAX_LINE: Final = 64 * 1024
_MOST: Final = 2**62
"""Of a number in the line: what is added to it later still has 63 bits."""
_MOST_MS: Final = 253_402_300_799_999
"""Of an instant: the end of the year 9999."""


@frozen
class Backup:
    """What the first line says: a state of `cluster` in the history `lineage`, as `base` describes it."""

    cluster: str
    lineage: bytes
    created_ms: int
    base: Pointer

    def to_line(self) -> bytes:
        base = self.base
        told = {
            "what": _MAGIC,
            "format": _FORMAT,
            "cluster": self.cluster,
            "lineage": self.lineage.hex(),
            "created_ms": self.created_ms,
            "offset": base.covered,
            "epoch": base.epoch,
            "timestamp_ms": base.timestamp_ms,
            "checksum": base.checksum.hex(),
            "chunks": base.chunks,
            "size_bytes": base.size_bytes,
            "base_checksum": base.base_checksum.hex(),
        }
        line = json.dumps(told).encode()[:-1]
        return line + _SEALED + _checksum(line) + b'"}\n'

    @classmethod
    def from_line(cls, line: bytes, name: str) -> Backup:
        """Raises Unreadable."""
        try:
            told = json.loads(line)
            if told["what"] != _MAGIC:
                raise ValueError(told["what"])
            if _whole(told, "format") > _FORMAT:
                raise Unreadable(f"{name} has format {told['format']}, this version reads up to {_FORMAT}")
            if told["format"] > 1 or "line_checksum" in told:
                sealed, _, checksum = line.rpartition(_SEALED)
                if checksum != _checksum(sealed) + b'"}\n':
                    raise Unreadable(f"{name} is damaged: the checksum of its first line does not match")
            base = Pointer(
                1,
                _whole(told, "offset"),
                _whole(told, "epoch"),
                _whole(told, "timestamp_ms", _MOST_MS),
                _digest(told, "checksum"),
                _whole(told, "chunks"),
                _whole(told, "size_bytes"),
                _digest(told, "base_checksum"),
            )
            return cls(str(told["cluster"]), _digest(told, "lineage"), _whole(told, "created_ms", _MOST_MS), base)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Unreadable(f"{name} is no backup of Thesan's ({error!r})") from None


def _checksum(data: bytes) -> bytes:
    """In hexadecimal, as it stands in the line."""
    return blake2b(data, digest_size=CHECKSUM_BYTES).hexdigest().encode()


def _whole(told: dict[str, Any], name: str, most: int = _MOST) -> int:
    value = told[name]
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{name} is {value!r}, and must be a whole number from 0 to {most}")
    return value


def _digest(told: dict[str, Any], name: str) -> bytes:
    value = bytes.fromhex(told[name])
    if len(value) != CHECKSUM_BYTES:
        raise ValueError(f"{name} has {len(value)} bytes, and must have {CHECKSUM_BYTES}")
    return value


def backup_id(now_ms: int) -> str:
    """The name of a backup made now."""
    return _PREFIX + time.strftime("%Y-%m-%d-%H-%M", time.gmtime(now_ms / 1000))


def made_s(name: str) -> int | None:
    """When a backup of this name was made, in seconds since 1970, to the minute; None for another name."""
    try:
        return calendar.timegm(time.strptime(name, _PREFIX + "%Y-%m-%d-%H-%M"))
    except ValueError:
        return None


def list_backups(folder: Path) -> list[str]:
    """Names of files, oldest first. Nothing when there is no such folder. Raises OSError."""
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.name.startswith(_PREFIX) and path.is_file())


def write_backup(folder: Path, name: str, backup: Backup, base_file: Path) -> int:
    """Make the file `name` of a base; returns its size in bytes. For a thread. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = folder / (_TEMPORARY + name)
    try:
        temporary.unlink(missing_ok=True)
        temporary.touch(mode=0o600)
        with temporary.open("wb") as file:
            file.write(backup.to_line())
            for part in packed(base_file):
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        temporary.rename(folder / name)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(folder)
    return size


def prune(folder: Path, keep: int, made: str = "") -> list[str]:
    """Remove the oldest until `keep` are left, but never `made`; returns which. Raises OSError."""
    names = list_backups(folder)
    gone = [name for name in names[: max(0, len(names) - keep)] if name != made]
    for name in gone:
        (folder / name).unlink(missing_ok=True)
    return gone


def sweep_backups(folder: Path) -> None:
    """Remove what a process left that ended in the middle. While no backup is being written. Raises OSError."""
    for path in folder.glob(f"{_TEMPORARY}{_PREFIX}*") if folder.is_dir() else ():
        path.unlink(missing_ok=True)
    for path in folder.glob(f"{_STAGING}*") if folder.is_dir() else ():
        shutil.rmtree(path, ignore_errors=True)


def read_backup(path: Path, scratch: Path, apply: Callable[[Op], None]) -> Backup:
    """Check all of a backup and give its ops to `apply`. `scratch` is an empty folder with room for the base.

    Blocks for seconds with a large state: for a thread. Raises Unreadable, OSError.
    """
    with path.open("rb") as file:
        backup = Backup.from_line(file.readline(_MAX_LINE), path.name)
        unpacked = base_path(scratch, backup.base.generation)
        try:
            with Unpacking(unpacked, backup.base) as base:
                while part := file.read(PART_BYTES):
                    base.add(part)
                base.finish()
            for ops in read_base(scratch, backup.base, backup.lineage, Configs()):
                for op in ops:
                    apply(op)
        except Damaged as wrong:
            raise Unreadable(f"{path.name} is damaged: {wrong.what}") from None
        finally:
            unpacked.unlink(missing_ok=True)
    return backup
