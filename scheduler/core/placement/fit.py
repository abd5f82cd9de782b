"""Does a task fit on a host, and if not, why not. Pure; the reasons are what clients read as "pending reason".

The checks stop at the first kind that fails: dedicated hosts, maintenance, value constraints, limits, resources. Each
veto has a score, and the host with the lowest sum is the nearest fit. Source: Aurora's documentation, "Constraints" and
"Resource isolation and sizing"; reason texts are Aurora's.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from itertools import chain, islice
from typing import Final, NamedTuple

from attrs import frozen

from scheduler.core.placement.needs import NOTHING, Need, need_of
from scheduler.core.placement.rooms import DEDICATED, Room
from scheduler.core.policy import Policy
from scheduler.core.records import Constraint, Host, LimitConstraint, MaintenanceMode, TaskConfig, ValueConstraint

CLOSED_MODES: Final = frozenset({MaintenanceMode.DRAINING, MaintenanceMode.DRAINED})

Counts = Mapping[str, Mapping[str, int]]
"""How many tasks of the job there are per attribute name and value, for the attributes it limits."""


class Veto(NamedTuple):
    """Why a task cannot go to a host. The lower the score, the nearer it comes."""

    score: float
    reason: str


IS_DEDICATED: Final = Veto(1e6, "Host is dedicated")
MAINTENANCE_SCORE: Final = 1e5
CONSTRAINT_SCORE: Final = 1e4
MOST_SHORT: Final = 1e3
"""The score of a shortfall as large as its range, or larger."""

SHORTFALLS: Final = (("CPU", 16_000), ("RAM", 24 * 1024), ("disk", 450 * 1024), ("GPU", 4), ("ports", 1000))
"""In the order of `Need`: the name in a reason, and the range over which a shortfall is scaled."""
_CPU_SPAN, _RAM_SPAN, _DISK_SPAN, _GPU_SPAN, _PORT_SPAN = (span for _, span in SHORTFALLS)


@frozen(eq=False)
class Request:
    """What a configuration asks of a host, taken apart once for all looks. `need` includes the executor's own."""

    config: TaskConfig
    need: Need
    rules: tuple[Constraint, ...]
    values: tuple[tuple[str, ValueConstraint], ...]
    limits: tuple[tuple[str, int], ...]
    is_dedicated: bool


def overhead_of(policy: Policy) -> Need:
    """What the executor of each task takes beside the task."""
    return Need(policy.executor_milli_cpus, policy.executor_ram_mb)


def request_of(policy: Policy, config: TaskConfig) -> Request:
    rules = config.constraints
    return Request(
        config,
        need_of(config).plus(overhead_of(policy)),
        rules,
        tuple((c.name, c.constraint) for c in rules if isinstance(c.constraint, ValueConstraint)),
        tuple((c.name, c.constraint.limit) for c in rules if isinstance(c.constraint, LimitConstraint)),
        any(c.name == DEDICATED for c in rules),
    )


def has_room(room: Room, need: Need, own: Need = NOTHING) -> bool:
    """Is enough free? `own`: what is held, but not against whoever asks. What nobody asks for may be short."""
    return (
        room.milli_cpus + own.milli_cpus >= need.milli_cpus
        and room.ram_mb + own.ram_mb >= need.ram_mb
        and room.disk_mb + own.disk_mb >= need.disk_mb
        and (not need.gpus or room.gpus + own.gpus >= need.gpus)
        and (not need.ports or room.ports + own.ports >= need.ports)
    )


def static_veto(room: Room, request: Request) -> Veto | None:
    """What no change of use can lift: it stands as long as the host's record does, maintenance apart."""
    if room.is_dedicated and not request.is_dedicated:
        return IS_DEDICATED
    for name, rule in request.values:
        values = room.attributes.get(name)
        if (values is not None and not set(values).isdisjoint(rule.values)) is rule.negated:
            return Veto(CONSTRAINT_SCORE, f"Constraint not satisfied: {name}")
    for name, _ in request.limits:
        if name not in room.attributes:
            return Veto(CONSTRAINT_SCORE, f"Constraint not satisfied: {name}")
    return None


def maintenance_veto(host: Host, soon_ms: int) -> Veto | None:
    """`soon_ms`: hosts that go away before then take nothing more."""
    if host.mode in CLOSED_MODES:
        return Veto(MAINTENANCE_SCORE, f"Host {host.mode.name.lower()} for maintenance")
    if host.unavailable_from_ms is not None and host.unavailable_from_ms <= soon_ms:
        return Veto(MAINTENANCE_SCORE, "Host draining for maintenance")
    return None


def limit_veto(room: Room, request: Request, counts: Counts) -> Veto | None:
    for name, limit in request.limits:
        taken = counts[name]
        if any(taken.get(value, 0) >= limit for value in room.attributes.get(name, ())):
            return Veto(CONSTRAINT_SCORE, f"Limit not satisfied: {name}")
    return None


def shortfalls(room: Room, need: Need) -> tuple[Veto, ...]:
    """One veto for each resource that is short."""
    free = (room.milli_cpus, room.ram_mb, room.disk_mb, room.gpus, room.ports)
    return tuple(
        Veto(min(1.0, (wanted - there) / span) * MOST_SHORT, f"Insufficient: {name}")
        for (name, span), wanted, there in zip(SHORTFALLS, need, free, strict=True)
        if wanted > there and wanted > 0
    )


def shortfall(room: Room, need: Need) -> float:
    """The sum of what `shortfalls` scores, without the words: asked of every host when a reason is looked for."""
    cpus, ram, disk, gpus, ports = need
    score = 0.0
    if cpus > room.milli_cpus:
        score += min(1.0, (cpus - room.milli_cpus) / _CPU_SPAN)
    if ram > room.ram_mb:
        score += min(1.0, (ram - room.ram_mb) / _RAM_SPAN)
    if disk > room.disk_mb:
        score += min(1.0, (disk - room.disk_mb) / _DISK_SPAN)
    if gpus and gpus > room.gpus:
        score += min(1.0, (gpus - room.gpus) / _GPU_SPAN)
    if ports and ports > room.ports:
        score += min(1.0, (ports - room.ports) / _PORT_SPAN)
    return score * MOST_SHORT


def vetoes(room: Room, request: Request, static: Veto | None, counts: Counts, soon_ms: int) -> tuple[Veto, ...]:
    """All that speaks against this host, of the first kind that does. `static`: what `static_veto` says."""
    maintenance = maintenance_veto(room.host, soon_ms)
    first = static if static is IS_DEDICATED else maintenance or static or limit_veto(room, request, counts)
    return (first,) if first is not None else shortfalls(room, request.need)


def free_ports(host: Host, taken: Iterable[int]) -> int:
    """How many of the host's ports nobody has. A port that is taken may have left the host's range since."""
    ports = host.ports
    gone = 0
    for port in taken:
        place = bisect_left(ports, port)
        gone += place < len(ports) and ports[place] == port
    return len(ports) - gone


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
