"""An update that is to keep to the SLA of its job (`slaAware`): it ends a task only when the policy lets it go.

What counts is the policy of the configuration that the instance is to have; an instance that is to be gone, and one
without a policy, is ended at once. So is a task that has no host. Whoever is refused keeps its place in its group and
is asked again, after a while that grows; a pause and a failover begin that anew. Source: Aurora's documentation, "SLA
requirements"; `docs/compatibility.md`, "SLA".
"""

from __future__ import annotations

from typing import Final

from attrs import evolve

from scheduler.core import ops
from scheduler.core.effects import ForUpdate
from scheduler.core.records import Task, TaskConfig
from scheduler.core.sla.removal import Removals
from scheduler.core.transaction import DeadlineKind, Transaction
from scheduler.core.updates import status as table
from scheduler.core.updates.noting import event_ms
from scheduler.core.updates.records import InstanceEvent, InstanceProgress, JobUpdate, Phase, SlaRefusal, UpdateKey

CHECKING: Final = "Checking SLA before continuing."
PASSED: Final = "SLA check passed, continuing."

_CHECKED: Final = {False: 1 << 8, True: 1 << 9}
"""By direction: the bit of `InstanceProgress.recorded` that says that CHECKING is in the history, where it is once."""


def may_kill(tx: Transaction, update: JobUpdate, wanted: TaskConfig | None, task: Task, removals: Removals) -> bool:
    """Is the task to be ended now? If not, it is looked at again by itself. `wanted`: what the instance is to have."""
    policy = wanted.sla_policy if update.settings.sla_aware and wanted is not None else None
    if policy is None or task.host is None:
        return True
    key, instance = update.key, task.instance_id
    _note_checking(tx, update, instance)
    why_not = removals.objection(task, policy, ForUpdate(key, update.status))
    if why_not is not None:
        _try_again(tx, key, instance, why_not)
        return False
    tx.state.replace(tx.state.sla_refusals, (key, instance), None)
    _record(tx, update, instance, PASSED)
    removals.took(task)
    return True


def _note_checking(tx: Transaction, update: JobUpdate, instance: int) -> None:
    progress = tx.state.progress.get((update.key, instance)) or InstanceProgress(Phase.WORKING)
    bit = _CHECKED[update.is_rolling_back]
    if not progress.recorded & bit:
        _record(tx, update, instance, CHECKING)
        tx.apply(ops.MoveInstance(update.key, instance, evolve(progress, recorded=progress.recorded | bit)))


def _record(tx: Transaction, update: JobUpdate, instance: int, message: str) -> None:
    action = table.RECORDED_ACTION[Phase.WORKING, update.is_rolling_back]
    tx.apply(ops.RecordInstance(update.key, InstanceEvent(instance, event_ms(tx, update.key), action, message)))


def _try_again(tx: Transaction, key: UpdateKey, instance: int, why: str) -> None:
    """Twice as long each time, between the two limits."""
    before = tx.state.sla_refusals.get((key, instance))
    since_ms = tx.now_ms if before is None else before.since_ms
    if before is None:
        tx.say(key, f"instance {instance} is not ended yet: {why}")
    tx.state.replace(tx.state.sla_refusals, (key, instance), SlaRefusal(since_ms, why))
    policy = tx.policy
    wait_ms = min(max(tx.now_ms - since_ms, policy.sla_kill_retry_min_delay_ms), policy.sla_kill_retry_max_delay_ms)
    tx.arm(DeadlineKind.WATCH, (key, instance), tx.now_ms + wait_ms)


def forget(tx: Transaction, update: JobUpdate) -> None:
    """It comes to another status: whoever waited does so anew, or no more."""
    if update.settings.sla_aware:
        for instance in tx.state.progress.tally(update.key).working:
            tx.state.replace(tx.state.sla_refusals, (update.key, instance), None)
