"""What a script can do: one function for each kind of action. All of them take the run and plain values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from scheduler.core import jobs
from scheduler.core.cron import requests as cron_requests
from scheduler.core.queries import UpdateQuery, UpdateRequest
from scheduler.core.records import JobConfiguration, Metadata, TaskStatus
from scheduler.core.updates import expiring, requests, set_aside as set_aside_core
from scheduler.core.updates.plan import make_plan
from scheduler.core.updates.records import UpdateKey
from scheduler.core.updates.verdicts import Heartbeat, MonitorVerdict, heartbeat
from scheduler.core.views import update_details
from scheduler.testing.simulation import healing
from scheduler.testing.simulation.catalog import JOBS, config, settings
from scheduler.testing.simulation.checks.cron import START
from scheduler.testing.simulation.crontab import CRON_JOBS, template
from scheduler.testing.simulation.engine import HOSTS
from scheduler.testing.simulation.fleet_deeds import FLEET
from scheduler.testing.simulation.healing import PERSON
from scheduler.testing.simulation.monitors import Mood
from scheduler.testing.simulation.node import Trap
from scheduler.testing.simulation.poison import Fuse
from scheduler.testing.simulation.store import Fault

if TYPE_CHECKING:
    from scheduler.testing.simulation.world import World

PARTITIONS: Final = {
    "partition, back": None,
    "partition, lost": TaskStatus.LOST,
    "partition, failed": TaskStatus.FAILED,
    "partition, finished": TaskStatus.FINISHED,
}
"""Faults by what is heard of the task when its host is heard of again; None: that it goes on."""
CHANGES: Final = {
    "pause": requests.pause,
    "resume": requests.resume,
    "abort": requests.abort,
    "rollback": requests.rollback,
}
FOR_A_WHILE: Final = {"pause_for": expiring.pause_for, "override": expiring.override}
SET_ASIDE: Final = {"retry": set_aside_core.retry, "skip": set_aside_core.skip}


# --- people and tools ------------------------------------------------------------------------------------------------


def create(world: World, job: int, count: int, data: str, service: bool) -> None:
    made = config(job, data, is_service=service)
    asked = JobConfiguration(JOBS[job], made, count, "www")
    world.clients.write(world.node, "create", jobs.create, asked, PERSON)


def kill(world: World, job: int, instances: list[int]) -> None:
    world.clients.write(world.node, "kill", jobs.kill, JOBS[job], tuple(instances), PERSON, None)


def restart(world: World, job: int, instances: list[int]) -> None:
    world.clients.write(world.node, "restart", jobs.restart, JOBS[job], tuple(instances), PERSON)


def add(world: World, job: int, instance: int, count: int) -> None:
    world.clients.write(world.node, "add", jobs.add, JOBS[job], instance, count, PERSON)


def start(world: World, job: int, data: str, count: int, told: dict[str, Any]) -> None:
    wishes = [Metadata(f"thesan.{name}", value) for name, value in told.get("wishes", {}).items()]
    mark = (Metadata("org.apache.aurora.client.update_id", data), *wishes)
    asked = UpdateRequest(config(job, data), count, settings(told), mark)
    world.clients.write(world.node, "start", requests.start, asked, PERSON, world.clients.token())


def change(world: World, what: str, job: int, which: str) -> None:
    """`which`: "active" (else the newest ended one), "ended", or "none": a key nobody knows."""
    key = world.update_of(job, which)
    world.clients.write(world.node, what, CHANGES[what], key, PERSON, world.clients.token())


def say(world: World, job: int, which: str, verdict: str) -> None:
    """A heartbeat with a verdict, from somebody who is no monitor of ours."""
    told = Heartbeat(world.update_of(job, which), MonitorVerdict[verdict], world.clients.token(), "", "a probe")
    world.clients.write(world.node, "heartbeat", heartbeat, told, PERSON)


def for_a_while(world: World, what: str, job: int, which: str, duration_ms: int) -> None:
    """A pause that ends by itself, or an override of the heartbeat (0: it ends now)."""
    key = world.update_of(job, which)
    world.clients.write(world.node, what, FOR_A_WHILE[what], key, duration_ms, PERSON, world.clients.token())


def set_aside(world: World, what: str, job: int, which: str, instances: list[int]) -> None:
    key = world.update_of(job, which)
    asked = tuple(instances), PERSON, world.clients.token()
    world.clients.write(world.node, what, SET_ASIDE[what], key, *asked)


def pulse(world: World, job: int, which: str) -> None:
    """A heartbeat from somebody who is no monitor of ours."""
    world.clients.pulse(world.node, world.update_of(job, which))


def read(world: World, job: int) -> None:
    world.clients.read(world.node, "read", update_details, None, UpdateQuery(job=JOBS[job]))


def nonsense(world: World, what: int) -> None:
    """Requests that can only be refused."""
    bad = {"kind": "queue", "sizes": [0], "per_instance": 0, "failed": 0, "watch_ms": 0, "rollback": False}
    told = settings({**bad, "timeout_ms": None, "autopause": False})
    if what == 0:
        asked = UpdateRequest(config(0, "v"), 3, told)
        world.clients.write(world.node, "start", requests.start, asked, PERSON, world.clients.token())
    elif what == 1:
        world.clients.write(world.node, "add", jobs.add, JOBS[0], 0, 100, PERSON)
    elif what == 4:
        unknown = (Metadata("thesan.rollback_gates", "open"),)
        asked = UpdateRequest(
            config(0, "v"), 3, settings({**bad, "sizes": [1], "timeout_ms": None, "autopause": False}), unknown
        )
        world.clients.write(world.node, "start", requests.start, asked, PERSON, world.clients.token())
    elif what == 2:
        world.clients.write(world.node, "pause", requests.pause, UpdateKey(JOBS[0], "x"), PERSON, "m" * 2_000)
    else:
        asked_job = JobConfiguration(JOBS[0], config(1, "v"), 3, "www")
        world.clients.write(world.node, "create", jobs.create, asked_job, PERSON)


def cron_set(world: World, cron: int, data: str, schedule: str, count: int, policy: int, new: bool) -> None:
    """A template: a new one or another, or only another."""
    asked = template(cron, data, schedule, count, policy)
    do = cron_requests.schedule if new else cron_requests.replace
    world.clients.write(world.node, "set cron", do, asked, PERSON)


def cron_start(world: World, cron: int) -> None:
    world.clients.write(world.node, START, cron_requests.start, CRON_JOBS[cron], PERSON)


def cron_deschedule(world: World, cron: int) -> None:
    world.clients.write(world.node, "deschedule cron", cron_requests.deschedule, CRON_JOBS[cron], PERSON)


# --- monitors --------------------------------------------------------------------------------------------------------


def mood(world: World, job: int, mood: str, lag_ms: int, objection: str = "") -> None:
    """`objection`: what it says when most is ill; "": it is a monitor that only pulses."""
    monitor = world.monitors.each[job]
    monitor.objection = MonitorVerdict[objection] if objection else None
    monitor.mood, monitor.lag_ms = Mood(mood), lag_ms
    world.coverage.note("fault", f"monitor {mood}")


# --- the engine ------------------------------------------------------------------------------------------------------


def instance(world: World, job: int, instance: int, fault: str, for_ms: int) -> None:
    """Something happens to one instance's task."""
    engine, place = world.engine, (job, instance)
    if fault in ("hang assigned", "hang starting"):
        engine.next_hang[place] = fault.partition(" ")[2]
        world.coverage.note("fault", fault)
        return
    if fault == "flap":
        engine.next_crashes[place] = 3
        world.coverage.note("fault", fault)
        return
    if fault == "deaf":
        engine.deaf.add(place)
    task = engine.at(place)
    if task is None:
        return
    world.coverage.note("fault", fault)
    if fault == "deaf":
        task.deaf = True
    elif fault == "crash":
        engine.exit(task, TaskStatus.FAILED, "crashed")
    elif fault == "exit":
        engine.exit(task, TaskStatus.FINISHED, "done")
    elif fault == "stray kill" and task.status is not TaskStatus.PARTITIONED:  # Aurora's table knows no such edge
        engine.exit(task, TaskStatus.KILLED, "killed by nobody we know")
    elif fault == "lost":
        engine.exit(task, TaskStatus.LOST, "lost")
    elif fault == "vanish" and not world.node.up:
        engine.vanish(task)
    elif fault == "repeat":
        engine.repeat(task)
    elif fault in PARTITIONS and task.status in (TaskStatus.STARTING, TaskStatus.RUNNING):
        end = PARTITIONS[fault] or task.status
        engine.partition(task)
        world.agenda.on_grid(for_ms, engine.heal_partition, task, end)


