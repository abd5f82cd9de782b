"""One placement pass: give every pending task that fits a host and ports, and say of the others why they wait."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import define

from scheduler.core import ops
from scheduler.core.effects import Launch
from scheduler.core.placement.fit import choose_ports, reasons_against
from scheduler.core.records import Host, Task, TaskConfig, TaskEvent, TaskStatus
from scheduler.core.tables import NO_USAGE
from scheduler.core.tasks.lifecycle import arm_deadlines
from scheduler.core.transaction import TaskChanged, Transaction

TASKS_PER_PASS: Final = 100
"""So that a pass is a short decision; the controller makes another while it is told that more may be placed."""

NO_HOSTS: Final = "No host has been offered yet"


@define
class _Search:
    """The search of one configuration. Within a pass hosts only fill up, so a host that was too full stays so."""

    hosts: Iterator[Host]
    host: Host | None
    nearest: tuple[str, ...] = ()


def place(tx: Transaction) -> bool:
    """Returns whether another pass may place more."""
    searches: dict[TaskConfig, _Search] = {}
    placed = 0
    for task in list(tx.state.tasks.by_status[TaskStatus.PENDING].values()):
        search = searches.get(task.config)
        if search is None:
            hosts = iter(tx.state.hosts.values())
            search = searches[task.config] = _Search(hosts, next(hosts, None))
        host = _next_fit(tx, task.config, search)
        if host is None:
            _waits(tx, task, ",".join(search.nearest) or NO_HOSTS)
            continue
        _assign(tx, task, host)
        placed += 1
        if placed >= TASKS_PER_PASS:
            return True
    return False


def _next_fit(tx: Transaction, config: TaskConfig, search: _Search) -> Host | None:
    while search.host is not None:
        reasons = reasons_against(tx.state, search.host, config)
        if not reasons:
            return search.host
        if not search.nearest or len(reasons) < len(search.nearest):
            search.nearest = reasons
        search.host = next(search.hosts, None)
    return None


def _waits(tx: Transaction, task: Task, why: str) -> None:
    if tx.state.pending_reasons.get(task.task_id) != why:
        tx.state.replace(tx.state.pending_reasons, task.task_id, why)
        tx.say(task.task_id, f"stays PENDING: {why}")


def _assign(tx: Transaction, task: Task, host: Host) -> None:
    usage = tx.state.tasks.by_host.get(host.name, NO_USAGE)
    names = task.config.port_names()
    ports = choose_ports(host, usage.ports, names, _last_port(tx, host)) if names else ()
    if ports:
        tx.state.replace(tx.state.last_ports, host.name, ports[-1][1])
    event = TaskEvent(max(tx.now_ms, task.latest_event_ms), TaskStatus.ASSIGNED, None, tx.world.scheduler)
    tx.apply(ops.AssignTask(task.task_id, event, host.name, host.agent_id, ports))
    tx.state.replace(tx.state.pending_reasons, task.task_id, None)
    assigned = tx.state.tasks[task.task_id]
    tx.changes.append(TaskChanged(assigned))
    arm_deadlines(tx, assigned)
    tx.effect(Launch(assigned))


def _last_port(tx: Transaction, host: Host) -> int:
    """Where the round of ports goes on. A new leader begins anywhere: others on the same machine may hand out too."""
    last = tx.state.last_ports.get(host.name)
    return host.ports[int(tx.world.random() * len(host.ports))] if last is None else last
