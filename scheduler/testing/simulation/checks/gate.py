"""No instance action while an update does not roll, or from the moment its heartbeat is overdue.

Judged from what was decided and from the heartbeats the scheduler was seen to take, not from its own book of them.
"""

from __future__ import annotations

from scheduler.core.ops import Op
from scheduler.core.queries import PulseAnswer
from scheduler.core.records import TaskStatus
from scheduler.testing.simulation.broken import Broken
from scheduler.testing.simulation.checks.base import Check, Witness
from scheduler.testing.simulation.ledger import AWAITING, ROLLING, Change, Created, Moved, Removed, TaskRow, Turned
from scheduler.testing.simulation.watched import Decision

_WAITS_FOR_A_HOST = frozenset({TaskStatus.PENDING, TaskStatus.THROTTLED})


class Gate(Check):
    rule = "gate"

    def deciding(self, witness: Witness, decision: Decision) -> None:
        result = decision.answer.result
        if decision.name == "pulse" and isinstance(result, PulseAnswer) and not result.finished:
            witness.beats[decision.args[0]] = decision.mono_ms
        if decision.name == "begin_epoch" and self.world.policy.infer_heartbeats:
            # Aurora's rule: the newest change of status counts as a heartbeat, unless it was the lack of one.
            for update in witness.ledger.active.values():
                if update.timeout_ms and update.status not in AWAITING:
                    age_ms = max(0, decision.now_ms - update.events[-1].timestamp_ms)
                    witness.beats[update.key] = decision.mono_ms - age_ms

    def changed(self, witness: Witness, decision: Decision, op: Op, change: Change) -> None:
        if isinstance(change, Created) and not change.task.has_ancestor:
            self._act(witness, decision, change.task, "created")
        elif isinstance(change, Moved) and change.task.status in (TaskStatus.KILLING, TaskStatus.RESTARTING):
            self._act(witness, decision, change.task, "ended")
        elif isinstance(change, Turned) and change.update.status in AWAITING:
            last_ms = witness.beats.get(change.update.key)
            if last_ms is not None and decision.mono_ms - last_ms < change.update.timeout_ms:
                age_ms = decision.mono_ms - last_ms
                raise Broken("silence is real", f"{change.update.key} is blocked {age_ms} ms after its last heartbeat")
        elif isinstance(change, Removed):
            for task in change.tasks:
                if task.status in _WAITS_FOR_A_HOST:
                    self._act(witness, decision, task, "removed")

    def _act(self, witness: Witness, decision: Decision, task: TaskRow, what: str) -> None:
        update = witness.ledger.active.get(task.job)
        if update is None:
            return
        where = f"{update.key}: instance {task.instance} {what} by {decision.name}"
        if update.status not in ROLLING:
            raise Broken(self.rule, f"{where} while {update.status.name}")
        if update.timeout_ms:
            last_ms = witness.beats.get(update.key)
            if last_ms is None:
                raise Broken(self.rule, f"{where}, and this leader has heard no heartbeat of it")
            if decision.mono_ms - last_ms >= update.timeout_ms:
                age_ms = decision.mono_ms - last_ms
                raise Broken(self.rule, f"{where} {age_ms} ms after the last heartbeat; {update.timeout_ms} allowed")


class Silence(Check):
    """Silence is recorded by its own deadline: at the timeout and a little grace, not at the next event."""

    rule = "silence is recorded"

    def swept(self, witness: Witness) -> None:
        now_ms = self.world.clock.mono_ms()
        for update in witness.ledger.active.values():
            if update.timeout_ms and update.status in ROLLING:
                last_ms = witness.beats.get(update.key)
                grace_ms = self.world.policy.pulse_grace_ms(update.timeout_ms)
                if last_ms is None or now_ms - last_ms > update.timeout_ms + grace_ms:
                    raise Broken(self.rule, f"{update.key} still {update.status.name}, last heartbeat {last_ms}")
