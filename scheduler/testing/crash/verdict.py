"""The reckoning of tasks: what really ran, beside what the scheduler says and what the engine's folder holds.

| rule | what must not be |
| --- | --- |
| ran twice | a task id that started more than once, or lives twice, or two living tasks of one instance |
| ran unrecorded | a start of a task the state does not know |
| lost | a task that should run and does not, or that the state calls LOST for no reason it may have |
| unwanted | a task that runs and should not |
| end unknown | an end the state tells otherwise than the task itself |
| folder | the engine's folder and the state disagree |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from attrs import field, frozen

from scheduler.core.records import TERMINAL_STATES, TaskStatus
from scheduler.testing.history.records import TaskRow, Violation, World

__all__ = ["CUT_OFF", "Ran", "judge"]

CUT_OFF: Final = "its start was cut off before anything ran"
"""What the local engine says of a task whose folder was made, and whose process was not, when the scheduler died."""

_STARTED: Final = frozenset({TaskStatus.STARTING, TaskStatus.RUNNING})


@frozen
class Ran:
    """What is true of the processes, whoever says what. All by task id."""

    starts: Mapping[str, tuple[int, ...]] = field(factory=dict)
    """The pids it started with; one is right."""
    ends: Mapping[str, tuple[int, ...]] = field(factory=dict)
    """The pids with which it came to the end of its command."""
    living: Mapping[str, tuple[int, ...]] = field(factory=dict)
    """First processes that live now: those that wrote themselves down."""
    folders: Mapping[str, str] = field(factory=dict)
    """Whether the engine's folder of it is `alive`, `ended` or `dead`."""


def judge(world: World, ran: Ran, *, kills: int) -> list[Violation]:
    """What is wrong, when nothing moves any more. `kills`: how often the scheduler was killed."""
    tasks = {task.task_id: task for task in world.tasks}
    found = [*_starts(tasks, ran), *_ends(tasks, ran), *_folders(tasks, ran)]
    found += _losses(tasks, ran, kills)
    for task in tasks.values():
        found += _one(task, ran)
    return found


def _starts(tasks: Mapping[str, TaskRow], ran: Ran) -> Iterator[Violation]:
    for task_id, pids in ran.starts.items():
        if len(pids) > 1:
            yield Violation("ran twice", task_id, f"started {len(pids)} times, as {', '.join(map(str, pids))}")
        if task_id not in tasks:
            yield Violation("ran unrecorded", task_id, "started, and the state does not know it")
    instances = Counter((task.job, task.instance) for id, task in tasks.items() if ran.living.get(id))
    for (job, instance), count in instances.items():
        if count > 1:
            yield Violation("ran twice", job, f"instance {instance} has {count} living tasks")


def _one(task: TaskRow, ran: Ran) -> Iterator[Violation]:
    lives = ran.living.get(task.task_id, ())
    if len(lives) > 1:
        yield Violation("ran twice", task.task_id, f"lives {len(lives)} times")
    if task.status is TaskStatus.RUNNING and not ran.starts.get(task.task_id):
        yield Violation("lost", task.task_id, "is RUNNING and never started")
    elif task.status in _STARTED and not lives:
        yield Violation("lost", task.task_id, f"is {task.status.name} and does not live")
    if lives and task.status in TERMINAL_STATES:
        yield Violation("unwanted", task.task_id, f"is {task.status.name} and lives")


def _ends(tasks: Mapping[str, TaskRow], ran: Ran) -> Iterator[Violation]:
    for task_id, task in tasks.items():
        came_to_its_end = bool(ran.ends.get(task_id))
        if task.status is TaskStatus.FINISHED and not came_to_its_end:
            yield Violation("end unknown", task_id, "is FINISHED and did not come to its end")
        elif task.status is TaskStatus.FAILED:
            yield Violation("end unknown", task_id, f"is FAILED, which no task here does: {task.events[-1].message}")
        # A kill may have come in the last moment; who asked for it stands in the events.
        elif came_to_its_end and task.status is not TaskStatus.FINISHED and not _end_was_asked(task):
            yield Violation("end unknown", task_id, f"came to its end and is {task.status.name}")


def _end_was_asked(task: TaskRow) -> bool:
    return any(event.status is TaskStatus.KILLING for event in task.events)


def _losses(tasks: Mapping[str, TaskRow], ran: Ran, kills: int) -> Iterator[Violation]:
    """LOST is right only of a task that never ran: its start was cut off, or its end was asked before it started."""
    cut_off = 0
    for task in tasks.values():
        if task.status is not TaskStatus.LOST:
            continue
        if ran.starts.get(task.task_id):
            yield Violation("lost", task.task_id, "is LOST, and had started")
        if task.events[-1].message == CUT_OFF:
            cut_off += 1
        elif not _end_was_asked(task):
            yield Violation("lost", task.task_id, f"is LOST: {task.events[-1].message}")
    # The engine makes one task's folder at a time, so a kill can cut off one start.
    if cut_off > kills:
        yield Violation("lost", "tasks", f"{cut_off} starts were cut off by {kills} kills")


def _folders(tasks: Mapping[str, TaskRow], ran: Ran) -> Iterator[Violation]:
    for task_id, life in ran.folders.items():
        task = tasks.get(task_id)
        if task is None:
            yield Violation("folder", task_id, f"there is a folder ({life}) of a task the state does not know")
        elif (life == "alive") != (task.status not in TERMINAL_STATES):
            yield Violation("folder", task_id, f"its folder is {life}, it is {task.status.name}")
    for task_id, task in tasks.items():
        if task.status in _STARTED and task_id not in ran.folders:
            yield Violation("folder", task_id, f"is {task.status.name} and has no folder")
