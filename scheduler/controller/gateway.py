"""The door to whoever decides now. The wire holds on to it while controllers come and go with their epochs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scheduler.contracts import ALWAYS, Outcome, Permission, Ticket
from scheduler.controller.controller import Controller
from scheduler.core.answers import Answer, Code
from scheduler.core.updates.records import UpdateKey
from scheduler.failpoints import failpoint

SUSPENDED = "The scheduler cannot reach its store; nothing is decided meanwhile."

NOWHERE = 0
"""The offset of an answer that was made from no state: it may leave at once."""


class Gateway:
    """Passes requests to the controller that leads; without one they get ERROR_TRANSIENT: surely nothing happened."""

    def __init__(self) -> None:
        self._controller: Controller | None = None
        self._permission: Permission = ALWAYS
        self._why_not = "The scheduler is starting."

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

    def read_now(self, view: Callable[..., Answer], *args: Any) -> Ticket:
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
        why_not = self._why_not if self._controller is None else SUSPENDED
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
