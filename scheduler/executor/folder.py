"""The task's folder on disk, as the executor sees it: what it reads there and what it writes, in which order.

`spec.json` is read; `executor.json` says who we are before any process starts; `processes.json` what runs;
`status.jsonl` only grows, by the few changes of status a task has; `exit.json` is written, fsynced and renamed, and
says that the task ended. The flock on `lock` is held as long as we live.
"""

from __future__ import annotations

import fcntl
import os
from _socket import AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, socket
from time import time

from scheduler.executor.light import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LOCK, SPEC, EXECUTOR, PROCESSES, STATUS, EXIT, SANDBOX = (
    "lock",
    "spec.json",
    "executor.json",
    "processes.json",
    "status.jsonl",
    "exit.json",
    "sandbox",
)
NUDGE_SOCKET = "nudge.sock"
RESERVED_BYTES = 4096


class AlreadyRunning(Exception):
    """Another executor holds the lock of this folder."""


def process_start_time(pid: int) -> int:
    """When a process started, in clock ticks since boot (field 22 of /proc/PID/stat): with its pid, who it is."""
    with open(f"/proc/{pid}/stat", "rb") as f:
        return int(f.read().rpartition(b") ")[2].split()[19])


def boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id") as f:
        return f.read().strip()


def now_ms() -> int:
    return int(time() * 1000)


class TaskFolder:
    """`path` is the task's folder; `lock_fd` an open, locked descriptor of its `lock` file, from the engine."""

    def __init__(self, path: str, lock_fd: int | None) -> None:
        self.path = os.path.abspath(path)
        self.name = os.path.basename(self.path)
        self._lock_fd = self._take_lock(lock_fd)
        root = os.path.dirname(os.path.dirname(self.path))
        self._root_fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._nudges = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC)
        self._unwritten: list[str] = []
        self.nudge_waits = False
        """A nudge found the engine's queue full and has to be repeated."""

    def _take_lock(self, lock_fd: int | None) -> int:
        if lock_fd is None:
            lock_fd = os.open(f"{self.path}/{LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.set_inheritable(lock_fd, False)  # the task's processes must not hold it
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock_fd)
            raise AlreadyRunning(self.path) from None
        return lock_fd

    def close(self) -> None:
        """Let go of the folder and its lock."""
        self._nudges.close()
        os.close(self._root_fd)
        os.close(self._lock_fd)

    @property
    def is_gone(self) -> bool:
        return not os.path.isdir(self.path)

    def read_spec(self) -> dict[str, Any]:
        with open(f"{self.path}/{SPEC}", encoding="utf-8") as f:
            spec: dict[str, Any] = loads(f.read())
        return spec

    def record_executor(self) -> None:
        """Say who we are, and put aside the room our last word will need on a disk that is full by then."""
        pid = os.getpid()
        record = {"pid": pid, "start_time": process_start_time(pid), "boot_id": boot_id()}
        self._replace(EXECUTOR, record)
        try:
            with open(f"{self.path}/{EXIT}.new", "wb") as f:
                f.write(b" " * RESERVED_BYTES)
        except OSError:
            pass  # full already: the end is then written as soon as there is room

    def record_processes(self, processes: list[dict[str, Any]]) -> None:
        """What runs now and how often it has, for people, and for the engine to find what is left should we die.

        On a full disk the last record stays: what is left is then known by its environment and output alone.
        """
        try:  # noqa: SIM105  # contextlib costs every task memory
            self._replace(PROCESSES, {"processes": processes})
        except OSError:
            pass

    def _replace(self, name: str, record: dict[str, Any]) -> None:
        with open(f"{self.path}/{name}.new", "w") as f:
            f.write(dumps(record) + "\n")
        os.rename(f"{self.path}/{name}.new", f"{self.path}/{name}")

    def note(self, status: str, message: str | None = None) -> None:
        """Append a change of status and nudge the engine. What cannot be written now is kept for later."""
        record = {"status": status, "message": message, "timestamp_ms": now_ms()}
        self._unwritten.append(dumps(record) + "\n")
        self.write_notes()

    def write_notes(self) -> None:
        if self._unwritten:
            try:
                with open(f"{self.path}/{STATUS}", "a") as f:
                    f.write("".join(self._unwritten))
                self._unwritten = []
            except OSError:
                return
        self.nudge()

    @property
    def notes_wait(self) -> bool:
        return bool(self._unwritten)

    def write_exit(self, record: dict[str, Any]) -> None:
        """Record the end, durably. Raises OSError; may be called again."""
        text = (dumps(record) + "\n").encode()
        new = f"{self.path}/{EXIT}.new"
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)  # no O_TRUNC: it would give the room back
        try:
            written = 0
            while written < len(text):
                written += os.pwrite(fd, text[written:], written)
            os.ftruncate(fd, len(text))
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(new, f"{self.path}/{EXIT}")
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def nudge(self, payload: str = "") -> None:
        """Tell the engine to look here. Best effort: it also looks by itself, only later.

        `payload` is the exit record itself, when it could not be written.
        """
        try:
            # A path by way of the descriptor: a unix socket's own path may have 107 bytes at most.
            self._nudges.sendto(f"{self.name}\n{payload}".encode(), f"/proc/self/fd/{self._root_fd}/{NUDGE_SOCKET}")
            self.nudge_waits = False
        except BlockingIOError:
            self.nudge_waits = True
        except OSError:
            self.nudge_waits = False  # nobody listens: the next engine reads the files
