"""One placement pass: give every pending task that fits a host and ports, and say of the others why they wait."""

from __future__ import annotations

from scheduler.core import ops
from scheduler.core.effects import Launch
from scheduler.core.placement.fit import choose_ports, reasons_against
from scheduler.core.records import Host, Task, TaskConfig, TaskEvent, TaskStatus
from scheduler.core.tables import NO_USAGE
from scheduler.core.tasks.lifecycle import arm_deadlines
from scheduler.core.transaction import TaskChanged, Transaction

TASKS_PER_PASS = 500
"""So that a pass is a short decision; the controller makes another while it is told that more may be placed."""

NO_HOSTS = "No host has been offered yet"


def place(tx: Transaction) -> bool:
    """Returns whether another pass may place more."""
    waiting = tx.state.tasks.by_status[TaskStatus.PENDING]
    misfits: dict[TaskConfig, str] = {}
    placed = 0
    for task in list(waiting.values()):
        why_not = misfits.get(task.config)
        if why_not is None:
            host, why_not = _first_fit(tx, task.config)
            if host is not None:
                _assign(tx, task, host)
                placed += 1
                if placed >= TASKS_PER_PASS:
                    return True
                continue
            misfits[task.config] = why_not
        if tx.state.pending_reasons.get(task.task_id) != why_not:
            tx.state.pending_reasons[task.task_id] = why_not
            tx.say(task.task_id, f"stays PENDING: {why_not}")
    return False


def _first_fit(tx: Transaction, config: TaskConfig) -> tuple[Host | None, str]:
    nearest: tuple[str, ...] = ()
    for host in tx.state.hosts.values():
        reasons = reasons_against(tx.state, host, config)
        if not reasons:
            return host, ""
        if not nearest or len(reasons) < len(nearest):
            nearest = reasons
    return None, ",".join(nearest) or NO_HOSTS


def _assign(tx: Transaction, task: Task, host: Host) -> None:
    usage = tx.state.tasks.by_host.get(host.name, NO_USAGE)
    after = tx.state.last_ports.get(host.name, 0)
    ports = choose_ports(host, usage.ports, task.config.port_names(), after)
    if ports:
        tx.state.last_ports[host.name] = ports[-1][1]
    event = TaskEvent(max(tx.now_ms, task.latest_event_ms), TaskStatus.ASSIGNED, None, tx.world.scheduler)
    tx.apply(ops.AssignTask(task.task_id, event, host.name, host.agent_id, ports))
    tx.state.pending_reasons.pop(task.task_id, None)
    assigned = tx.state.tasks[task.task_id]
    tx.changes.append(TaskChanged(assigned))
    arm_deadlines(tx, assigned)
    tx.effect(Launch(assigned))
