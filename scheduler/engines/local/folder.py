"""The engine's folder: whose it is, the highest epoch seen, and one folder per task id. Synchronous.

The fence lives here. Whatever starts a task or calls one dead happens under the folder's flock, after the caller's
epoch was compared with the stored one, and begins with the one `mkdir` a task id can ever have.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

from scheduler.contracts import EngineError

log = logging.getLogger(__name__)

LOCK_WAIT_SECS = 10.0
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")


class OldEpoch(Exception):
    """The order came from a leader that was followed by another."""

    def __init__(self, epoch: int, stored: int) -> None:
        super().__init__(f"epoch {epoch} is older than {stored}: another scheduler leads")
        self.stored = stored


def folder_name(task_id: str) -> str:
    """The name of a task's folder: its id, or for an id no folder can have, its beginning and a hash."""
    if _PLAIN_NAME.fullmatch(task_id):
        return task_id
    start = re.sub(r"[^A-Za-z0-9_-]", "-", task_id)[:150].lstrip("-")
    return f"{start}~{blake2b(task_id.encode(), digest_size=16).hexdigest()}"


def write_file(path: Path, value: Any, *, durable: bool = False) -> None:
    """Replace a JSON file as a whole. Raises OSError."""
    new = path.with_name(path.name + ".new")
    with new.open("w", encoding="utf-8") as f:
        f.write(json.dumps(value) + "\n")
        if durable:
            f.flush()
            os.fsync(f.fileno())
    new.rename(path)
    if durable:
        fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def read_file(path: Path) -> dict[str, Any] | None:
    """None when it is not there, or not whole."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return value if isinstance(value, dict) else None


class EngineFolder:
    """Raises EngineError for what an operator has to put right, OSError for what the disk refuses."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tasks = path / "tasks"
        self.trash = path / "trash"
        self.nudge_socket = path / "nudge.sock"
        self._identity = path / "identity.json"
        self._epoch = path / "epoch.json"
        self._lock = path / "lock"

    def make(self) -> None:
        for folder in (self.path, self.tasks, self.trash):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def locked(self, epoch: int | None = None) -> Iterator[None]:
        """Nobody else starts tasks here, or calls them dead, meanwhile. Raises OldEpoch for an epoch that is over."""
        fd = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._wait_for_lock(fd)
            if epoch is not None:
                stored = self.epoch()
                if epoch < stored:
                    raise OldEpoch(epoch, stored)
            yield
        finally:
            os.close(fd)

    def _wait_for_lock(self, fd: int) -> None:
        give_up_at = time.monotonic() + LOCK_WAIT_SECS
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > give_up_at:
                    raise EngineError(
                        f"{self._lock} has been held for {LOCK_WAIT_SECS:g} s: is a scheduler of this host stopped?"
                    ) from None
            time.sleep(0.002)

    def epoch(self) -> int:
        record = read_file(self._epoch)
        return int(record["epoch"]) if record else 0

    def raise_epoch(self, epoch: int) -> None:
        """Durable: what an older leader still sends is refused from now on, also after a reboot."""
        if epoch > self.epoch():
            write_file(self._epoch, {"epoch": epoch}, durable=True)

    def identity(self) -> dict[str, Any] | None:
        return read_file(self._identity)

    def claim(self, cluster: str, lineage: str) -> None:
        """Begin anew: other epochs counted for the one before."""
        self._epoch.unlink(missing_ok=True)
        write_file(self._identity, {"cluster": cluster, "lineage": lineage, "layout": 1}, durable=True)

    def name_host(self, name: str) -> None:
        """Write down under which name the tasks of a folder that is claimed run."""
        write_file(self._identity, {**(self.identity() or {}), "host": name}, durable=True)

    def task_names(self) -> list[str]:
        return sorted(entry.name for entry in os.scandir(self.tasks) if entry.is_dir(follow_symlinks=False))

    def task(self, task_id: str) -> Path:
        return self.tasks / folder_name(task_id)

    def throw_away(self, path: Path) -> None:
        """Out of sight at once; `empty_trash` takes its time."""
        target = self.trash / f"{path.name}.{time.monotonic_ns()}"
        try:
            path.rename(target)
        except FileNotFoundError:
            return
        except PermissionError:  # its task took our right to move it
            path.chmod(0o700)
            path.rename(target)

    def empty_trash(self) -> None:
        """Remove what was thrown away. What will not go is named in the log, and stays until the next time."""
        left: list[OSError] = []
        for entry in list(os.scandir(self.trash)):
            try:
                _remove(entry.path)
            except FileNotFoundError:
                continue  # another one empties it too
            except OSError as e:
                left.append(e)
        if left:
            log.warning("%s: %d of the folders thrown away cannot be removed: %s", self.trash, len(left), left[0])


def _remove(path: str) -> None:
    """With all that is in it. A task may have made folders that not even their owner may change."""
    try:
        shutil.rmtree(path)
        return
    except PermissionError:
        Path(path).chmod(0o700)
    for parent, folders, _ in os.walk(path):  # it goes into a folder when we have been there
        for folder in folders:
            inside = Path(parent, folder)
            if not inside.is_symlink():
                inside.chmod(0o700)
    shutil.rmtree(path)
