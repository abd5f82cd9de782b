"""What a script can do to hosts in service, and to the jobs that push others out. See also `deeds.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from scheduler.core import jobs, quota
from scheduler.core.maintenance import requests as maintenance
from scheduler.testing.simulation.fleet import QUOTA, RIVALS, ROLE, rival_job, sla_policy
from scheduler.testing.simulation.healing import PERSON

if TYPE_CHECKING:
    from scheduler.testing.simulation.world import World

MAINTENANCE: Final = {
    "startMaintenance": maintenance.start,
    "drainHosts": maintenance.drain,
    "endMaintenance": maintenance.end,
}


def rival(world: World, rival: int, count: int, data: str) -> None:
    """A job that others compete with, within the quota of its role if it is of a preferred tier."""
    world.clients.write(world.node, "set quota", quota.set_quota, ROLE, QUOTA, PERSON)
    world.clients.write(world.node, "create", jobs.create, rival_job(rival, count, data), PERSON)


def rival_kill(world: World, rival: int, instances: list[int]) -> None:
    world.clients.write(world.node, "kill", jobs.kill, RIVALS[rival].job, tuple(instances), PERSON, None)


def maintain(world: World, what: str, hosts: list[str]) -> None:
    """`what`: the name of the RPC."""
    world.clients.write(world.node, what, MAINTENANCE[what], tuple(hosts), PERSON)


def sla_drain(world: World, hosts: list[str], kind: str, amount: int, secs: int, timeout_secs: int) -> None:
    """`kind`: percentage or count; so much of each job must have been running for `secs`."""
    asked = tuple(hosts), sla_policy(kind, amount, secs), timeout_secs
    world.clients.write(world.node, "slaDrainHosts", maintenance.sla_drain, *asked, PERSON)


def announce(world: World, host: str, in_ms: int, away_ms: int) -> None:
    """A host says that it will go away, goes, and comes back after a while. An earlier announcement holds no longer."""
    at_ms = world.agenda.wall_ms + in_ms
    world.engine.announce(host, at_ms)
    world.agenda.on_grid(in_ms, world.engine.depart, host, at_ms)
    world.agenda.on_grid(in_ms + away_ms, world.engine.come_back, host, at_ms)
    world.coverage.note("fault", "host announces to go away")


def stay(world: World, host: str) -> None:
    """A host takes back what it announced."""
    if world.engine.take_back(host):
        world.coverage.note("fault", "host stays after all")


FLEET: Final[dict[str, Callable[..., None]]] = {
    deed.__name__: deed for deed in (rival, rival_kill, maintain, sla_drain, announce, stay)
}
