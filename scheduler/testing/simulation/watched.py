"""The production controller with a window in it: every decision is shown, with what it recorded and what follows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from attrs import frozen

from scheduler.contracts import Clock, Ticket
from scheduler.controller.controller import Controller
from scheduler.core.answers import Answer
from scheduler.core.effects import Effect
from scheduler.core.ops import Op
from scheduler.core.state import State
from scheduler.core.transaction import Transaction, World
from scheduler.core.updates.records import UpdateKey


@frozen(eq=False)
class Decision:
    """One decision as it was made. `name`: of the core's function."""

    name: str
    args: tuple[Any, ...]
    ops: tuple[Op, ...]
    effects: tuple[Effect, ...]
    now_ms: int
    mono_ms: int
    answer: Answer
    offset: int


class WatchedController(Controller):
    """Decides exactly as the controller does, in smaller slices, so that there are several."""

    deadlines_per_tick: ClassVar[int] = 3
    ops_per_entry: ClassVar[int] = 12

    def __init__(
        self,
        state: State,
        world: World,
        clock: Clock,
        *,
        epoch: int,
        offset: int,
        shown_to: Callable[[Decision], None],
    ) -> None:
        super().__init__(state, world, clock, epoch=epoch, offset=offset)
        self._shown_to = shown_to
        self._shown = 0
        self.taken: list[Effect] = []
        """Effects that were handed out last."""

    @property
    def owes_nothing(self) -> bool:
        """Every effect was handed out, nobody waits to be placed, and no deadline is reached."""
        next_ms = self.deadlines.next_ms()
        due = next_ms is not None and next_ms <= self.clock.mono_ms()
        return not (self._effects or self._placement_wanted or due)

    def take_effects(self) -> list[Effect]:
        self.taken = super().take_effects()
        return self.taken

    def write(self, decision: Callable[..., Answer | None], *args: Any) -> Ticket:
        made: list[Transaction] = []

        def seen(tx: Transaction, *given: Any) -> Answer | None:
            made.append(tx)
            return decision(tx, *given)

        ticket = super().write(seen, *args)
        tx = made[0]
        name = getattr(decision, "__name__", "?")
        made_so = tuple(tx.ops), tuple(tx.effects), tx.now_ms, tx.mono_ms, ticket.answer, ticket.offset
        self._show(Decision(name, args, *made_so))
        return ticket

    def pulse(self, key: UpdateKey) -> Ticket:
        """A heartbeat may go a short way past `write`; it is shown all the same."""
        before = self._shown
        ticket = super().pulse(key)
        if self._shown == before:
            now_ms, mono_ms = self.clock.wall_ms(), self.clock.mono_ms()
            self._show(Decision("pulse", (key,), (), (), now_ms, mono_ms, ticket.answer, ticket.offset))
        return ticket

    def _show(self, decision: Decision) -> None:
        self._shown += 1
        self._shown_to(decision)
