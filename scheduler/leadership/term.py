"""One epoch of one scheduler, from the election to its end: what a server needs to lead, whichever store it has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from scheduler.changelog.store import Pointer
from scheduler.contracts import Changelog, Permission
from scheduler.core.state import State
from scheduler.leadership.steps import Steps


class Copies(Protocol):
    """Copies of everything that is durable, made beside leading. Both raise Unavailable with what is in the way."""

    async def fold(self) -> tuple[Pointer, Path]:
        """A base of it: what it covers, and its file."""

    async def snapshot(self) -> object:
        """What a new machine would begin with."""


class Term(Protocol):
    """The state is complete and nobody else can write. The first entry of the epoch is yet to be appended."""

    state: State
    changelog: Changelog
    epoch: int
    offset: int
    """Of the last entry in `state`."""
    lineage: str
    permission: Permission
    format_level: int
    """What every scheduler that takes part can read; fixed for the epoch."""
    copies: Copies
    steps: Steps

    async def advertise(self) -> None:
        """Tell clients where to look: the epoch has begun and the engine is there."""

    async def over(self, told: Callable[[bool], None]) -> str:
        """Wait for the end that comes without asking. `told` hears when the permission is lost (False) and is back.

        Returns why, when what was decided can still be committed; raises ChangelogError when it cannot.
        """

    async def withdraw(self) -> None:
        """A clean stop begins: clients shall look elsewhere. What is decided may still be committed."""

    async def leave(self) -> None:
        """Nothing will be written any more: the next one may lead at once."""


class Membership(Protocol):
    """How this scheduler takes part: `elected`, again and again, until `close`."""

    async def elected(self, won: Callable[[], None]) -> Term:
        """Wait until this scheduler is to lead; meanwhile it follows the log if there is another who writes it.

        `won` is called when the epoch is claimed and the take-over goes on.
        Raises Unreadable when the log cannot be read, ChangelogError while the store cannot.
        """

    async def close(self) -> None:
        """Leave, and give everything back."""
