"""One scheduler, what it is asked, and what really ran: the words the restart tests are written in."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scheduler.core.records import TaskStatus
from scheduler.interface import aurora
from scheduler.testing.asking import job, job_key, tasks_of, update_request
from scheduler.testing.cluster import BROKEN, Scheduler
from scheduler.testing.history.read_back import from_scheduler
from scheduler.testing.history.records import World, in_words
from scheduler.testing.leftovers import belonging_to

RUNNING = TaskStatus.RUNNING
OK = aurora.ResponseCode.OK
MOVING = frozenset(TaskStatus) - {RUNNING, TaskStatus.FINISHED, TaskStatus.FAILED, TaskStatus.KILLED, TaskStatus.LOST}
"""States a task passes through."""


class Story:
    def __init__(self, scheduler: Scheduler, starts: Path) -> None:
        self.scheduler = scheduler
        self._starts = starts

    # --- asking

    @property
    def command(self) -> str:
        """What every task runs: it writes its pid into a file of its id's name, and then sleeps."""
        return f"echo $$ >> {self._starts}/{{{{thermos.task_id}}}}; exec sleep 600"

    def create(self, name: str, instances: int = 1, *, token: str) -> Any:
        return self.scheduler.ask("createJob", job(name, self.command, instances, token=token))

    def kill_job(self, name: str, *, token: str) -> Any:
        return self.scheduler.ask("killTasks", job_key(name), None, in_words(token))

    def start_update(self, name: str, instances: int = 1, *, token: str, **how: int) -> Any:
        request = update_request(name, self.command, instances, token=token, **how)
        return self.scheduler.ask("startJobUpdate", request, in_words(token))

    def move(self, method: str, name: str, id: str, *, token: str) -> Any:
        key = aurora.JobUpdateKey(job=job_key(name), id=id)
        return self.scheduler.ask(method, key, in_words(token))

    def pulse(self, name: str, id: str) -> Any:
        return self.scheduler.ask("pulseJobUpdate", aurora.JobUpdateKey(job=job_key(name), id=id))

    def dies_in(self, ask: Callable[[], Any]) -> None:
        """Ask, and expect the scheduler to die instead of answering."""
        try:
            answer = ask()
        except BROKEN:
            assert self.scheduler.wait_for_end() == -9
        else:
            raise AssertionError(f"it answered: {answer}")

    # --- looking

    def world(self) -> World:
        with self.scheduler.client() as client:
            return from_scheduler(client)

    def tasks(self, name: str) -> list[Any]:
        with self.scheduler.client() as client:
            return tasks_of(client, [name])

    def until(self, what: Callable[[World], bool], *, within_s: float = 60) -> World:
        """Read until it is so."""
        give_up_at = time.monotonic() + within_s
        while True:
            world = self.world()
            if what(world):
                return world
            assert time.monotonic() < give_up_at, f"not so within {within_s} s: {world}"
            time.sleep(0.02)

    def until_quiet(self) -> World:
        """Until no task is on its way from one state to another, and each that runs has written that it started."""
        return self.until(
            lambda world: (
                not any(task.status in MOVING for task in world.tasks)
                and all(self.starts(task.task_id) for task in world.tasks if task.status is RUNNING)
            )
        )

    def until_running(self, name: str, instances: int) -> World:
        wanted = set(range(instances))
        return self.until(
            lambda world: (
                wanted == {t.instance for t in world.tasks if t.job == f"www/prod/{name}" and t.status is RUNNING}
                and not any(t.status in MOVING for t in world.tasks)
            )
        )

    def starts(self, task_id: str) -> list[int]:
        """The pids under which a task started, one for each time."""
        path = self._starts / task_id
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def all_starts(self) -> dict[str, list[int]]:
        return {path.name: self.starts(path.name) for path in self._starts.iterdir()}

    def living(self) -> dict[str, list[int]]:
        """Pids of the tasks' own processes that live, by task id."""
        found: dict[str, list[int]] = {}
        for process in belonging_to(self.scheduler.folder):
            if process.task_id is not None:
                found.setdefault(process.task_id, []).append(process.pid)
        return found

    def until_nothing_lives(self, *, within_s: float = 60) -> None:
        give_up_at = time.monotonic() + within_s
        while living := self.living():
            assert time.monotonic() < give_up_at, f"these live after {within_s} s: {living}"
            time.sleep(0.02)

    def check_each_ran_once(self) -> None:
        """Every task that runs has started once and lives once; none that does not run lives; none is unknown."""
        world = self.until_quiet()
        running = {task.task_id for task in world.tasks if task.status is RUNNING}
        starts = self.all_starts()
        assert all(len(starts[task_id]) == 1 for task_id in running), starts
        assert all(len(pids) <= 1 for pids in starts.values()), starts
        assert set(starts) <= {task.task_id for task in world.tasks}
        expected = {task_id: starts[task_id] for task_id in running}
        give_up_at = time.monotonic() + 15  # a command of the task's own shell may be there for a moment
        while (living := self.living()) != expected:
            assert time.monotonic() < give_up_at, (living, expected)
            time.sleep(0.02)
