"""An update that raises comes to ERROR, it alone, with the reason; nothing else that was decided raises."""

from __future__ import annotations

from scheduler.core.ops import Op
from scheduler.core.updates.records import UpdateStatus
from scheduler.testing.simulation.broken import Broken
from scheduler.testing.simulation.checks.base import Check, Witness
from scheduler.testing.simulation.ledger import Change, Turned
from scheduler.testing.simulation.poison import BLOWN
from scheduler.testing.simulation.watched import Decision


class Poison(Check):
    rule = "quarantine"

    def changed(self, witness: Witness, decision: Decision, op: Op, change: Change) -> None:
        if isinstance(change, Turned) and change.update.status is UpdateStatus.ERROR:
            poison = self.world.poisons.get(change.update.key)
            message = change.update.events[-1].message or ""
            if poison is None or not poison.blew or BLOWN not in message:
                raise Broken(self.rule, f"{change.update.key} came to ERROR by itself: {message}")

    def decided(self, witness: Witness, decision: Decision) -> None:
        for key, poison in self.world.poisons.items():
            if poison.blew:
                poison.blew = False
                update = witness.ledger.updates.get(key)
                if update is not None and update.status is not UpdateStatus.ERROR and decision.answer.ok:
                    raise Broken(self.rule, f"{key} raised in {decision.name} and is {update.status.name}")
        for what, failure in witness.controller.failures:
            raise Broken(self.rule, f"{what} raised {failure!r}") from failure
