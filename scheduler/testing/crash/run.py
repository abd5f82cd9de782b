"""One crash test from its first start to its verdict."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final

from attrs import frozen

from scheduler.core.records import TaskStatus
from scheduler.engines.local.tasks import life_of, task_id_of
from scheduler.interface import aurora
from scheduler.testing.asking import job_key
from scheduler.testing.cluster import Cluster, Scheduler
from scheduler.testing.crash.doors import HttpDoor, RawDoor
from scheduler.testing.crash.kills import INSIDE_A_COMMIT, Kill, Killer, plan
from scheduler.testing.crash.load import Load, Marks
from scheduler.testing.crash.rest import LAST_LIFE_S, at_rest
from scheduler.testing.crash.verdict import Ran, judge
from scheduler.testing.history import check
from scheduler.testing.history.ledger import Ledger
from scheduler.testing.history.recorder import Recorder
from scheduler.testing.history.records import Heard, History, Violation, World
from scheduler.testing.leftovers import belonging_to

__all__ = ["Outcome", "crash"]

LEAVE_S: Final = 16.0
"""Of the time there is: for the first start, for things to come to rest, and for the reckoning."""
END_S: Final = 20.0
_WORK_AT_LAST_S: Final = 0.5


@frozen
class Outcome:
    """What a run found, and the figures that say how much it tried."""

    seed: int
    kills: tuple[Kill, ...]
    seconds: float
    acknowledged: tuple[int, ...]
    """Calls acknowledged before the first kill, between each two, and after the last."""
    calls: dict[Heard, int]
    unknown_and_there: int
    inside_a_commit: tuple[int, ...]
    """Numbers of the kills, from 1, that fell between a decision and its reply."""
    tasks: int
    started: int
    cut_off: int
    violations: tuple[Violation, ...]

    @property
    def complaints(self) -> list[str]:
        """Why the run failed; empty when it passed."""
        found = [str(one) for one in self.violations]
        if not sum(self.acknowledged[1:-1]):
            found.append("no call was acknowledged between kills: nothing was tested")
        if not self.inside_a_commit:
            found.append("no kill fell inside a commit: nothing was tested")
        return found


def crash(
    kills: int,
    seconds: float,
    seed: int,
    *,
    say: Callable[[str], None],
    inside: Path | None = None,
    keep: bool = False,
) -> Outcome:
    """Run it. `say` gets a line for each thing that happens; `inside` and `keep` as in `Cluster`.

    Raises RuntimeError when something that was started would not end.
    """
    began = time.monotonic()
    random = Random(f"{seed}/kills")
    with Cluster(inside, engine="local", keep=keep) as cluster:
        if keep:
            say(f"everything is kept in {cluster.folder}")
        scheduler = cluster.scheduler()
        recorder, marks = Recorder(), Marks(cluster.folder / "marks")
        load = Load(lambda number: (HttpDoor if number % 2 else RawDoor)(scheduler), recorder, marks, seed=seed)
        scheduler.start()
        load.start()
        scheduler.stop()
        killer = Killer(scheduler, say)
        try:
            killer.run(list(plan(kills, random)), until=began + max(1.0, seconds - LEAVE_S))
            begun = time.monotonic()
            time.sleep(_WORK_AT_LAST_S)
        finally:
            load.stop()
        with scheduler.client() as client:
            world, restless = at_rest(client, load.abort, not_before=begun + LAST_LIFE_S)
        deaths = [kill.at for kill in killer.kills]
        history = recorder.history(deaths)
        scheduler.stop()
        ran = _what_ran(scheduler, marks)
        violations = [*restless, *check(history, world), *judge(world, ran, kills=len(deaths))]
        violations += [Violation("ran twice", "instance", double) for double in killer.doubles]
        violations += _end_everything(scheduler, world)
        return _outcome(seed, began, killer, recorder, history, world, ran, violations)


def _outcome(
    seed: int,
    began: float,
    killer: Killer,
    recorder: Recorder,
    history: History,
    world: World,
    ran: Ran,
    violations: list[Violation],
) -> Outcome:
    ledger = Ledger(history, world)
    happened = [
        change for change in ledger.changes.values() if change.heard is Heard.UNKNOWN and ledger.is_there(change)
    ]
    return Outcome(
        seed=seed,
        kills=tuple(killer.kills),
        seconds=time.monotonic() - began,
        acknowledged=tuple(recorder.acknowledged_between(kill.at for kill in killer.kills)),
        calls=recorder.counts(),
        unknown_and_there=len(happened),
        inside_a_commit=tuple(_inside_a_commit(killer.kills, [change.ended for change in happened])),
        tasks=len(world.tasks),
        started=len(ran.starts),
        cut_off=sum(task.status is TaskStatus.LOST for task in world.tasks),
        violations=tuple(violations),
    )


def _inside_a_commit(kills: list[Kill], cut_short: list[float]) -> list[int]:
    """Kills at a failpoint inside a commit, and those after which a call was there that nobody had been told of."""
    return [n for n, kill in enumerate(kills, 1) if kill.failpoint in INSIDE_A_COMMIT or kill.at in cut_short]


# --- the reckoning ----------------------------------------------------------------------------------------------------


def _what_ran(scheduler: Scheduler, marks: Marks) -> Ran:
    starts = marks.lines(marks.starts)
    living: dict[str, tuple[int, ...]] = {}
    for process in belonging_to(scheduler.folder):
        if process.task_id is not None and process.pid in starts.get(process.task_id, ()):
            living[process.task_id] = (*living.get(process.task_id, ()), process.pid)
    tasks = scheduler.data_dir / "engine" / "tasks"
    folders = {task_id_of(path): life_of(path).value for path in tasks.iterdir()}
    return Ran(starts, marks.lines(marks.ends), living, folders)


def _end_everything(scheduler: Scheduler, world: World) -> list[Violation]:
    """Kill every job as a person would: afterwards nothing may live."""
    scheduler.start()
    jobs = sorted({task.job.rpartition("/")[2] for task in world.tasks if task.is_wanted})
    for name in jobs:
        _must_be_ok(scheduler.ask("killTasks", job_key(name), None, "the crash test is over"))
    give_up_at = time.monotonic() + END_S
    while True:
        living = [process for process in belonging_to(scheduler.folder) if process.pid != scheduler.pid]
        if not living or time.monotonic() > give_up_at:
            break
        time.sleep(0.05)
    scheduler.stop()
    return [Violation("unwanted", str(one.pid), f"lives after everything was killed: {one.command}") for one in living]


def _must_be_ok(response: Any) -> None:
    if response.responseCode != aurora.ResponseCode.OK:
        raise RuntimeError(f"answered with {response.responseCode}: {response.details}")
