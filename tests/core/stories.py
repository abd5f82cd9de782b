"""Random stories: lists of small numbers that mean something in whatever state they meet."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from hypothesis import strategies as st

from scheduler.core import jobs, pruning
from scheduler.core.answers import Answer
from scheduler.core.policy import Policy
from scheduler.core.queries import SettingsRequest, UpdateRequest
from scheduler.core.records import JobConfiguration, JobKey, PartitionPolicy, Task, TaskConfig, TaskStatus
from scheduler.core.tasks.lifecycle import transition
from scheduler.core.tasks.table import END_ASKED_STATES
from scheduler.core.transaction import Transaction
from scheduler.core.updates import requests
from scheduler.core.updates.records import (
    BatchStrategy,
    QueueStrategy,
    Range,
    Strategy,
    UpdateKey,
    VariableBatchStrategy,
)
from scheduler.testing.stage import ROOMY_HOST, Stage, service

JOBS = (JobKey("www", "prod", "web"), JobKey("www", "test", "api"))
STRATEGIES: tuple[Strategy, ...] = (
    QueueStrategy(1),
    QueueStrategy(3),
    BatchStrategy(2),
    BatchStrategy(2, True),
    VariableBatchStrategy((1, 2)),
    VariableBatchStrategy((1, 2), True),
)
SETTINGS = tuple(
    SettingsRequest(
        strategy=strategy,
        max_per_instance_failures=failures,
        max_failed_instances=failed,
        min_wait_in_instance_running_ms=watch_ms,
        rollback_on_failure=rollback,
        block_if_no_pulses_after_ms=timeout_ms,
        update_only_these_instances=only,
    )
    for strategy in STRATEGIES
    for failures, failed, rollback in ((0, 0, True), (1, 1, True), (0, 0, False))
    for watch_ms, timeout_ms in ((0, None), (3000, None), (3000, 10_000))
    for only in ((), (Range(1, 2),))
)
ENDS = (TaskStatus.FAILED, TaskStatus.FINISHED, TaskStatus.KILLED, TaskStatus.LOST)
BY_HAND = (
    TaskStatus.KILLING,
    TaskStatus.RESTARTING,
    TaskStatus.DRAINING,
    TaskStatus.PREEMPTING,
    TaskStatus.PARTITIONED,
    TaskStatus.LOST,
    TaskStatus.PENDING,
)
WAITS_MS = (1, 999, 3000, 3000, 3000, 10_000, 12_000, 61_000)
SHORT_TIMES = Policy(
    flapping_task_threshold_ms=5000,
    initial_flapping_task_delay_ms=1000,
    max_flapping_task_delay_ms=20_000,
    transient_task_state_timeout_ms=50_000,
    history_min_retention_ms=10_000,
    history_prune_threshold_ms=60_000,
    history_max_per_job=5,
    update_history_prune_threshold_ms=60_000,
    update_history_per_job=3,
)

commands = st.tuples(st.sampled_from(range(16)), st.integers(0, 200), st.integers(0, 7))
stories = st.lists(commands, min_size=1, max_size=40)
Command = tuple[int, int, int]

# How often each kind of command comes in a `random_story`: starts, verbs, heartbeats, reports, hands, requests,
# pruning, waits, restarts, hosts, an engine that obeys.
WEIGHTS = (2, 2, 2, 3, 5, 5, 2, 4, 4, 1, 1, 1, 9, 1, 1, 10)


def random_story(seed: int, length: int) -> list[Command]:
    chance = Random(seed)
    kinds = chance.choices(range(16), WEIGHTS, k=length)
    return [(kind, chance.randrange(200), chance.randrange(8)) for kind in kinds]


Decision = tuple[Callable[..., Answer | None], tuple[object, ...]]


def config(job: JobKey, which: int) -> TaskConfig:
    partition = (None, PartitionPolicy(True, 5), PartitionPolicy(False))[which % 3]
    made = service(job, ("red", "green", "blue")[which % 3])
    return TaskConfig(
        job, is_service=True, executor=made.executor, resources=made.resources, partition_policy=partition
    )


class Teller:
    """Tells a story on a stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def tell(self, story: list[Command]) -> None:
        for command in story:
            self.step(command)

    def step(self, command: Command) -> None:
        decision = self.decision(command)
        if decision is not None:
            self.stage.ask(decision[0], *decision[1])
            return
        kind, number, _ = command
        if kind == 12:
            self.stage.advance(WAITS_MS[number % len(WAITS_MS)])
        elif kind == 13:
            self.stage.restart()
        elif kind == 14:
            self.stage.offer((ROOMY_HOST,) if number % 3 else ())
        else:
            self._obey()

    def decision(self, command: Command) -> Decision | None:
        """The decision a command stands for here and now; None: it is none."""
        kind, number, which = command
        job = JOBS[number % 2]
        key = self._update(job)
        if kind < 3:
            return self._start(job, number, which)
        if kind == 3:
            verbs = (requests.pause, requests.resume, requests.rollback, requests.abort)
            return verbs[which % 4], (key, "ann", None)
        if kind in (4, 5):
            return requests.pulse, (key,)
        if kind in (6, 7, 8):
            return self._report(job, number // 2, ENDS[which % 4] if kind == 6 else None)
        if kind == 9:
            return self._by_hand(job, number // 2, BY_HAND[which % len(BY_HAND)])
        if kind == 10:
            return self._job_request(job, number // 2, which)
        if kind == 11:
            tables = self.stage.state.tasks, self.stage.state.updates
            prune, table = (pruning.prune_tasks, tables[0]) if which % 2 else (pruning.prune_updates, tables[1])
            return prune, (pruning.Jobs(table.ended.jobs()),)
        return None

    def _start(self, job: JobKey, number: int, which: int) -> Decision:
        request = UpdateRequest(config(job, which), (number * 7 + which) % 6, SETTINGS[number % len(SETTINGS)])
        return requests.start, (request, "ann", None)

    def _update(self, job: JobKey) -> UpdateKey:
        update = self.stage.state.updates.active.get(job)
        return UpdateKey(job, "unknown") if update is None else update.key

    def _task(self, job: JobKey, number: int) -> Task | None:
        rows = self.stage.state.tasks.by_job.get(job, {})
        return list(rows.values())[number % len(rows)] if rows else None

    def _report(self, job: JobKey, number: int, status: TaskStatus | None) -> Decision | None:
        task = self._task(job, number)
        if task is None:
            return None
        to = status or (TaskStatus.RUNNING, TaskStatus.STARTING, TaskStatus.RUNNING)[number % 3]

        def report(tx: Transaction) -> None:
            transition(tx, task.task_id, to)

        return report, ()

    def _by_hand(self, job: JobKey, number: int, to: TaskStatus) -> Decision | None:
        task = self._task(job, number)
        return None if task is None else (transition_only, (task.task_id, to))

    def _job_request(self, job: JobKey, number: int, which: int) -> Decision:
        if which < 2:
            return jobs.create, (JobConfiguration(job, config(job, number), 1 + number % 4), "ann")
        if which < 4:
            return jobs.kill, (job, (number % 5,) if which == 2 else (), "ann", None)
        if which < 6:
            return jobs.restart, (job, (number % 4,), "ann")
        return jobs.add, (job, number % 4, 1, "ann")

    def _obey(self) -> None:
        """The engine does all that it was told."""
        for job in JOBS:
            for task in list(self.stage.state.tasks.active.get(job, {}).values()):
                if task.status in END_ASKED_STATES:
                    self.stage.report(task, TaskStatus.KILLED)
                elif task.status in (TaskStatus.ASSIGNED, TaskStatus.STARTING):
                    self.stage.run(task)


def transition_only(tx: Transaction, task_id: str, to: TaskStatus) -> None:
    transition(tx, task_id, to)
