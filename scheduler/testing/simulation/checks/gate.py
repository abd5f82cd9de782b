"""No instance action while an update does not roll, from the moment its heartbeat is overdue, or after a WAIT.

An override opens the gate for its time; from its end on there is no action without a fresh heartbeat.

Judged from what was decided and from the heartbeats the scheduler was seen to take, not from its own book of them.
"""

from __future__ import annotations

from scheduler.core.ops import Op
from scheduler.core.records import TaskStatus
from scheduler.core.updates.records import Phase
from scheduler.testing.simulation.broken import Broken
from scheduler.testing.simulation.checks.base import Check, Witness
from scheduler.testing.simulation.ledger import AWAITING, ROLLING, Change, Created, Moved, Removed, TaskRow, Turned
from scheduler.testing.simulation.watched import Decision

_WAITS_FOR_A_HOST = frozenset({TaskStatus.PENDING, TaskStatus.THROTTLED})


class Gate(Check):
    rule = "gate"

    def changed(self, witness: Witness, decision: Decision, op: Op, change: Change) -> None:
        if isinstance(change, Created) and not change.task.has_ancestor:
            self._act(witness, decision, change.task, "created")
        elif isinstance(change, Moved) and change.task.status in (TaskStatus.KILLING, TaskStatus.RESTARTING):
            self._act(witness, decision, change.task, "ended")
        elif isinstance(change, Turned) and change.update.status in AWAITING:
            if witness.may_act(change.update, decision.now_ms, decision.mono_ms):
                last_ms = witness.beats.get(change.update.key, decision.mono_ms)
                told = f"{decision.mono_ms - last_ms} ms after its last heartbeat, and nobody said WAIT"
                raise Broken("silence is real", f"{change.update.key} is blocked {told}")
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
        row = update.rows.get(task.instance)
        if row is not None and row.phase is Phase.SKIPPED:
            raise Broken("left out stays", f"{where}, and it was left out")
        if witness.may_act(update, decision.now_ms, decision.mono_ms):
            return
        said, last_ms = witness.said_of(update.key), witness.beats.get(update.key)
        if said.held:
            raise Broken("a WAIT holds", f"{where}, and its monitor said WAIT")
        if said.override_until_ms is not None:
            late_ms = decision.now_ms - said.override_until_ms
            raise Broken("override ends", f"{where} {late_ms} ms after its override has ended, without a heartbeat")
        if last_ms is None:
            raise Broken(self.rule, f"{where}, and this leader has heard no heartbeat of it")
        age_ms = decision.mono_ms - last_ms
        raise Broken(self.rule, f"{where} {age_ms} ms after the last heartbeat; {update.timeout_ms} allowed")


class Silence(Check):
    """Silence is recorded by its own deadline: at the timeout and a little grace, not at the next event."""

    rule = "silence is recorded"

    def swept(self, witness: Witness) -> None:
        last = self.world.last_decision
        assert last is not None
        mono_ms = self.world.clock.mono_ms()
        now_ms = last.now_ms + mono_ms - last.mono_ms
        for update in witness.ledger.active.values():
            if not update.timeout_ms or update.status not in ROLLING or update.goes_back_unwatched:
                continue
            last_ms = witness.beats.get(update.key)
            grace_ms = self.world.policy.pulse_grace_ms(update.timeout_ms)
            until_ms = witness.said_of(update.key).override_until_ms
            if until_ms is not None and now_ms <= until_ms + 2 * update.timeout_ms + grace_ms:
                continue
            if last_ms is None or mono_ms - last_ms > update.timeout_ms + grace_ms:
                rule = self.rule if until_ms is None else "override ends"
                raise Broken(rule, f"{update.key} still {update.status.name}, last heartbeat {last_ms}")
