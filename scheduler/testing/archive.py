"""Copies of a stage's state, kept in memory: `contracts.Archive` for tests of the wire."""

from __future__ import annotations

from collections.abc import Callable

from scheduler.core.answers import Refused, error
from scheduler.core.ops import Op
from scheduler.core.state import State, apply, dump

__all__ = ["MemoryArchive"]


class MemoryArchive:
    """`state` tells which one to copy."""

    def __init__(self, state: Callable[[], State]) -> None:
        self._state = state
        self._kept: dict[str, list[Op]] = {}
        self._staged: tuple[str, State] | None = None
        self.snapshots = 0

    async def snapshot(self) -> None:
        self.snapshots += 1

    async def back_up(self) -> None:
        self._kept[f"scheduler-backup-{len(self._kept)}"] = list(dump(self._state()))

    async def backups(self) -> list[str]:
        return list(self._kept)

    async def stage(self, backup_id: str) -> None:
        if self._staged is not None:
            raise Refused(error("one is staged already"))
        if backup_id not in self._kept:
            raise Refused(error(f"there is no backup {backup_id!r}"))
        state = State()
        for op in self._kept[backup_id]:
            apply(state, op)
        self._staged = backup_id, state

    def staged(self) -> tuple[str, State]:
        if self._staged is None:
            raise Refused(error("no backup is staged"))
        return self._staged

    def unload(self) -> None:
        self._staged = None
