"""/scheduler/{role}/{env}/{job} and below: a job, one of its instances, one of its tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote

from scheduler.core.answers import Answer
from scheduler.core.policy import Policy
from scheduler.core.records import JobKey, ResourceKind, Task, TaskStatus
from scheduler.core.state import State
from scheduler.core.transaction import Clocks
from scheduler.core.updates.diff import grouped
from scheduler.core.updates.explain import explained
from scheduler.core.updates.records import InstanceConfigs
from scheduler.web.pages.people.layout import job_path, page, section, sentence, trail, utc
from scheduler.web.pages.people.updates import COLUMNS as UPDATE_COLUMNS, ranges_text, row_of
from scheduler.web.pages.writing import Link, Parts

MOST_ENDED: Final = 100
"""Tasks that have ended, and updates, that a page shows: the latest."""

TASK_COLUMNS: Final = ("instance", "status", "since (UTC)", "host", "ports", "why", "task")

CONFIG_COLUMNS: Final = ("instances", "CPUs", "RAM (MB)", "disk (MB)", "tier", "metadata")

Row = tuple[object, ...]


def job(state: State, policy: Policy, clocks: Clocks, key: JobKey) -> Answer:
    """What a job consists of, what is done to it, and what was. None: there is no such job."""
    tasks, updates = state.tasks.by_job.get(key, {}), state.updates.by_job.get(key, {})
    cron = state.cron_jobs.get(key)
    if not (tasks or updates or cron):
        return Answer()
    active = sorted(state.tasks.active.get(key, {}).items())
    ended = [task for task in reversed(tasks.values()) if not task.is_active][:MOST_ENDED]
    groups = grouped((instance, task.config) for instance, task in active)
    said: list[Parts] = []
    if cron is not None:
        at_ms = state.next_cron_runs.get(key)
        then = "" if at_ms is None else f", next at {utc(at_ms)} UTC"
        said.append(sentence(f"Runs by the schedule {cron.schedule}{then}."))
    update = state.updates.active.get(key)
    if update is not None:
        said.append(sentence(f"Update {update.key.id}: {explained(state, policy, clocks, update).sentence}"))
    latest = list(reversed(updates.values()))[:MOST_ENDED]
    return Answer(
        result=page(
            str(key),
            trail(key)[:-1],
            *said,
            section("Tasks", TASK_COLUMNS, _rows(key, [(task, _why(state, task)) for _, task in active])),
            section("Configurations", CONFIG_COLUMNS, map(_config, groups)),
            section("Updates", UPDATE_COLUMNS, map(row_of, latest)),
            section("Ended tasks", TASK_COLUMNS, _rows(key, [(task, _why(state, task)) for task in ended])),
        )
    )


def instance(state: State, policy: Policy, key: JobKey, number: int) -> Answer:
    """The tasks of one instance, the latest first. None: there are none."""
    tasks = [task for task in reversed(state.tasks.by_job.get(key, {}).values()) if task.instance_id == number]
    if not tasks:
        return Answer()
    rows = _rows(key, [(task, _why(state, task)) for task in tasks[:MOST_ENDED]])
    return Answer(result=page(f"{key}/{number}", trail(key), section("Tasks", TASK_COLUMNS, rows)))


def task(state: State, policy: Policy, key: JobKey, task_id: str) -> Answer:
    """One task and its history. None: there is none, or it is of another job."""
    found = state.tasks.get(task_id)
    if found is None or found.job != key:
        return Answer()
    number = str(found.instance_id)
    way = [*trail(key), Link(job_path(key, number), number)]
    record = Link(f"/structdump/task/{quote(task_id, safe='')}", "the whole record")
    history = ((utc(e.timestamp_ms), e.status.name, e.message or "", e.scheduler or "") for e in found.events)
    return Answer(
        result=page(
            task_id,
            [*way, record],
            section("Task", TASK_COLUMNS, _rows(key, [(found, _why(state, found))])),
            section("Configuration", CONFIG_COLUMNS, [_config(grouped([(found.instance_id, found.config)])[0])]),
            section("History", ("at (UTC)", "status", "why", "scheduler"), history),
        )
    )


def _why(state: State, task: Task) -> str:
    """Why it is as it is: what keeps it from a host, or what its last event says."""
    if task.status is TaskStatus.PENDING:
        return state.pending_reasons.get(task.config) or ""
    return (task.events[-1].message or "") if task.events else ""


def _rows(job: JobKey, tasks: Iterable[tuple[Task, str]]) -> Iterator[Row]:
    for task, why in tasks:
        number, ports = str(task.instance_id), " ".join(f"{name}={port}" for name, port in task.ports)
        yield (
            Link(job_path(job, number), number),
            task.status.name,
            utc(task.latest_event_ms),
            task.host or "",
            ports,
            why,
            Link(job_path(job, "task", task.task_id), task.task_id),
        )


def _config(group: InstanceConfigs) -> Row:
    config = group.config
    amounts = [f"{config.amount(kind):g}" for kind in (ResourceKind.CPUS, ResourceKind.RAM_MB, ResourceKind.DISK_MB)]
    metadata = " ".join(f"{one.key}={one.value}" for one in config.metadata)
    return ranges_text(group.instances), *amounts, config.tier or "", metadata
