"""No checkpoint, although there is a place for one: the disk does not take it. A scheduler takes part without.

Everything is read from ZooKeeper then. A standby looks now and then whether the disk takes it again, and begins anew
with it; a leader leads on, and makes neither snapshots nor backups until it was a standby again.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from pathlib import Path
from typing import Final

from scheduler.changelog.checkpoint import FOLDER, Checkpoint
from scheduler.changelog.errors import DataDirRefused, Unreadable
from scheduler.changelog.store import DB_FILE
from scheduler.contracts import Unavailable

__all__ = ["CheckpointIsBack", "Missing"]

LOOK_EVERY_S: Final = 10.0
_ROOM_BYTES: Final = 1024 * 1024
"""Less than this, and it would fall behind at once."""
_PROBE: Final = "room"

_log = logging.getLogger("thesan")


class CheckpointIsBack(Exception):
    """The disk takes a checkpoint again: close the changelog, and open it anew."""


class Missing:
    """Since when and why there is none, and whether there could be one by now."""

    def __init__(self, data_dir: Path, cluster: str, why: Exception) -> None:
        self.why = str(why)
        self._data_dir = data_dir
        self._cluster = cluster
        self._since_s = time.monotonic()
        self._look_at_s = self._since_s + LOOK_EVERY_S
        _log.error(
            "there is no checkpoint, and no snapshot or backup is made here (the log in ZooKeeper is complete): %s;"
            " make room, and start this scheduler anew if it leads by then",
            why,
        )

    @property
    def age_ms(self) -> int:
        return int((time.monotonic() - self._since_s) * 1000)

    def check_nothing_is_there(self) -> None:
        """Raises Unavailable when there is a checkpoint that cannot be read: it may know of a log that is gone."""
        if (self._data_dir / FOLDER / DB_FILE).exists():
            raise Unavailable(f"there is no log in ZooKeeper, and whether there was one cannot be seen: {self.why}")

    def is_back(self, base_bytes: int) -> bool:
        """Would the disk take one with a base of this size? Looks every LOOK_EVERY_S at most."""
        now_s = time.monotonic()
        if now_s < self._look_at_s:
            return False
        self._look_at_s = now_s + LOOK_EVERY_S
        probe = self._data_dir / _PROBE
        try:
            Checkpoint(self._data_dir, self._cluster).give_up()
            if shutil.disk_usage(self._data_dir).free < _ROOM_BYTES + 2 * base_bytes:
                return False
            try:
                probe.write_bytes(os.urandom(_ROOM_BYTES))  # not zeros, which some disks do not store
            finally:
                probe.unlink(missing_ok=True)
        except (Unavailable, DataDirRefused, Unreadable, OSError):
            return False
        return True
