"""What is decided together is recorded together; what is not durable is neither acknowledged nor acted on.

The log's entries are compared with the decisions themselves, op by op, by identity.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from scheduler.contracts import Entry
from scheduler.core.effects import Effect, Forget, Launch, Terminate
from scheduler.core.ops import EpochBegun, Op
from scheduler.core.records import TERMINAL_STATES
from scheduler.testing.simulation.broken import Broken
from scheduler.testing.simulation.checks.base import Check, Witness
from scheduler.testing.simulation.clients import Fate, Request
from scheduler.testing.simulation.ledger import END_ASKED
from scheduler.testing.simulation.watched import Decision

if TYPE_CHECKING:
    from scheduler.testing.simulation.world import World
_REMEMBERED: Final = 300


class Commits(Check):
    """Whole or not at all; epochs never decrease; offsets without a gap."""

    rule = "whole or not at all"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._last = (0, 0)
        self.recent: OrderedDict[int, Entry] = OrderedDict()
        self._never: dict[int, Op] = {}
        """Ops of calls that were told that nothing happened."""

    def decided(self, witness: Witness, decision: Decision) -> None:
        if decision.ops:
            witness.gathered.append(decision)
        if not decision.answer.ok and (decision.ops or decision.effects):
            raise Broken("a refusal has no effect", f"{decision.name} was refused and recorded {decision.ops}")

    def gathered(self, witness: Witness, entry: Entry) -> None:
        mine = [decision for decision in witness.gathered if decision.offset == entry.offset]
        decided = [op for decision in mine for op in decision.ops]
        if witness.gathered[: len(mine)] != mine:
            raise Broken(self.rule, f"entry {entry.offset} overtakes a decision made before it")
        if len(decided) != len(entry.ops) or any(a is not b for a, b in zip(decided, entry.ops, strict=True)):
            raise Broken(self.rule, f"entry {entry.offset} is not what was decided for it")
        del witness.gathered[: len(mine)]

    def durable(self, entry: Entry) -> None:
        offset, epoch = self._last
        if entry.offset != offset + 1:
            raise Broken("log", f"entry {entry.offset} follows {offset}")
        if entry.epoch < epoch or (entry.epoch > epoch and not isinstance(entry.ops[0], EpochBegun)):
            raise Broken("epochs", f"entry {entry.offset} of epoch {entry.epoch} follows one of {epoch}")
        self._last = (entry.offset, entry.epoch)
        self.recent[entry.offset] = entry
        if len(self.recent) > _REMEMBERED:
            self.recent.popitem(last=False)
        if self._never and any(id(op) in self._never for op in entry.ops):
            raise Broken(self.rule, f"entry {entry.offset} holds a call that was told that nothing happened")

    def answered(self, request: Request) -> None:
        mine = request.decision.ops if request.decision is not None else ()
        if request.fate is Fate.NOTHING:
            self._never.update((id(op), op) for op in mine)
            entry = self.recent.get(request.offset)
            if mine and entry is not None and entry.epoch == request.epoch and _holds(entry, mine):
                what = f"{request.what} (call {request.number})"
                raise Broken(self.rule, f"{what} was told that nothing happened, and is in entry {request.offset}")
        if request.fate not in (Fate.ACKNOWLEDGED, Fate.REFUSED):
            return
        if request.offset > self.world.store.durable:
            raise Broken(
                "reply after durable",
                f"{request.what} (call {request.number}) was answered from offset {request.offset}, "
                f"durable is {self.world.store.durable}",
            )
        if mine:
            entry = self.recent.get(request.offset)
            if entry is None or entry.epoch != request.epoch or not _holds(entry, mine):
                raise Broken(
                    "acknowledged survives",
                    f"{request.what} (call {request.number}) was acknowledged and is not in entry {request.offset}",
                )


def _holds(entry: Entry, mine: tuple[Op, ...]) -> bool:
    for at, op in enumerate(entry.ops):
        if op is mine[0]:
            return all(a is b for a, b in zip(entry.ops[at : at + len(mine)], mine, strict=True))
    return False


class Effects(Check):
    """Every effect follows from something durable."""

    rule = "effect after durable"

    def decided(self, witness: Witness, decision: Decision) -> None:
        """Here and not where it is carried out: a later list may well have what was launched because of this one."""
        for effect in decision.effects:
            if isinstance(effect, Launch) and effect.task.task_id in witness.present:
                raise Broken("launched once", f"{effect.task.task_id} is launched again; the engine had told of it")

    def acts(self, witness: Witness, effect: Effect) -> None:
        tasks = self.world.durable.tasks
        if isinstance(effect, Launch):
            row = tasks.get(effect.task.task_id)
            if row is None or row.host != effect.task.host:
                raise Broken(self.rule, f"{effect.task.task_id} is launched and the log does not say where")
        elif isinstance(effect, Terminate):
            row = tasks.get(effect.task_id)
            if row is not None and row.status not in END_ASKED and row.status not in TERMINAL_STATES:
                raise Broken(self.rule, f"{effect.task_id} is ended and the log has it {row.status.name}")
        elif isinstance(effect, Forget):
            rows = [tasks[task_id] for task_id in effect.task_ids if task_id in tasks]
            for row in rows:
                if row.status not in TERMINAL_STATES:
                    raise Broken(self.rule, f"{row.task_id} is forgotten and the log has it {row.status.name}")
