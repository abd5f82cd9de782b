"""One task's folder, read from outside: does its executor live, what has it said, how did it end. Synchronous.

File names and contents are the executor's (`scheduler/executor/folder.py`); an executor may be older than we are.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import time
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any

from attrs import frozen

from scheduler.contracts import TaskReport
from scheduler.core.records import TaskStatus
from scheduler.engines.local.folder import read_file, write_file
from scheduler.engines.local.identity import boot_id, open_process

LOCK, SPEC, EXECUTOR, PROCESSES, STATUS, EXIT, SANDBOX = (
    "lock",
    "spec.json",
    "executor.json",
    "processes.json",
    "status.jsonl",
    "exit.json",
    "sandbox",
)
TOMBSTONE = "tombstone.json"
"""The engine's word that a task is dead, where the executor's `exit.json` is missing and will stay so."""

log = logging.getLogger(__name__)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Life(Enum):
    ALIVE = "alive"
    ENDED = "ended"
    DEAD = "dead"
    """Neither alive nor ended: its executor died without a word, or never came to life."""


@frozen
class Started:
    """A process of the task, or its executor, as the executor recorded it."""

    pid: int
    start_time: int


def task_id_of(path: Path) -> str:
    """The task a folder belongs to. Cut off before it was written down: the folder's name is the id then."""
    for name in (SPEC, TOMBSTONE):
        record = read_file(path / name)
        if record and isinstance(record.get("task_id"), str):
            return str(record["task_id"])
    return path.name


def lock_is_held(path: Path) -> bool:
    """Does an executor live here? It holds the lock from before its start until it is gone, however it goes."""
    try:
        fd = os.open(path / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def end_of(path: Path, task_id: str) -> TaskReport | None:
    """How the task ended, by its executor's word or the engine's; None while nobody said so."""
    record = read_file(path / EXIT) or read_file(path / TOMBSTONE)
    return to_report(task_id, record) if record else None


def life_of(path: Path) -> Life:
    """An end that is written counts, whether or not its writer has left yet: it was its last act. The lock is looked
    at first, since whoever frees it has written before."""
    held = lock_is_held(path)
    if (path / EXIT).exists() or (path / TOMBSTONE).exists():
        return Life.ENDED
    return Life.ALIVE if held else Life.DEAD


def open_executor(path: Path) -> int | None:
    """A descriptor of the task's executor; None when it has not said yet who it is, or is not the one it says."""
    record = read_file(path / EXECUTOR)
    if record is None or record.get("boot_id") != boot_id():
        return None
    try:
        return open_process(record["pid"], record["start_time"])
    except OSError as e:  # too many open files
        log.error("cannot watch process %s: %s", record["pid"], e)
        return None


def was_of_another_boot(path: Path) -> bool:
    record = read_file(path / EXECUTOR)
    return record is not None and record.get("boot_id") != boot_id()


def executor_of(path: Path) -> Started | None:
    """None when it has not said who it is."""
    record = read_file(path / EXECUTOR)
    return Started(record["pid"], record["start_time"]) if record else None


def processes_of(path: Path) -> list[Started]:
    """The processes its executor recorded as running."""
    record = read_file(path / PROCESSES) or {}
    return [Started(p["pid"], p["start_time"]) for p in record.get("processes", ()) if "pid" in p]


def bury(path: Path, task_id: str, status: TaskStatus, message: str) -> TaskReport:
    """Write that the task is dead. The caller holds the engine's lock and knows that no executor lives."""
    record = {"task_id": task_id, "status": status.name, "message": message, "timestamp_ms": now_ms()}
    # Not fsynced: after a crash of the machine a folder without a word is found dead once more.
    write_file(path / TOMBSTONE, record)
    return to_report(task_id, record)


def to_report(task_id: str, record: dict[str, Any]) -> TaskReport:
    return TaskReport(task_id, TaskStatus[record["status"]], record.get("message"), record.get("timestamp_ms"))


class StatusReader:
    """Reads what an executor appends, each report once."""

    def __init__(self, path: Path, task_id: str) -> None:
        self._path = path / STATUS
        self._task_id = task_id
        self._offset = 0

    def read(self) -> list[TaskReport]:
        """The status changes since the last call. A line that is not whole yet is left for the next one."""
        try:
            with self._path.open("rb") as f:
                f.seek(self._offset)
                data = f.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        reports = []
        for line in whole.splitlines():
            with suppress(ValueError, KeyError):
                record = json.loads(line)
                if "status" in record:
                    reports.append(to_report(self._task_id, record))
        return reports
