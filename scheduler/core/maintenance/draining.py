"""Emptying hosts: a look at each one that drains, again and again, until nothing is left on it.

A look takes away every task whose SLA allows it, and all of them once the drain's time is over. It is a deadline of the
host, armed anew by every leader, so a failover costs a drain nothing. Source: Aurora's documentation, "Maintenance" and
"SLA requirements"; `docs/compatibility.md`, "Maintenance".
"""

from __future__ import annotations

from typing import Final

from scheduler.core import ops
from scheduler.core.effects import ForDrain
from scheduler.core.maintenance.records import Drain, Maintenance
from scheduler.core.records import MaintenanceMode, SlaPolicy, Task, TaskStatus
from scheduler.core.sla.removal import Removals
from scheduler.core.tables import NO_USAGE
from scheduler.core.tasks.lifecycle import transition
from scheduler.core.tasks.table import END_ASKED_STATES
from scheduler.core.transaction import DeadlineKind, Transaction

DRAINING_FOR_MAINTENANCE: Final = "Draining machine for maintenance."


def arm(tx: Transaction, row: Maintenance) -> None:
    """Look at a host that drains after one polling interval, or when its drain's time is over, if that is sooner."""
    if row.drain is None:
        return
    at_ms = tx.now_ms + tx.policy.host_maintenance_polling_interval_ms
    if tx.now_ms < row.drain.forced_at_ms < at_ms:
        at_ms = row.drain.forced_at_ms
    tx.arm(DeadlineKind.DRAIN, row.host, at_ms)


def take_over(tx: Transaction) -> None:
    """Every drain goes on where it stood."""
    for row in tx.state.maintenance.values():
        arm(tx, row)


def due(tx: Transaction, host: str) -> None:
    """Look at a host that drains, and decide when to look again."""
    row = tx.state.maintenance.get(host)
    if row is None or row.drain is None:
        return
    look(tx, row)
    row = tx.state.maintenance.get(host)
    if row is not None:
        arm(tx, row)


def look(tx: Transaction, row: Maintenance) -> None:
    """Take away what may be taken away; a host with nothing left is DRAINED."""
    assert row.drain is not None
    tasks = _to_move(tx, row.host)
    if not tasks:
        finish_if_empty(tx, row.host)
        return
    forced = row.drain.forced_at_ms <= tx.now_ms
    if forced and row.drain.timeout_secs:
        tx.say(row.host, f"its drain was given {row.drain.timeout_secs} s: {len(tasks)} tasks move whatever their SLA")
    kept: list[str] = []
    removals, purpose = Removals(tx), ForDrain(row.host, row.drain.forced_at_ms)
    for task in tasks:
        why_not = None if forced else removals.objection(task, policy_of(row.drain, task), purpose)
        if why_not is None:
            removals.took(task)
            transition(tx, task.task_id, TaskStatus.DRAINING, DRAINING_FOR_MAINTENANCE)
        else:
            kept.append(f"{task.job}/{task.instance_id}: {why_not}")
    if kept:
        tx.say(row.host, f"{len(kept)} of {len(tasks)} tasks stay for now: {kept[0]}")


def policy_of(drain: Drain, task: Task) -> SlaPolicy:
    """By which it is asked whether the task may go."""
    return task.config.sla_policy or drain.policy


def cleared(tx: Transaction, task: Task, policy: SlaPolicy, host: str) -> None:
    """Its coordinator lets the task go, asked by this policy: if that is still what the drain asks, it goes."""
    row = tx.state.maintenance.get(host)
    if row is None or row.drain is None or policy_of(row.drain, task) != policy:
        return
    if any(one is task for one in _to_move(tx, host)):
        transition(tx, task.task_id, TaskStatus.DRAINING, DRAINING_FOR_MAINTENANCE)


def finish_if_empty(tx: Transaction, host: str | None) -> None:
    """A host that drains and has no active task any more is DRAINED. Asked for whenever a task leaves a host."""
    row = tx.state.maintenance.get(host) if host is not None else None
    if row is None or row.drain is None or row.host in tx.state.tasks.by_host:
        return
    tx.apply(ops.SaveMaintenance(Maintenance(row.host, MaintenanceMode.DRAINED)))
    tx.say(row.host, "DRAINED: no task is left on it")


def announced(tx: Transaction, host: str, unavailable_from_ms: int) -> None:
    """A host says that it will go away: its tasks move some time before, whatever their SLA; its mode stays.

    Whether it drains besides, has done so or is back in service, makes no difference to that.
    """
    tx.arm(DeadlineKind.DEPARTURE, host, unavailable_from_ms - tx.policy.unavailability_threshold_ms)


def departs(tx: Transaction, name: str) -> None:
    """The time that a host announced may have come: then its tasks move."""
    host = tx.state.hosts.get(name)
    if host is None or host.unavailable_from_ms is None:
        return
    if host.unavailable_from_ms - tx.policy.unavailability_threshold_ms > tx.now_ms:
        return  # it has announced another time since; that has a deadline of its own
    tasks = _to_move(tx, name)
    if tasks:
        tx.say(name, f"goes away by its own announcement: {len(tasks)} tasks move")
    for task in tasks:
        transition(tx, task.task_id, TaskStatus.DRAINING, DRAINING_FOR_MAINTENANCE)


def _to_move(tx: Transaction, host: str) -> list[Task]:
    """Its active tasks whose end nobody has asked for yet."""
    found = tx.state.tasks.by_host.get(host, NO_USAGE).tasks.values()
    return [task for task in found if task.status not in END_ASKED_STATES]
