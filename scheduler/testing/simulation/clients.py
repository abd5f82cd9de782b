"""People and tools that call the scheduler, and what each call came to: acknowledged, refused, nothing, or unknown."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol

from attrs import define

from scheduler.contracts import Outcome, Ticket
from scheduler.core.answers import Answer, Code
from scheduler.core.queries import StartedUpdate
from scheduler.core.updates.records import UpdateKey
from scheduler.testing.simulation.node import Node
from scheduler.testing.simulation.watched import Decision


class Fate(Enum):
    """What a caller knows of a call."""

    WAITING = "waiting"
    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    NOTHING = "nothing happened"
    UNKNOWN = "unknown"


@define(eq=False)
class Request:
    """One call. `token` is its user's message, by which it can be found in histories."""

    number: int
    what: str
    args: tuple[Any, ...]
    epoch: int = 0
    offset: int = 0
    answer: Answer | None = None
    decision: Decision | None = None
    fate: Fate = Fate.WAITING

    @property
    def token(self) -> str:
        return f"call-{self.number}"


class Onlooker(Protocol):
    """Who wants to know of calls."""

    def request_made(self, request: Request) -> None: ...

    def request_over(self, request: Request) -> None: ...

    def request_raised(self, request: Request, failure: Exception) -> None: ...


class Clients:
    """All callers. They speak to one scheduler; `last_decision` is what it decided last."""

    def __init__(self, onlooker: Onlooker, last_decision: Callable[[], Decision | None]) -> None:
        self._onlooker = onlooker
        self._last_decision = last_decision
        self._waiting: dict[int, Request] = {}
        self.made = 0

    def token(self) -> str:
        """Of the next call."""
        return f"call-{self.made + 1}"

    def write(self, node: Node, what: str, decide: Callable[..., Answer], *args: Any) -> Request:
        return self._ask(node, what, lambda: node.gateway.write(decide, *args), args)

    def read(self, node: Node, what: str, view: Callable[..., Answer], *args: Any) -> Request:
        return self._ask(node, what, lambda: node.gateway.read(view, *args), args)

    def pulse(self, node: Node, key: UpdateKey) -> Request:
        return self._ask(node, "pulse", lambda: node.gateway.pulse(key), (key,))

    def _ask(self, node: Node, what: str, ask: Callable[[], Ticket], args: tuple[Any, ...]) -> Request:
        self.made += 1
        request = Request(self.made, what, args)
        if not node.up:
            request.fate = Fate.NOTHING  # the connection is refused
            return request
        leads = node.gateway.controller is not None
        before = self._last_decision()
        try:
            ticket = ask()
        except Exception as failure:
            self._onlooker.request_raised(request, failure)
            return request
        decided = self._last_decision()
        request.decision = decided if leads and decided is not before else None
        request.epoch = node.controller.epoch if leads and node.controller is not None else 0
        request.offset, request.answer = ticket.offset, ticket.answer
        self._waiting[request.number] = request
        self._onlooker.request_made(request)
        node.gateway.when_durable(ticket.offset, lambda outcome: self._over(request, outcome))
        return request

    def _over(self, request: Request, outcome: Outcome) -> None:
        if self._waiting.pop(request.number, None) is None:
            return  # the caller's connection broke before
        assert request.answer is not None
        if outcome is Outcome.UNKNOWN:
            request.fate = Fate.UNKNOWN
        elif outcome is Outcome.REFUSED or request.answer.code is Code.ERROR_TRANSIENT:
            request.fate = Fate.NOTHING
        else:
            request.fate = Fate.ACKNOWLEDGED if request.answer.ok else Fate.REFUSED
        self._onlooker.request_over(request)

    def cut_off(self) -> None:
        """The scheduler died: who waits does not know what became of the call."""
        waiting, self._waiting = self._waiting, {}
        for request in waiting.values():
            request.fate = Fate.UNKNOWN
            self._onlooker.request_over(request)


def started_key(request: Request) -> UpdateKey | None:
    """The update an acknowledged start began."""
    if request.answer is None or request.fate is not Fate.ACKNOWLEDGED:
        return None
    result = request.answer.result
    return result.key if isinstance(result, StartedUpdate) else None
