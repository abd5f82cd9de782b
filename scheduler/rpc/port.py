"""What the RPC room asks of the house: the single writer, seen from a request.

The gateway in front of the controller has this shape without knowing of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from scheduler.contracts import Outcome, Ticket
from scheduler.core.answers import Answer
from scheduler.core.updates.records import UpdateKey


class Core(Protocol):
    """Decides, reads, and tells when what was decided or read is durable."""

    def write(self, decide: Callable[..., Answer], *args: Any) -> Ticket:
        """Run `decide(tx, *args)`, all or nothing. A refusal is an answer like any other."""

    def read(self, view: Callable[..., Answer], *args: Any) -> Ticket:
        """Run `view(state, policy, *args)`."""

    def read_logged(self, view: Callable[..., Answer], *args: Any) -> Ticket:
        """As `read`, of a view that needs nothing but what is in the log, so that a standby may answer it."""

    def read_now(self, view: Callable[..., Answer], *args: Any, logged: Callable[..., Answer] | None = None) -> Ticket:
        """Run `view(state, policy, clocks, *args)`: for answers that depend on what time it is.

        `logged(state, policy, *args)` is what a standby may answer instead.
        """

    def pulse(self, key: UpdateKey) -> Ticket:
        """The same as `write(requests.pulse, key)`, in the shortest way."""

    def canonical(self, key: UpdateKey) -> UpdateKey | None:
        """The object the state has for this key, which is the quickest to look up; None: there is no such update."""

    @property
    def durable_offset(self) -> int:
        """Answers made from the state up to here may leave."""

    def when_durable(self, offset: int, callback: Callable[[Outcome], None]) -> None:
        """Call back once, when it is known what became of `offset`: at once, if it is already durable."""
