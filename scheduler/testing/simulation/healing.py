"""The end of all faults: every update must come to its end, and engine and scheduler must agree afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from scheduler.core import jobs
from scheduler.core.maintenance import requests as maintenance
from scheduler.core.policy import MINUTE_MS
from scheduler.core.records import ACTIVE_STATES, TERMINAL_STATES, TaskStatus
from scheduler.core.updates import requests
from scheduler.testing.simulation.broken import Broken
from scheduler.testing.simulation.checks.waits import reasons
from scheduler.testing.simulation.fleet import FIRST_JOBS, RIVAL_JOBS, has_fleet
from scheduler.testing.simulation.ledger import PAUSED, TaskRow

if TYPE_CHECKING:
    from scheduler.testing.simulation.world import World

ENDS_WITHIN_MS: Final = 30 * 60_000
"""Of the clock that is turned: ten instances one by one, forward and back, each a few times penalized."""
FLEET_WITHIN_MS: Final = 3 * 60_000
AGREES_WITHIN_MS: Final = 3 * 60_000
RESUME_EVERY_MS: Final = 2_000
PERSON: Final = "person"
_WAITS: Final = frozenset({TaskStatus.PENDING, TaskStatus.THROTTLED})


def heal(world: World) -> None:
    """End all faults, let heartbeats flow, and wait. Raises Broken, saying who waits for what."""
    world.engine.heal()
    world.monitors.heal()
    world.heal()
    if has_fleet(world.seed):
        _heal_fleet(world)
    _until(world, lambda: world.is_quiet() and not _some_go_on(world), ENDS_WITHIN_MS, "updates end")
    _until(world, lambda: world.is_quiet() and not any(disagreements(world)), AGREES_WITHIN_MS, "engine agrees")
    world.sweep()
    for check in world.checks:
        check.healed()


def _heal_fleet(world: World) -> None:
    """Drains come to their end, hosts go back into service, who goes before others has room, and makes room again."""
    _until(world, lambda: world.is_quiet() and not _some_drain(world), FLEET_WITHIN_MS, "drains end")
    _until(world, lambda: world.is_quiet() and not _some_out_of_service(world), FLEET_WITHIN_MS, "hosts come back")
    _until(world, lambda: world.is_quiet() and not any(_first_without_host(world)), FLEET_WITHIN_MS, "first has room")
    _until(world, lambda: world.is_quiet() and not _some_rival(world), FLEET_WITHIN_MS, "engine agrees")


def _some_drain(world: World) -> bool:
    """Is there a drain whose time is over? One whose time is not, because a clock was set back, is not waited for."""
    assert world.witness is not None
    now_ms = world.witness.controller.clock.wall_ms()
    drains = [row.drain for row in world.witness.ledger.maintenance.values() if row.drain is not None]
    return any(drain.forced_at_ms <= now_ms + MINUTE_MS for drain in drains)


def _some_out_of_service(world: World) -> bool:
    assert world.witness is not None
    out = tuple(world.witness.ledger.maintenance)
    if out:
        world.clients.write(world.node, "endMaintenance", maintenance.end, out, PERSON)
    return bool(out)


def _first_without_host(world: World) -> Iterator[TaskRow]:
    assert world.witness is not None
    tasks = world.witness.ledger.tasks.values()
    return (task for task in tasks if task.job in FIRST_JOBS and task.status in _WAITS)


def _some_rival(world: World) -> bool:
    """So much more room is needed for all the others."""
    assert world.witness is not None
    there = {task.job for task in world.witness.ledger.tasks.values() if task.status in ACTIVE_STATES} & RIVAL_JOBS
    for job in sorted(there, key=str):
        world.clients.write(world.node, "kill", jobs.kill, job, (), PERSON, None)
    return bool(there)


def _until(world: World, reached: Callable[[], bool], within_ms: int, rule: str) -> None:
    end_ms = world.agenda.now_ms + within_ms
    while not reached():
        if world.agenda.now_ms >= end_ms:
            raise Broken(rule, f"not within {within_ms // 1000} s: {'; '.join(waiting(world))}")
        world.advance_to(world.agenda.now_ms + RESUME_EVERY_MS)


def _some_go_on(world: World) -> bool:
    """Is there an update that has not ended? A dutiful person resumes those that are paused until somebody does."""
    assert world.witness is not None
    for update in list(world.witness.ledger.active.values()):
        if update.status in PAUSED and world.witness.said_of(update.key).pause_until_ms is None:
            token = world.clients.token()
            world.clients.write(world.node, "resume", requests.resume, update.key, PERSON, token)
    return bool(world.witness.ledger.active)


def waiting(world: World) -> list[str]:
    """Who waits for what."""
    if world.witness is None:
        return ["nobody leads"]
    told = [
        f"{update.key} ({update.status.name}): {sentence}"
        for update in world.witness.ledger.active.values()
        for sentence in reasons(world.witness, update, world.engine.tasks)
    ]
    return told or list(disagreements(world)) or ["something is always on its way"]


def disagreements(world: World) -> Iterator[str]:
    """Where engine and log do not agree."""
    for task in world.engine.tasks.values():
        row = world.durable.tasks.get(task.task_id)
        if task.lives and (row is None or row.host is None):
            yield f"{task.task_id} runs and nobody knows it"
        elif task.lives and row is not None and row.status is not task.status:
            status = task.status.name if task.status is not None else "accepted"
            yield f"{task.task_id} is {row.status.name}, and {status} on the engine"
    for row in world.durable.tasks.values():
        if row.host is not None and row.task_id not in world.engine.tasks and row.status not in TERMINAL_STATES:
            yield f"{row.task_id} is {row.status.name} and the engine does not have it"
