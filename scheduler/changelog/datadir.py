"""The folder a server keeps its changelog in: its permissions, and the lock that makes it one server's own."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Final

from scheduler.changelog.errors import DataDirRefused
from scheduler.contracts import Unavailable

__all__ = ["LOCK_FILE", "FileLock", "lock", "prepare", "state_of_disk"]

LOCK_FILE: Final = "lock"
_TRIES: Final = 5
_PAUSE_S: Final = 0.02
_FULL_BYTES: Final = 64 * 1024
"""What SQLite wants at least to open a file: the index of its log and a page or two."""


def prepare(path: Path) -> None:
    """Make the folder with mode 0700, or check that it is one nobody else can look into.

    Raises DataDirRefused, and Unavailable when it is the disk that refuses.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        told = path.stat()
    except FileExistsError:
        raise DataDirRefused(f"the data directory {path} is not a directory") from None
    except OSError as error:
        raise _refusal(f"the data directory {path} cannot be made", error) from error
    if told.st_uid != os.geteuid():
        raise DataDirRefused(f"the data directory {path} belongs to user {told.st_uid}, this is user {os.geteuid()}")
    if told.st_mode & 0o077:
        if any(path.iterdir()):
            raise DataDirRefused(
                f"the data directory {path} can be read or written by others (mode {told.st_mode & 0o777:o}): "
                f"if it is meant, run chmod 700 {shlex.quote(str(path))}"
            )
        path.chmod(0o700)


class FileLock:
    """An exclusive lock on a file, held until `release` or the death of the process, and who holds it.

    A child does not inherit it. The file stays behind: removing it would let two holders lock two files of one name.
    """

    def __init__(self, path: Path) -> None:
        """Raises BlockingIOError when somebody else holds it; `holder` says who."""
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise
        told = f"{os.getpid()}\n{shlex.join(sys.orig_argv)}\n"
        with contextlib.suppress(OSError):  # on a full disk the lock holds all the same, and cannot say for whom
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, told.encode(errors="surrogateescape"), 0)

    @staticmethod
    def holder(path: Path) -> str:
        """The holder in words, as far as the file tells."""
        pid, _, command = path.read_bytes().decode(errors="replace").partition("\n")
        return f"process {pid} ({command.strip()})" if pid.isdecimal() else "another process"

    @staticmethod
    def is_held(path: Path) -> bool:
        """Does somebody hold it now? Writes nothing, also where nothing can be written."""
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(file)
        return False

    def release(self) -> None:
        if self._file >= 0:
            with contextlib.suppress(OSError):  # what it says of us is in the way of nobody
                os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = -1


def lock(path: Path) -> FileLock:
    """Take the folder for this process alone.

    Raises DataDirRefused and says who has it, and Unavailable when it is the disk that refuses.
    """
    try:
        return _patiently(path / LOCK_FILE)
    except BlockingIOError:
        who = FileLock.holder(path / LOCK_FILE)
        raise DataDirRefused(f"the data directory {path} is in use by {who}: stop it, or use another one") from None
    except OSError as error:
        raise _refusal(f"the data directory {path} cannot be locked", error) from error


def _patiently(path: Path) -> FileLock:
    """Who only asks whether it is held (`is_held`) holds it for an instant."""
    for _ in range(_TRIES - 1):
        with contextlib.suppress(BlockingIOError):
            return FileLock(path)
        time.sleep(_PAUSE_S)
    return FileLock(path)


def _refusal(what: str, error: OSError) -> DataDirRefused | Unavailable:
    of_disk = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
    return (Unavailable if of_disk else DataDirRefused)(f"{what}: {error.strerror}")


def state_of_disk(path: Path) -> str:
    """What is to be said of the disk under `path` beside an error that does not say it; empty: nothing."""
    try:
        found = os.statvfs(path)
    except OSError as error:
        return f" ({error.strerror})"
    if found.f_flag & os.ST_RDONLY:
        return " (the file system is read-only)"
    if found.f_bavail * found.f_frsize < _FULL_BYTES:
        return " (the disk is full)"
    return " (the disk has no more files)" if found.f_files and not found.f_favail else ""
