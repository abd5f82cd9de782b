"""A new leader has all of the log and nothing else, and waits for heartbeats of its own where one gates an update."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scheduler.core.ops import EpochBegun
from scheduler.core.updates.records import UpdateKey
from scheduler.testing.simulation.broken import Broken
from scheduler.testing.simulation.checks.base import Check, Witness
from scheduler.testing.simulation.checks.replay import difference
from scheduler.testing.simulation.ledger import AWAITING, BACK, PAUSED, ROLLING
from scheduler.testing.simulation.said import NOTHING_SAID, Said
from scheduler.testing.simulation.watched import Decision

if TYPE_CHECKING:
    from scheduler.testing.simulation.world import World


class TakeOver(Check):
    rule = "take-over"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._said: dict[UpdateKey, Said] = {}

    def loaded(self, witness: Witness) -> None:
        state = witness.controller.state
        wrong = difference(self.world.store.mirror, state)
        if wrong:
            raise Broken(self.rule, f"the new leader's state is not what the log says: {wrong}")
        if len(state.pulses) or len(state.hosts) or len(witness.controller.deadlines):
            raise Broken(self.rule, "the new leader begins with heartbeats, hosts or deadlines of another")

    def deciding(self, witness: Witness, decision: Decision) -> None:
        if decision.name == "begin_epoch":
            self._said = dict(witness.said)

    def decided(self, witness: Witness, decision: Decision) -> None:
        if decision.name != "begin_epoch":
            return
        if not isinstance(decision.ops[0], EpochBegun) or decision.ops[0].epoch <= self.world.durable.epoch:
            raise Broken(self.rule, f"the epoch begins with {decision.ops[0]}")
        for key, before in self.world.durable.updates.items():
            after = witness.ledger.updates[key]
            turned = f"{key}: {before.status.name} became {after.status.name} at take-over"
            if self.world.policy.infer_heartbeats and before.timeout_ms and before.status in ROLLING:
                continue  # whether it may go on, checks/gate.py asks
            said = self._said.get(key, NOTHING_SAID)
            overridden = said.is_overridden(decision.now_ms)
            is_open = overridden or (not said.held and (before.goes_back_unwatched or not before.timeout_ms))
            if before.status not in ROLLING:
                if after.status is not before.status:
                    raise Broken(self.rule, turned)
                continue
            if is_open:
                if after.status in AWAITING or (after.status in PAUSED and before.status in BACK):
                    raise Broken(self.rule, turned)
                continue
            if after.status not in AWAITING or after.back is not before.back:
                raise Broken(self.rule, f"{turned}; it is to wait for a heartbeat")
            if after.exits != before.exits or after.rows != before.rows:
                raise Broken(self.rule, f"{key}: its progress changed at take-over")
