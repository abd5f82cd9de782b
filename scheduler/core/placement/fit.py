"""Does a task fit on a host, and if not, why not. Pure; the reasons are what clients read as "pending reason".

Source: Aurora's documentation, "Constraints" and "Resource isolation and sizing"; reason texts are Aurora's.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from itertools import chain, islice
from typing import Final

from scheduler.core.records import (
    ASSIGNED_STATES,
    Host,
    LimitConstraint,
    ResourceKind,
    TaskConfig,
    ValueConstraint,
)
from scheduler.core.state import State
from scheduler.core.tables import NO_USAGE

DEDICATED: Final = "dedicated"


def reasons_against(state: State, host: Host, config: TaskConfig) -> tuple[str, ...]:
    """Why this task cannot go to this host; empty when it can. Only the first kind of reason is told."""
    attributes = dict(host.attributes)
    if DEDICATED in attributes and not any(c.name == DEDICATED for c in config.constraints):
        return ("Host is dedicated",)
    return _unsatisfied(state, attributes, config) or _insufficient(state, host, config)


def _unsatisfied(state: State, attributes: Mapping[str, tuple[str, ...]], config: TaskConfig) -> tuple[str, ...]:
    for constraint in config.constraints:
        rule, values = constraint.constraint, attributes.get(constraint.name)
        if isinstance(rule, ValueConstraint):
            if (values is not None and not set(values).isdisjoint(rule.values)) is rule.negated:
                return (f"Constraint not satisfied: {constraint.name}",)
        elif isinstance(rule, LimitConstraint):
            if values is None:
                return (f"Constraint not satisfied: {constraint.name}",)
            if any(_tasks_with(state, config, constraint.name, value) >= rule.limit for value in values):
                return (f"Limit not satisfied: {constraint.name}",)
    return ()


def _tasks_with(state: State, config: TaskConfig, attribute: str, value: str) -> int:
    """How many tasks of the job have a host with this attribute value."""
    count = 0
    for task in state.tasks.active.get(config.job, {}).values():
        host = state.hosts.get(task.host) if task.host is not None and task.status in ASSIGNED_STATES else None
        count += host is not None and value in dict(host.attributes).get(attribute, ())
    return count


def _insufficient(state: State, host: Host, config: TaskConfig) -> tuple[str, ...]:
    usage = state.tasks.by_host.get(host.name, NO_USAGE)
    names = config.port_names()
    free_and_wanted = (
        ("CPU", round(host.cpus * 1000) - usage.milli_cpus, round(config.amount(ResourceKind.CPUS) * 1000)),
        ("RAM", host.ram_mb - usage.ram_mb, config.amount(ResourceKind.RAM_MB)),
        ("disk", host.disk_mb - usage.disk_mb, config.amount(ResourceKind.DISK_MB)),
        ("GPU", host.gpus - usage.gpus, config.amount(ResourceKind.GPUS)),
        ("ports", _free_ports(host, usage.ports) if names else 0, len(names)),
    )
    return tuple(f"Insufficient: {name}" for name, free, wanted in free_and_wanted if wanted > free)


def _free_ports(host: Host, taken: Mapping[int, str]) -> int:
    return sum(port not in taken for port in host.ports)


def choose_ports(
    host: Host, taken: Mapping[int, str], names: tuple[str, ...], after: int
) -> tuple[tuple[str, int], ...]:
    """A free port for each name, going round the host's ports from `after`, so that a port just freed comes last.

    Empty when there are too few. `host.ports` is ascending.
    """
    start = bisect_right(host.ports, after)
    round_trip = chain(islice(host.ports, start, None), islice(host.ports, start))
    chosen = tuple(zip(names, (port for port in round_trip if port not in taken), strict=False))
    return chosen if len(chosen) == len(names) else ()
