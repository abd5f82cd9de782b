"""What all checks share: what they are told, and how they say no."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, field

from scheduler.contracts import Entry, TaskReport
from scheduler.core.effects import Effect
from scheduler.core.ops import Op
from scheduler.core.updates.records import UpdateKey
from scheduler.testing.simulation.clients import Request
from scheduler.testing.simulation.ledger import Change, Ledger, UpdateRow
from scheduler.testing.simulation.said import NOTHING_SAID, Said
from scheduler.testing.simulation.watched import Decision, WatchedController

if TYPE_CHECKING:
    from scheduler.testing.simulation.world import World


@define(eq=False)
class Witness:
    """What was seen of one controller, from its first decision on."""

    controller: WatchedController
    ledger: Ledger
    """Everything it has decided, folded here."""
    beats: dict[UpdateKey, int] = field(factory=dict)
    """When it heard which update's heartbeat, on the clock that never jumps."""
    said: dict[UpdateKey, Said] = field(factory=dict)
    """What monitors and people said of updates that have not ended: what was durable, and to this scheduler."""
    gathered: list[Decision] = field(factory=list)
    """Decisions that are not yet part of an entry."""
    present: frozenset[str] = frozenset()
    """Tasks the engine told it of in its complete list."""
    leads: bool = False

    def said_of(self, key: UpdateKey) -> Said:
        return self.said.get(key, NOTHING_SAID)

    def is_fresh(self, update: UpdateRow, mono_ms: int) -> bool:
        """Is its heartbeat not overdue? Always so, when it has none."""
        last_ms = self.beats.get(update.key)
        return not update.timeout_ms or (last_ms is not None and mono_ms - last_ms < update.timeout_ms)

    def may_act(self, update: UpdateRow, now_ms: int, mono_ms: int) -> bool:
        """Is its gate open? A person's override goes before a monitor's WAIT, and that before heartbeats."""
        said = self.said_of(update.key)
        if said.is_overridden(now_ms):
            return True
        return not said.held and (update.goes_back_unwatched or self.is_fresh(update, mono_ms))


class Check:
    """One property. Override what you need to hear."""

    def __init__(self, world: World) -> None:
        self.world = world

    def loaded(self, witness: Witness) -> None:
        """A scheduler read the log and is about to begin its epoch."""

    def deciding(self, witness: Witness, decision: Decision) -> None:
        """A decision was made; its ops are not yet folded into `witness.ledger`."""

    def changed(self, witness: Witness, decision: Decision, op: Op, change: Change) -> None:
        """One op of it is folded, and those before it."""

    def decided(self, witness: Witness, decision: Decision) -> None:
        """All of it is folded."""

    def gathered(self, witness: Witness, entry: Entry) -> None:
        """An entry is about to be appended."""

    def durable(self, entry: Entry) -> None:
        """An entry became durable; `world.durable` has it folded."""

    def acts(self, witness: Witness, effect: Effect) -> None:
        """An effect is about to be carried out."""

    def reconciles(self, witness: Witness, present: tuple[TaskReport, ...]) -> None:
        """The engine gave its complete list."""

    def asked(self, witness: Witness | None, request: Request) -> None:
        """A request was answered; the answer has not left yet. Without a witness: nobody leads."""

    def answered(self, request: Request) -> None:
        """It is known to the caller what became of it."""

    def swept(self, witness: Witness) -> None:
        """Now and then, and at the end: look at everything. The scheduler leads and has nothing to append."""

    def healed(self) -> None:
        """All faults have ended, everything came to its end, and nothing is on its way."""
