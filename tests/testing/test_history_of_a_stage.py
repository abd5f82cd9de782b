"""The checker against the real core: it leaves random histories with failovers alone, and misses no lost entry."""

from __future__ import annotations

from itertools import count
from random import Random
from typing import Any

import pytest

from scheduler.core import jobs
from scheduler.core.answers import Answer, Code
from scheduler.core.queries import SettingsRequest, UpdateRequest
from scheduler.core.records import (
    ExecutorConfig,
    JobConfiguration,
    JobKey,
    Metadata,
    Task,
    TaskConfig,
    TaskStatus,
)
from scheduler.core.updates import requests
from scheduler.testing.asking import CALL, UPDATE_ID
from scheduler.testing.history import Call, Heard, History, Kind, World, check
from scheduler.testing.history.ledger import Ledger
from scheduler.testing.history.read_back import from_state
from scheduler.testing.history.records import in_words
from scheduler.testing.stage import EXECUTOR, RESOURCES, Stage, replayed

MOVES = {
    Kind.PAUSE_UPDATE: requests.pause,
    Kind.RESUME_UPDATE: requests.resume,
    Kind.ABORT_UPDATE: requests.abort,
    Kind.ROLL_BACK_UPDATE: requests.rollback,
}
NEXT = {
    TaskStatus.ASSIGNED: TaskStatus.STARTING,
    TaskStatus.STARTING: TaskStatus.RUNNING,
    TaskStatus.KILLING: TaskStatus.KILLED,
}


class Clients:
    """One client after another asks a stage; some answers get lost on the way, and the stage fails over."""

    def __init__(self, seed: int) -> None:
        self.stage = Stage(seed=seed)
        self.calls: list[Call] = []
        self._random = Random(seed)
        self._numbers = count(1)

    def play(self, steps: int) -> None:
        habits = [
            self._create,
            self._kill,
            self._start,
            self._move,
            self._move,
            self._pulse,
            self._engine,
            self._fail_over,
        ]
        for _ in range(steps):
            self._random.choices(habits, (2, 1, 3, 4, 4, 3, 12, 1))[0]()
        for _ in range(20):
            self._engine()

    def _job(self) -> JobKey:
        return JobKey("www", "prod", f"job-{self._random.randrange(4)}")

    def _config(self, job: JobKey, token: str) -> TaskConfig:
        metadata = (Metadata(CALL, token),)
        return TaskConfig(
            job, is_service=True, executor=ExecutorConfig(EXECUTOR, "x"), resources=RESOURCES, metadata=metadata
        )

    def _ask(self, kind: Kind, job: JobKey, token: str, decision: Any, *args: Any, **more: Any) -> None:
        began = float(next(self._numbers))
        chance = self._random.random()
        if chance < 0.1:  # refused before it was looked at
            answer = Answer(Code.ERROR_TRANSIENT)
        else:
            answer = self.stage.ask(decision, *args)
        heard = Heard.ACKNOWLEDGED if answer.ok else Heard.REFUSED
        if 0.1 <= chance < 0.25:  # it may have happened, and the answer got lost
            heard = Heard.UNKNOWN
        no_effect = heard is Heard.ACKNOWLEDGED and bool(answer.details)
        self.calls.append(Call(token, kind, str(job), began, heard, began + 0.5, no_effect=no_effect, **more))

    def _create(self) -> None:
        job, token, instances = self._job(), f"c-{next(self._numbers)}", self._random.randint(1, 3)
        wanted = JobConfiguration(job, self._config(job, token), instances)
        self._ask(Kind.CREATE_JOB, job, token, jobs.create, wanted, "ann", instances=frozenset(range(instances)))

    def _kill(self) -> None:
        job, token = self._job(), f"k-{next(self._numbers)}"
        some = () if self._random.random() < 0.5 else (self._random.randrange(3),)
        self._ask(Kind.KILL_TASKS, job, token, jobs.kill, job, some, "ann", in_words(token), instances=frozenset(some))

    def _start(self) -> None:
        job, token, instances = self._job(), f"u-{next(self._numbers)}", self._random.randint(1, 3)
        settings = SettingsRequest(
            update_group_size=2,
            max_per_instance_failures=0,
            max_failed_instances=0,
            min_wait_in_instance_running_ms=0,
            rollback_on_failure=True,
            block_if_no_pulses_after_ms=self._random.choice((None, 60_000)),
        )
        request = UpdateRequest(self._config(job, token), instances, settings, (Metadata(UPDATE_ID, token),))
        self._ask(
            Kind.START_UPDATE,
            job,
            token,
            requests.start,
            request,
            "ann",
            in_words(token),
            instances=frozenset(range(instances)),
        )

    def _move(self) -> None:
        updates = list(self.stage.state.updates)
        if updates:
            key, kind = self._random.choice(updates[-4:]), self._random.choice([*MOVES])
            token = f"m-{next(self._numbers)}"
            self._ask(kind, key.job, token, MOVES[kind], key, "ann", in_words(token), update=key.id)

    def _pulse(self) -> None:
        active = list(self.stage.state.updates.active.values())
        if active:
            self.stage.ask(requests.pulse, self._random.choice(active).key)

    def _engine(self) -> None:
        self.stage.advance(self._random.choice((0, 10, 1000)))
        moving: list[Task] = [task for task in self.stage.state.tasks.values() if task.status in NEXT]
        if moving:
            task = self._random.choice(moving)
            self.stage.report(task, NEXT[task.status])

    def _fail_over(self) -> None:
        self.stage.restart()
        self.stage.settle()


@pytest.mark.parametrize("seed", range(12))
def test_what_the_core_does_is_right(seed: int) -> None:
    clients = Clients(seed)
    clients.play(150)

    assert list(map(str, check(History(tuple(clients.calls)), from_state(clients.stage.state)))) == []


@pytest.mark.parametrize("seed", range(12))
def test_an_entry_that_got_lost_is_missed(seed: int) -> None:
    """The log is cut at every length: whenever that takes an acknowledged trace away, the checker finds something."""
    clients = Clients(100 + seed)
    clients.play(60)
    history, entries = History(tuple(clients.calls)), list(clients.stage.log)
    whole = _traces(history, from_state(clients.stage.state))

    tried = 0
    for length in range(len(entries)):
        world = from_state(replayed(entries[:length]))
        if whole - _traces(history, world):
            tried += 1
            assert check(history, world), f"nothing missed at entry {length}"
    assert tried > 3


def _traces(history: History, world: World) -> set[str]:
    """Tokens of the acknowledged calls that are there."""
    ledger = Ledger(history, world)
    return {t for t, change in ledger.changes.items() if change.heard is Heard.ACKNOWLEDGED and ledger.is_there(change)}
