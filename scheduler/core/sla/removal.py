"""May this task be taken away now?

A percentage or a count of the job's tasks must have been running for long enough without it. A policy that would let
nobody go lets one go. Tasks that are not of a production tier, and jobs with few tasks, are not protected. A
coordinator is asked over HTTP, whatever the job; its answer comes as a decision of its own (`answers.py`). Source:
Aurora's documentation, "SLA requirements".
"""

from __future__ import annotations

from scheduler.core.effects import AskCoordinator, Purpose
from scheduler.core.records import (
    CoordinatorSlaPolicy,
    CountSlaPolicy,
    JobKey,
    PercentageSlaPolicy,
    SlaPolicy,
    Task,
    TaskStatus,
)
from scheduler.core.sla.policies import needed_of
from scheduler.core.transaction import Transaction


class Removals:
    """Of one look at many tasks. What runs of a job is counted once, however many of its tasks are asked about."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._running: dict[tuple[JobKey, int], int] = {}
        """How many tasks of a job have been running for so many seconds, without those that were taken away."""

    def objection(self, task: Task, policy: SlaPolicy, purpose: Purpose) -> str | None:
        """Why the task must stay for now; None: it may go. A coordinator is asked, if it has not let it go yet."""
        if isinstance(policy, CoordinatorSlaPolicy):
            if task.task_id in self._tx.cleared:
                return None
            self._tx.effect(AskCoordinator(task, policy, purpose))
            return "its coordinator is asked"
        rules = self._tx.policy
        if not task.config.production and not rules.sla_aware_kill_non_prod:
            return None
        total = len(self._tx.state.tasks.active.get(task.job, ()))
        if total < rules.min_required_instances_for_sla_check:
            return None
        return self._too_few(task, policy, total)

    def _too_few(self, task: Task, policy: PercentageSlaPolicy | CountSlaPolicy, total: int) -> str | None:
        needed = needed_of(policy, total)
        left = self._count(task.job, policy.duration_secs) - self._is_stable(task, policy.duration_secs)
        if left >= needed:
            return None
        return f"without it {left} of {total} tasks have been running for {policy.duration_secs} s, and {needed:g} must"

    def took(self, task: Task) -> None:
        """It is about to be taken away: it stands for nobody any more."""
        for job, secs in self._running:
            if job == task.job:
                self._running[job, secs] -= self._is_stable(task, secs)

    def _count(self, job: JobKey, secs: int) -> int:
        if (job, secs) not in self._running:
            active = self._tx.state.tasks.active.get(job, {})
            self._running[job, secs] = sum(self._is_stable(task, secs) for task in active.values())
        return self._running[job, secs]

    def _is_stable(self, task: Task, secs: int) -> bool:
        return task.status is TaskStatus.RUNNING and task.latest_event_ms <= self._tx.now_ms - secs * 1000
