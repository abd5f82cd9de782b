"""What is done to hosts in service, drawn from the seed. Everything else: `invent.py`."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, Final

from scheduler.core.records import MaintenanceMode, TaskStatus
from scheduler.testing.simulation.agenda import GRID_MS
from scheduler.testing.simulation.catalog import JOBS
from scheduler.testing.simulation.engine import HOSTS
from scheduler.testing.simulation.fleet import RIVALS

if TYPE_CHECKING:
    from scheduler.testing.simulation.world import World

Told = tuple[str, dict[str, Any]]

_NAMES: Final = tuple(host.name for host in HOSTS)
_RIVALS: Final = {int(rival.job.name.rpartition("-")[2]): number for number, rival in enumerate(RIVALS)}
"""Which of them it is, by the number in its name."""
_OUT: Final = frozenset({MaintenanceMode.DRAINING, MaintenanceMode.DRAINED, MaintenanceMode.SCHEDULED})


def upkeep(random: Random, world: World, data: str, follow_ups: list[Told]) -> Told:
    """Operators at work: on one host after the other as a rule, so that what moves has somewhere to go."""
    out = [name for name, row in world.durable.maintenance.items() if row.mode in _OUT]
    draw = random.random()
    if draw < 0.35:
        return _rival(random, world, data)
    if out and draw < 0.35 + 0.2 * len(out):
        return "maintain", {"what": "endMaintenance", "hosts": [random.choice(out)]}
    host = random.choice(_NAMES)
    if draw < 0.75:
        if random.random() < 0.3:  # it goes away while it drains, or is taken back into service
            follow_ups.append(random.choice((_announce(random, host), _end(host))))
        return _drain(random, host)
    if draw < 0.8:
        return "stay", {"host": host}
    if random.random() < 0.4:
        follow_ups.append(_drain(random, host))
    return _announce(random, host)


def _rival(random: Random, world: World, data: str) -> Told:
    number = random.randrange(len(RIVALS))
    there = any(row.job == RIVALS[number].job for row in world.durable.tasks.values())
    if not there:
        return "rival", {"rival": number, "count": random.randint(2, RIVALS[number].most), "data": data}
    instances = [] if random.random() < 0.3 else [random.randrange(3)]
    return "rival_kill", {"rival": number, "instances": instances}


def _end(host: str) -> Told:
    return "maintain", {"what": "endMaintenance", "hosts": [host]}


def _drain(random: Random, host: str) -> Told:
    what = random.choice(("startMaintenance", "drainHosts", "slaDrainHosts", "slaDrainHosts", "slaDrainHosts"))
    if what != "slaDrainHosts":
        return "maintain", {"what": what, "hosts": [host]}
    kind = random.choice(("percentage", "count"))
    amount = random.choice((50, 80, 90, 100) if kind == "percentage" else (2, 6, 9, 20))
    secs = random.choice((0, 1, 4))
    return "sla_drain", {
        "hosts": [host],
        "kind": kind,
        "amount": amount,
        "secs": secs,
        "timeout_secs": random.choice((0, 5, 10, 10, 20, 20)),
    }


def _announce(random: Random, host: str) -> Told:
    in_ms = random.choice((2_000, 6_000, 10_000, 20_000))
    return "announce", {"host": host, "in_ms": in_ms, "away_ms": random.choice((1_000, 4_000))}


def upset(random: Random, world: World) -> Told | None:
    """Something happens to one that makes way, or leaves a host that drains: it does not last long."""
    going = _going(world)
    if not going or random.random() >= 0.35:
        return None
    job, instance = random.choice(going)
    fault = random.choice(("kill", "kill", "crash", "exit", "lost", "partition, back"))
    if fault == "kill" and job in _RIVALS:
        return "rival_kill", {"rival": _RIVALS[job], "instances": [instance]}
    if fault == "kill" and job < len(JOBS):
        return "kill", {"job": job, "instances": [instance]}
    return "instance", {"job": job, "instance": instance, "fault": fault, "for_ms": 4 * GRID_MS}


def _going(world: World) -> list[tuple[int, int]]:
    """Job numbers and instances: of those that make way, or else of those that leave a host that drains."""
    if world.witness is None:
        return []
    state = world.witness.controller.state
    ids = state.tasks.by_status[TaskStatus.PREEMPTING] or state.tasks.by_status[TaskStatus.DRAINING]
    tasks = [state.tasks[task_id] for task_id in ids]
    return [(int(task.job.name.rpartition("-")[2]), task.instance_id) for task in tasks]