def host(world: World, host: str, for_ms: int) -> None:
    """A machine is lost and comes back; of the first one nothing is heard meanwhile, and its tasks run on."""
    if host == HOSTS[0].name:
        world.engine.silence_host(host)
        world.agenda.on_grid(for_ms, world.engine.hear_host, host)
        world.coverage.note("fault", "host silent")
        return
    world.engine.lose_host(host)
    world.agenda.on_grid(for_ms, world.engine.restore_host, host)
    world.coverage.note("fault", "host lost")


def unreachable(world: World, for_ms: int) -> None:
    world.engine.unreachable_until_ms = world.agenda.now_ms + for_ms
    world.coverage.note("fault", "engine unreachable")


# --- log, clock, core, and the scheduler itself ----------------------------------------------------------------------


def slow(world: World, for_ms: int) -> None:
    world.store.slow_until_ms = world.agenda.now_ms + for_ms
    world.coverage.note("fault", "log slow")


def log_fault(world: World, fault: str) -> None:
    """The next append goes wrong."""
    world.store.next_fault = Fault(fault)


def step_clock(world: World, by_ms: int) -> None:
    """The wall's clock is set; the other one goes on."""
    world.clock.step_wall(by_ms)
    world.coverage.note("fault", "clock set back" if by_ms < 0 else "clock set forward")


def poison(world: World, job: int, calls: int) -> None:
    """The job's update raises after so many more looks at an instance."""
    controller = world.node.controller
    update = controller.state.updates.active.get(JOBS[job]) if controller is not None else None
    if update is not None and update.key not in world.poisons:
        world.poisons[update.key] = Fuse(calls)
        world.spread_poison(update.key, make_plan(update.instructions))
        world.coverage.note("fault", "poison")


def crash(world: World, place: str, kept: bool, down_ms: int) -> None:
    if world.node.up:
        world.node.set_trap(Trap(place, kept, down_ms))


def heal(world: World) -> None:
    """All faults end, heartbeats flow: everything must come to its end."""
    healing.heal(world)


DEEDS: Final[dict[str, Callable[..., None]]] = {
    deed.__name__: deed
    for deed in (
        create,
        kill,
        restart,
        add,
        start,
        change,
        say,
        for_a_while,
        set_aside,
        pulse,
        read,
        nonsense,
        cron_set,
        cron_start,
        cron_deschedule,
        mood,
        instance,
        host,
        unreachable,
        slow,
        log_fault,
        step_clock,
        poison,
        crash,
        heal,
    )
} | FLEET
