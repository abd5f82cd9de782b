"""May this task be taken away now?

A percentage or a count of the job's tasks must have been running for long enough without it. A policy that would let
nobody go lets one go. Tasks that are not of a production tier, and jobs with few tasks, are not protected. Source:
Aurora's documentation, "SLA requirements".
"""

from __future__ import annotations

from scheduler.core.records import CoordinatorSlaPolicy, SlaPolicy, Task, TaskStatus
from scheduler.core.sla.policies import needed_of
from scheduler.core.transaction import Transaction


def objection(tx: Transaction, task: Task, policy: SlaPolicy) -> str | None:
    """Why the task must stay for now, in a sentence; None: it may go."""
    if isinstance(policy, CoordinatorSlaPolicy):
        return f"{task.job}/{task.instance_id}: its coordinator has not been asked"
    rules = tx.policy
    if not task.config.production and not rules.sla_aware_kill_non_prod:
        return None
    active = tx.state.tasks.active.get(task.job, {})
    if len(active) < rules.min_required_instances_for_sla_check:
        return None
    needed = needed_of(policy, len(active))
    since_ms = tx.now_ms - policy.duration_secs * 1000
    running = sum(
        other.status is TaskStatus.RUNNING and other.latest_event_ms <= since_ms
        for other in active.values()
        if other is not task
    )
    if running >= needed:
        return None
    return (
        f"{task.job}/{task.instance_id}: without it {running} of {len(active)} tasks have been running for "
        f"{policy.duration_secs} s, and {needed:g} must"
    )
