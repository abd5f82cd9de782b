"""A drain takes no task away before its time is over without which too few of the job's would have been running.

Counted here from the second fold of the log. Jobs that are being updated are left out: their updates act in the same
decision. Source of the rule: Aurora's documentation, "SLA requirements".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scheduler.core.effects import Say
from scheduler.core.ops import Op
from scheduler.core.records import (
    ACTIVE_STATES,
    CoordinatorSlaPolicy,
    JobKey,
    PercentageSlaPolicy,
    SlaPolicy,
    TaskStatus,
)
from scheduler.core.transaction import DeadlineKind
from scheduler.testing.simulation.broken import Broken
from scheduler.testing.simulation.checks.base import Check, Witness
from scheduler.testing.simulation.fleet import has_fleet
from scheduler.testing.simulation.ledger import Change, Moved, TaskRow
from scheduler.testing.simulation.watched import Decision

if TYPE_CHECKING:
    from scheduler.testing.simulation.world import World

_TOLD = {" tasks stay for now: ": "tasks stay for their SLA", " tasks move whatever their SLA": "its time is over"}


class Sla(Check):
    rule = "SLA is kept"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._plays = has_fleet(world.seed)
        self._taken: list[TaskRow] = []

    def deciding(self, witness: Witness, decision: Decision) -> None:
        self._taken = []

    def changed(self, witness: Witness, decision: Decision, op: Op, change: Change) -> None:
        if isinstance(change, Moved) and change.task.status is TaskStatus.DRAINING:
            self._taken.append(change.task)

    def decided(self, witness: Witness, decision: Decision) -> None:
        if not self._plays or decision.name != "reached" or decision.args[0][0] is not DeadlineKind.DRAIN:
            return
        for effect in decision.effects:
            for words, what in _TOLD.items():
                if isinstance(effect, Say) and words in effect.sentence:
                    self.world.coverage.note("maintenance", what)
        row = witness.ledger.maintenance.get(decision.args[0][1])
        if row is None or row.drain is None or row.drain.forced_at_ms <= decision.now_ms:
            return
        for task in self._taken:
            if task.job not in witness.ledger.active and self._is_protected(task):
                self._must_be_left(witness, decision, task.job, row.drain.policy)

    def _is_protected(self, task: TaskRow) -> bool:
        return bool(task.config.production) or self.world.policy.sla_aware_kill_non_prod

    def _must_be_left(self, witness: Witness, decision: Decision, job: JobKey, policy: SlaPolicy) -> None:
        tasks = [task for task in witness.ledger.tasks.values() if task.job == job and task.status in ACTIVE_STATES]
        if len(tasks) < self.world.policy.min_required_instances_for_sla_check:
            return
        assert not isinstance(policy, CoordinatorSlaPolicy), "nobody asks for one here"
        wanted = policy.percentage * len(tasks) / 100 if isinstance(policy, PercentageSlaPolicy) else policy.count
        since_ms = decision.now_ms - policy.duration_secs * 1_000
        left = sum(task.status is TaskStatus.RUNNING and task.last_ms <= since_ms for task in tasks)
        if left < min(wanted, len(tasks) - 1):
            raise Broken(self.rule, f"of {len(tasks)} tasks of {job} {left} are left, and {wanted:g} must be")
