"""People and tools that call the scheduler, and what each call came to: acknowledged, refused, nothing, or unknown."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol

from attrs import define

from scheduler.contracts import Outcome, Ticket
from scheduler.controller.controller import Controller
from scheduler.controller.gateway import Gateway
from scheduler.core.answers import Answer, Code
from scheduler.core.queries import StartedUpdate
from scheduler.core.updates.records import UpdateKey
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

    def request_made(self, node: Callee, request: Request) -> None: ...

    def request_over(self, request: Request) -> None: ...

    def request_raised(self, request: Request, failure: Exception) -> None: ...


class Callee(Protocol):
    """A scheduler as its callers see it."""

    @property
    def up(self) -> bool: ...

    @property
    def gateway(self) -> Gateway: ...

    @property
    def controller(self) -> Controller | None: ...


Ask = Callable[[Callee], Ticket]


class Clients:
    """All callers. `last_decision` is what a scheduler decided last."""

    def __init__(self, onlooker: Onlooker, last_decision: Callable[[], Decision | None]) -> None:
        self._onlooker = onlooker
        self._last_decision = last_decision
        self._waiting: dict[int, tuple[Callee, Request]] = {}
        self.made = 0

    def token(self) -> str:
        """Of the next call."""
        return f"call-{self.made + 1}"

    def write(self, node: Callee, what: str, decide: Callable[..., Answer], *args: Any) -> Request:
        return self._ask(node, what, lambda at: at.gateway.write(decide, *args), args)

    def read(self, node: Callee, what: str, view: Callable[..., Answer], *args: Any) -> Request:
        return self._ask(node, what, lambda at: at.gateway.read(view, *args), args)

    def pulse(self, node: Callee, key: UpdateKey) -> Request:
        return self._ask(node, "pulse", lambda at: at.gateway.pulse(key), (key,))

    def _ask(self, node: Callee, what: str, ask: Ask, args: tuple[Any, ...]) -> Request:
        self.made += 1
        request = Request(self.made, what, args)
        node = self._choose(node, request)
        if node.up:
            self._put(node, request, ask)
        else:
            request.fate = Fate.NOTHING  # the connection is refused
        return request

    def _choose(self, node: Callee, request: Request) -> Callee:
        """Whom it is sent to."""
        return node

    def _put(self, node: Callee, request: Request, ask: Ask) -> None:
        """It has arrived there."""
        leads = node.gateway.controller is not None
        before = self._last_decision()
        try:
            ticket = ask(node)
        except Exception as failure:
            self._onlooker.request_raised(request, failure)
            return
        decided = self._last_decision()
        request.decision = decided if leads and decided is not before else None
        request.epoch = node.controller.epoch if leads and node.controller is not None else 0
        request.offset, request.answer = ticket.offset, ticket.answer
        self._waiting[request.number] = node, request
        self._onlooker.request_made(node, request)
        node.gateway.when_durable(ticket.offset, lambda outcome: self._over(request, outcome))

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

    def cut_off(self, node: Callee) -> None:
        """This scheduler died: who waits for it does not know what became of the call."""
        for asked, request in list(self._waiting.values()):
            if asked is node:
                del self._waiting[request.number]
                request.fate = Fate.UNKNOWN
                self._onlooker.request_over(request)


def started_key(request: Request) -> UpdateKey | None:
    """The update an acknowledged start began."""
    if request.answer is None or request.fate is not Fate.ACKNOWLEDGED:
        return None
    result = request.answer.result
    return result.key if isinstance(result, StartedUpdate) else None
