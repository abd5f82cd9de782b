"""Copies of the state: snapshots when somebody asks, backups now and every so often, and the backup that is staged.

What a backup holds is a base: the helper process folds what is committed, and a thread packs the file. So the loop
stands still for none of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from scheduler.changelog.backup import (
    Backup,
    backup_id,
    list_backups,
    made_s,
    prune,
    read_backup,
    sweep_backups,
    write_backup,
)
from scheduler.changelog.errors import Unreadable
from scheduler.contracts import Unavailable
from scheduler.core.answers import Answer, Code, Refused, error
from scheduler.core.state import State, apply
from scheduler.leadership.term import Copies

LOG = logging.getLogger("thesan")

LOOK_EVERY_S = 60
"""How often a timer should look whether a backup is due."""


class Archive:
    """Implements `contracts.Archive`. Open while this server leads."""

    def __init__(self, folder: Path, cluster: str, *, interval_ms: int, keep: int) -> None:
        self._folder = folder
        self._cluster = cluster
        self._interval_ms = interval_ms
        self._keep = keep
        self._copies: Copies | None = None
        self._lineage = ""
        self._staged: tuple[str, State] | None = None
        self._staging = False
        self._writing = asyncio.Lock()
        self._looking: asyncio.Task[None] | None = None
        self._since_s = time.monotonic()
        self.made = self.failed = 0

    def open(self, copies: Copies, lineage: str) -> None:
        self._copies, self._lineage = copies, lineage

    def close(self) -> None:
        """What was staged belonged to this leader's memory."""
        self._copies = self._staged = None

    def metrics(self) -> dict[str, int]:
        return {
            "scheduler_backup_success": self.made,
            "scheduler_backup_failed": self.failed,
            "recovery_staged": int(self._staged is not None),
        }

    def _opened(self) -> Copies:
        if self._copies is None:
            raise Refused(Answer(Code.ERROR_TRANSIENT, ("The scheduler does not lead.",)))
        return self._copies

    # --- snapshots and backups ---

    async def snapshot(self) -> None:
        try:
            await self._opened().snapshot()
        except Unavailable as wrong:
            raise Refused(error(f"no snapshot was made: {wrong}")) from wrong

    async def back_up(self) -> None:
        copies = self._opened()
        async with self._writing:
            try:
                name, size = await self._write(copies)
            except (Unavailable, OSError) as wrong:
                self.failed += 1
                LOG.error("no backup was made in %s: %s", self._folder, wrong)
                raise Refused(error(f"no backup was made in {self._folder}: {wrong}")) from wrong
        self.made += 1
        LOG.info("backup %s: %d bytes in %s", name, size, self._folder)

    async def _write(self, copies: Copies) -> tuple[str, int]:
        base, file = await copies.fold()
        now_ms = time.time_ns() // 1_000_000
        name = backup_id(now_ms)
        backup = Backup(self._cluster, bytes.fromhex(self._lineage), now_ms, base)
        await asyncio.to_thread(self._tidy, sweep_backups, self._folder)
        size = await asyncio.to_thread(write_backup, self._folder, name, backup, file)
        await asyncio.to_thread(self._tidy, prune, self._folder, self._keep, name)
        return name, size

    def _tidy(self, remove: Callable[..., object], *args: object) -> None:
        """What is in the way of that is not in the way of a backup."""
        try:
            remove(*args)
        except OSError as wrong:
            LOG.warning("what is not needed any more stays in %s: %s", self._folder, wrong)

    def look(self) -> None:
        """Begin a backup if one is due: so long after the newest one, whoever made that. For a timer.

        The names tell when that was, since a file that is copied is as old as its copy. One from days to come is of a
        clock that was wrong, and waits for nobody.
        """
        if self._copies is not None and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._back_up_if_due(), name="backup")

    async def _back_up_if_due(self) -> None:
        if await asyncio.to_thread(self._is_due):
            with contextlib.suppress(Refused):  # it was logged and counted; the next look tries again
                await self.back_up()

    def _is_due(self) -> bool:
        try:
            made = [made_s(name) for name in list_backups(self._folder)]
        except OSError:  # it is said when the backup is to be written
            made = []
        now_s = time.time()
        ages_s = (now_s - one for one in made if one is not None and one <= now_s)
        return min(ages_s, default=time.monotonic() - self._since_s) >= self._interval_ms / 1000

    async def backups(self) -> list[str]:
        try:
            return await asyncio.to_thread(list_backups, self._folder)
        except OSError as wrong:
            raise Refused(error(f"{self._folder} cannot be read: {wrong.strerror}")) from wrong

    # --- recovery ---

    async def stage(self, backup_id: str) -> None:
        copies = self._opened()
        if self._staged is not None or self._staging:
            held = self._staged[0] if self._staged else "another backup"
            raise Refused(error(f"{held} is staged already: commitRecovery or unloadRecovery first"))
        if backup_id not in await self.backups():
            raise Refused(error(f"there is no backup {backup_id!r} in {self._folder}; listBackups names them"))
        self._staging = True
        try:
            state = await asyncio.to_thread(self._read, backup_id)
        except (Unreadable, OSError) as wrong:
            raise Refused(error(f"the backup {backup_id} cannot be read: {wrong}")) from wrong
        finally:
            self._staging = False
        if self._copies is copies:
            self._staged = backup_id, state
        self._opened()

    def _read(self, backup_id: str) -> State:
        state = State()
        with TemporaryDirectory(prefix="thesan-staging-") as scratch:
            backup = read_backup(self._folder / backup_id, Path(scratch), lambda op: apply(state, op))
        if backup.cluster != self._cluster:
            raise Unreadable(f"it is of the cluster {backup.cluster!r}, this is {self._cluster!r}")
        return state

    def staged(self) -> tuple[str, State]:
        if self._staged is None:
            raise Refused(error("no backup is staged: stageRecovery first"))
        return self._staged

    def unload(self) -> None:
        self._staged = None
