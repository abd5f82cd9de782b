"""Embedded mode: a scheduler with a store of its own is always elected, and its lease never ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from attrs import define

from scheduler.changelog.sqlite import SqliteChangelog
from scheduler.contracts import ALWAYS, Changelog, Permission
from scheduler.core.ops import FORMAT_LEVEL
from scheduler.core.state import State
from scheduler.leadership.reader import Reader
from scheduler.leadership.steps import Steps
from scheduler.leadership.term import Copies


@define
class OwnTerm:
    """Implements `Term`."""

    state: State
    changelog: Changelog
    epoch: int
    offset: int
    lineage: str
    copies: Copies
    steps: Steps
    permission: Permission = ALWAYS
    format_level: int = FORMAT_LEVEL

    async def advertise(self) -> None:
        """Clients know this scheduler by its address."""

    async def over(self, told: Callable[[bool], None]) -> str:
        return await asyncio.Future()  # only the changelog itself can say that it is

    async def withdraw(self) -> None:
        """There is nobody to go to."""

    async def leave(self) -> None:
        """Nobody waits."""


class Alone:
    """Implements `Membership`: one term, and then begin anew from what is durable."""

    def __init__(self, changelog: SqliteChangelog, reader: Reader, now_ms: Callable[[], int]) -> None:
        self._changelog = changelog
        self._reader = reader
        self._now_ms = now_ms

    async def elected(self, won: Callable[[], None]) -> OwnTerm:
        won()
        steps = Steps(self._now_ms)
        steps.done("claim")
        changelog, reader = self._changelog, self._reader
        loaded = changelog.load(reader.begin(changelog.lineage), reader.passed)
        reader.caught_up(loaded.offset)
        steps.done("read")
        return OwnTerm(reader.state, changelog, loaded.epoch + 1, loaded.offset, changelog.lineage, changelog, steps)

    async def close(self) -> None:
        await self._changelog.close()
