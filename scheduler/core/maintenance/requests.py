"""What operators ask of hosts: startMaintenance, drainHosts, slaDrainHosts, endMaintenance, maintenanceStatus.

A host that is not known is left out of the answer, and nothing is kept of it. Source: Aurora's documentation,
"Maintenance"; `docs/compatibility.md`, "Maintenance".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from scheduler.core import ops
from scheduler.core.answers import Answer, invalid
from scheduler.core.maintenance import draining
from scheduler.core.maintenance.records import Drain, Maintenance
from scheduler.core.policy import Policy
from scheduler.core.queries import HostModes, HostsDrained, MaintenanceEnded, MaintenanceStarted
from scheduler.core.records import MaintenanceMode, PercentageSlaPolicy, SlaPolicy
from scheduler.core.sla.policies import mistake
from scheduler.core.state import State
from scheduler.core.tables import NO_USAGE
from scheduler.core.transaction import DeadlineKind, Transaction

Modes = tuple[tuple[str, MaintenanceMode], ...]

NO_SLA: Final = PercentageSlaPolicy(0.0, 0)
MOST_TASKS_AT_ONCE: Final = 500
"""Moved within the call of drainHosts, so that it is a short decision; the rest follow at once."""


def start(tx: Transaction, hosts: Iterable[str], user: str) -> Answer:
    """SCHEDULED: tasks stay, and new ones go elsewhere if they can."""
    modes = _set(tx, hosts, MaintenanceMode.SCHEDULED, user)
    return Answer(details=_left_out(hosts, modes), result=MaintenanceStarted(modes))


def end(tx: Transaction, hosts: Iterable[str], user: str) -> Answer:
    """Back in service, whatever was asked before."""
    modes = _set(tx, hosts, MaintenanceMode.NONE, user)
    return Answer(details=_left_out(hosts, modes), result=MaintenanceEnded(modes))


def _set(tx: Transaction, hosts: Iterable[str], mode: MaintenanceMode, user: str) -> Modes:
    names = known(tx.state, hosts)
    for name in names:
        _save(tx, Maintenance(name, mode))
    tx.wants_placement = True
    if names:
        tx.say("maintenance", f"{mode.name} by {user}: {_listed(names)}")
    return tuple((name, mode) for name in names)


def drain(tx: Transaction, hosts: Iterable[str], user: str) -> Answer:
    """Empty these hosts now, whatever the SLA of the tasks on them."""
    names = known(tx.state, hosts)
    modes: list[tuple[str, MaintenanceMode]] = []
    moved = 0
    if names:
        tx.say("maintenance", f"drained at once by {user}: {_listed(names)}")
    for name in names:
        left = len(tx.state.tasks.by_host.get(name, NO_USAGE).tasks)
        row = Maintenance(name, MaintenanceMode.DRAINING, Drain(NO_SLA, 0, tx.now_ms))
        _save(tx, row)
        modes.append((name, MaintenanceMode.DRAINING if left else MaintenanceMode.DRAINED))
        if moved < MOST_TASKS_AT_ONCE:
            draining.look(tx, row)
            moved += left
        else:
            tx.arm_mono(DeadlineKind.DRAIN, name, tx.mono_ms)
    return Answer(details=_left_out(hosts, modes), result=HostsDrained(tuple(modes)))


def sla_drain(tx: Transaction, hosts: Iterable[str], policy: SlaPolicy, timeout_secs: int | None, user: str) -> Answer:
    """Empty these hosts as fast as the SLA of the tasks allows, and in any case after `timeout_secs`."""
    if timeout_secs is None or timeout_secs < 0:
        return invalid(f"timeoutSecs is {timeout_secs}; it must be 0 or more seconds")
    wrong = mistake(policy, tx.policy.sla_coordinator_hosts)
    if wrong is not None:
        return invalid(f"defaultSlaPolicy: {wrong}")
    names = known(tx.state, hosts)
    for name in names:
        row = Maintenance(name, MaintenanceMode.DRAINING, Drain(policy, timeout_secs, tx.now_ms))
        _save(tx, row)
        tx.arm_mono(DeadlineKind.DRAIN, name, tx.mono_ms)
    if names:
        tx.say("maintenance", f"drained within {timeout_secs} s by {user}, as SLA allows: {_listed(names)}")
    modes = tuple((name, MaintenanceMode.DRAINING) for name in names)
    return Answer(details=_left_out(hosts, modes), result=HostsDrained(modes))


def status(state: State, policy: Policy, hosts: Iterable[str]) -> Answer:
    """The mode of each of these hosts that is known."""
    modes = tuple((name, mode_of(state, name)) for name in known(state, hosts))
    return Answer(details=_left_out(hosts, modes), result=HostModes(modes))


def known(state: State, hosts: Iterable[str]) -> list[str]:
    """Those that are offered, or were while tasks are on them, or that have a mode from before; sorted."""
    places = (state.hosts, state.absent_hosts, state.maintenance, state.tasks.by_host)
    return sorted(name for name in set(hosts) if any(name in place for place in places))


def _left_out(hosts: Iterable[str], modes: Iterable[tuple[str, MaintenanceMode]]) -> tuple[str, ...]:
    """A sentence about the hosts that were asked for and are not known."""
    unknown = sorted(set(hosts) - {name for name, _ in modes})
    return (f"Not known here, and left out: {_listed(unknown)}",) if unknown else ()


def mode_of(state: State, host: str) -> MaintenanceMode:
    row = state.maintenance.get(host)
    return MaintenanceMode.NONE if row is None else row.mode


def _save(tx: Transaction, row: Maintenance) -> None:
    if row.mode is not MaintenanceMode.NONE or row.host in tx.state.maintenance:
        tx.apply(ops.SaveMaintenance(row))


def _listed(names: list[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
