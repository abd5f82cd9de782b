"""Pages of the state obey the rule of all answers: nothing is seen before it is durable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from starlette.exceptions import HTTPException

from scheduler.contracts import Outcome, Ticket
from scheduler.core.answers import Answer


class Core(Protocol):
    """The single writer, as far as a page needs it."""

    def read(self, view: Callable[..., Answer], *args: Any) -> Ticket:
        """Run `view(state, policy, *args)`."""

    def read_now(self, view: Callable[..., Answer], *args: Any) -> Ticket:
        """Run `view(state, policy, clocks, *args)`."""

    def when_durable(self, offset: int, callback: Callable[[Outcome], None]) -> None:
        """Call back once, when it is known what became of `offset`."""


async def read(core: Core, view: Callable[..., Answer], *args: Any) -> Any:
    """What `view` found. Raises HTTPException 503 when nobody leads here, or what it was made from was not written."""
    return await _durable(core, core.read(view, *args))


async def read_now(core: Core, view: Callable[..., Answer], *args: Any) -> Any:
    """As `read`, of a view that says how long ago something was."""
    return await _durable(core, core.read_now(view, *args))


async def _durable(core: Core, ticket: Ticket) -> Any:
    settled: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def settle(outcome: Outcome) -> None:
        if not settled.done():  # the client may have gone
            settled.set_result(outcome)

    core.when_durable(ticket.offset, settle)
    outcome = await settled
    if not ticket.answer.ok:
        raise HTTPException(503, _sentence(ticket.answer))
    if outcome is not Outcome.DURABLE:
        raise HTTPException(503, "The state this page was made from could not be written. Please try again.\n")
    return ticket.answer.result


def _sentence(answer: Answer) -> str:
    return " ".join(detail for detail in answer.details if detail) + "\n"
