"""What happened on a stage, in the few words of a transcript. The forms are listed at the top of `script.py`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from scheduler.contracts import Entry
from scheduler.core import ops
from scheduler.core.answers import Answer
from scheduler.core.effects import AskCoordinator, Effect, Reconcile, Say, Terminate
from scheduler.core.queries import HostModes, PulseAnswer, StartedUpdate
from scheduler.core.records import JobKey, Task, TaskConfig, TaskEvent
from scheduler.core.updates.expiring import Until
from scheduler.core.updates.explain import Explanation
from scheduler.core.updates.notes import Notes, Remark
from scheduler.core.updates.records import UpdateEvent, UpdateKey
from scheduler.core.updates.standing import Outcome, Standing

NOBODY = "UNSECURE"
"""The acting user when nobody said who they are; not worth a word."""


class Line(NamedTuple):
    """`job` None: it is about all of them."""

    job: JobKey | None
    text: str


def version(config: TaskConfig) -> str:
    """The word a script calls this configuration by."""
    return config.executor.data if config.executor is not None else "?"


class Narrator:
    """Remembers who is who: updates are u1, u2, ... in the order of their start, tasks are their instances."""

    def __init__(self) -> None:
        self.with_tasks = False
        self.with_hosts = False
        self.with_sentences = False
        self.updates: list[UpdateKey] = []
        self._tasks: dict[str, Task] = {}

    def name_of(self, key: UpdateKey) -> str:
        return f"u{self.updates.index(key) + 1}"

    def of_entry(self, entry: Entry) -> Iterator[Line]:
        for op in entry.ops:
            yield from self._of_task(op)
            yield from self._of_update(op)
            if isinstance(op, ops.MoveCronJob) and op.why:
                yield Line(op.key, f"C {op.why}")
            elif isinstance(op, ops.SaveMaintenance):
                yield Line(None, f"H {op.maintenance.host} {op.maintenance.mode.name}")

    def _of_task(self, op: ops.Op) -> Iterator[Line]:
        if isinstance(op, ops.SaveTask):
            task = op.task
            self._tasks[task.task_id] = task
            verb = "add" if task.ancestor_id is None else "again"
            held_back = f" {task.status.name}" if task.status.name != "PENDING" else ""
            yield Line(task.job, f"{verb} {task.instance_id} {version(task.config)}{held_back}")
        elif isinstance(op, ops.MoveTask | ops.AssignTask):
            task = self._tasks[op.task_id]
            if self.with_tasks:
                where = f" on {op.host}" if self.with_hosts and isinstance(op, ops.AssignTask) else ""
                yield Line(task.job, f"T{task.instance_id} {op.event.status.name}{where}{self.renamed(_why(op.event))}")
        elif isinstance(op, ops.RemoveTasks):
            for gone in (self._tasks.pop(task_id) for task_id in op.task_ids):
                yield Line(gone.job, f"drop {gone.instance_id} {version(gone.config)}")

    def _of_update(self, op: ops.Op) -> Iterator[Line]:
        if isinstance(op, ops.StartUpdate):
            self.updates.append(op.key)
        if isinstance(op, ops.StartUpdate | ops.MoveUpdate):
            yield Line(op.key.job, f"J {op.event.status.name}{_why(op.event)}{_who(op.event)}")
        elif isinstance(op, ops.RecordInstance):
            action = op.event.action.name.removeprefix("INSTANCE_")
            said = f' "{op.event.message}"' if op.event.message else ""
            yield Line(op.key.job, f"I{op.event.instance_id} {action}{said}")
        elif isinstance(op, ops.AnnotateUpdate):
            yield Line(op.key.job, f"N {_noted(op.notes)}")
        elif isinstance(op, ops.RecordRemark):
            yield Line(op.key.job, f"R{_why(op.remark)}{_who(op.remark)}")
        elif isinstance(op, ops.RemoveUpdates):
            for key in op.keys:
                yield Line(key.job, f"forget {self.name_of(key)}")

    def of_effect(self, effect: Effect) -> Iterator[Line]:
        if isinstance(effect, Terminate):
            task = self._tasks.get(effect.task_id)
            whom = effect.task_id if task is None else str(task.instance_id)
            yield Line(None if task is None else task.job, f"kill{'!' if effect.hard else ''} {whom}")
        elif isinstance(effect, AskCoordinator):
            task = effect.task
            yield Line(task.job, f"ask {effect.policy.coordinator_url} about {task.instance_id}")
        elif isinstance(effect, Reconcile):
            yield Line(None, "compare")
        elif isinstance(effect, Say) and self.with_sentences:
            yield Line(None, f"~ {self.renamed(f'{effect.subject}: {effect.sentence}')}")

    def of_answer(self, answer: Answer) -> str:
        words = [f"= {answer.code.name}"]
        if isinstance(answer.result, PulseAnswer):
            words.append("FINISHED" if answer.result.finished else "beating")
        elif isinstance(answer.result, StartedUpdate):
            running = answer.result.running
            name = self.name_of(answer.result.key)
            words.append(name if running is None else f"already {name} {running.status.name}")
        elif isinstance(answer.result, Standing):
            words.append(_standing(answer.result))
        elif isinstance(answer.result, Explanation):
            words.append(f"{answer.result.holder.held_by.name}: {answer.result.sentence}")
        elif isinstance(answer.result, Until):
            until = f" until {answer.result.until_ms}" if answer.result.until_ms else ""
            words.append(f"{answer.result.status.name}{until}")
        elif isinstance(answer.result, HostModes):
            words.append(", ".join(f"{host} {mode.name}" for host, mode in answer.result.modes) or "no host")
        words += [f'"{detail or ""}"' for detail in answer.details]
        return self.renamed(" ".join(words))

    def renamed(self, text: str) -> str:
        """With u1 for `www/prod/web/id-17` or its id alone, and instances for task ids."""
        for number, key in enumerate(self.updates, 1):
            text = re.sub(rf"(\b{re.escape(str(key.job))}/)?\b{re.escape(key.id)}\b", f"u{number}", text)
        for task_id, task in self._tasks.items():
            text = text.replace(task_id, f"{task.job.name}/{task.instance_id}")
        return text


def _noted(notes: Notes) -> str:
    """What is noted beside the history, in full."""
    words = []
    if notes.hold is not None:
        words.append(f'hold "{notes.hold.reason}" since {notes.hold.since_ms}')
    if notes.override is not None:
        words.append(f'override until {notes.override.until_ms} by {notes.override.user} "{notes.override.reason}"')
    if notes.pause is not None:
        until = f" until {notes.pause.until_ms}" if notes.pause.until_ms else ""
        words.append(f'pause{until} by {notes.pause.user} "{notes.pause.reason}"')
    if notes.progress_from_ms or notes.progress_used_ms:
        words.append(f"progress used {notes.progress_used_ms} from {notes.progress_from_ms}")
    return ", ".join(words) or "nothing"


def _standing(result: Standing) -> str:
    status = "unknown" if result.status is None else result.status.name
    waits_for = f", waits for {result.waits_for}" if result.waits_for else ""
    why = f': "{result.paused_why}"' if result.paused_why else ""
    by = f", paused by {result.paused_by or 'itself'}{why}" if result.outcome is Outcome.PAUSED else ""
    return f"{result.outcome.name} {status}{waits_for}{by}"


def _why(event: UpdateEvent | TaskEvent | Remark) -> str:
    return f' "{event.message}"' if event.message else ""


def _who(event: UpdateEvent | Remark) -> str:
    return f" by {event.user}" if event.user not in (None, "", NOBODY) else ""
