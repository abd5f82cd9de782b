"""The door to whoever decides now. The wire holds on to it while controllers come and go with their epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import evolve, frozen

from scheduler.contracts import ALWAYS, Outcome, Permission, Ticket
from scheduler.controller.controller import Controller
from scheduler.core.answers import Answer, Code
from scheduler.core.policy import Policy
from scheduler.core.state import State
from scheduler.core.updates.records import UpdateKey
from scheduler.failpoints import failpoint

SUSPENDED = "The scheduler cannot reach its store; nothing is decided meanwhile."

NOWHERE = 0
"""The offset of an answer that was made from no state: it may leave at once."""


@frozen
class Copy:
    """The state as a scheduler has it that follows the log: only what is committed, and not all of that yet."""

    state: Callable[[], State]
    policy: Policy
    age_ms: Callable[[], int | None]
    """Everything that was committed longer ago is in it. None: it is not to be read now."""
    most_ms: int
    """How old what is answered from it may be at most."""


class Gateway:
    """Passes requests to the controller that leads; without one they get ERROR_TRANSIENT: surely nothing happened."""

    def __init__(self) -> None:
        self._controller: Controller | None = None
        self._permission: Permission = ALWAYS
        self._why_not = "The scheduler is starting."
        self.standing_by: Callable[[], str | None] = lambda: None
        """Who leads instead, in a sentence; None while that says less than why we were closed."""
        self.copy: Copy | None = None
        """What reads are answered from that ask for nothing but what is in the log, while nobody leads here."""

    def open(self, controller: Controller, permission: Permission = ALWAYS) -> None:
        """From now on `controller` answers while it may: its state is complete and its epoch has begun."""
        self._controller = controller
        self._permission = permission

    def close(self, why_not: str) -> None:
        self._controller = None
        self._why_not = why_not

    @property
    def controller(self) -> Controller | None:
        return self._controller

    def write(self, decision: Callable[..., Answer | None], *args: Any) -> Ticket:
        failpoint("before-apply")
        if self._controller is None or not self._permission.is_valid:
            return self._refusal()
        return self._controller.write(decision, *args)

    def read(self, view: Callable[..., Answer], *args: Any) -> Ticket:
        if self._controller is None or not self._permission.is_valid:
            return self._refusal()
        return self._controller.read(view, *args)

    def read_logged(self, view: Callable[..., Answer], *args: Any) -> Ticket:
        """As `read`, of a view that needs nothing but what is in the log: a copy that is young enough will do."""
        if self._controller is not None or self.copy is None:
            return self.read(view, *args)
        copy, age_ms = self.copy, self.copy.age_ms()
        if age_ms is None:
            return self._refusal()
        if age_ms > copy.most_ms:
            why_not = f"This scheduler stands by; what it knows may be {age_ms} ms old, of {copy.most_ms} ms allowed."
            return Ticket(NOWHERE, Answer(Code.ERROR_TRANSIENT, (why_not,)))
        answer = view(copy.state(), copy.policy, *args)
        said = f"Answered by a standby: everything committed more than {age_ms} ms ago is in it."
        return Ticket(NOWHERE, evolve(answer, details=(*answer.details, said)))

    def read_now(self, view: Callable[..., Answer], *args: Any, logged: Callable[..., Answer] | None = None) -> Ticket:
        if self._controller is None and logged is not None:
            return self.read_logged(logged, *args)
        if self._controller is None or not self._permission.is_valid:
            return self._refusal()
        return self._controller.read_now(view, *args)

    def pulse(self, key: UpdateKey) -> Ticket:
        if self._controller is None or not self._permission.is_valid:
            return self._refusal()
        return self._controller.pulse(key)

    def canonical(self, key: UpdateKey) -> UpdateKey | None:
        return None if self._controller is None else self._controller.canonical(key)

    def _refusal(self) -> Ticket:
        why_not = SUSPENDED if self._controller is not None else self.standing_by() or self._why_not
        return Ticket(NOWHERE, Answer(Code.ERROR_TRANSIENT, (why_not,)))

    @property
    def durable_offset(self) -> int:
        return NOWHERE if self._controller is None else self._controller.durable_offset

    def when_durable(self, offset: int, callback: Callable[[Outcome], None]) -> None:
        """To be called as soon as a ticket is made: a later controller knows nothing of an earlier one's offsets."""
        if offset == NOWHERE:
            callback(Outcome.DURABLE)
        elif self._controller is None:
            callback(Outcome.REFUSED)
        else:
            self._controller.when_durable(offset, callback)
