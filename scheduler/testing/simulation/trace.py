"""The history of a run in lines: the last of them for people, all of them as one digest to compare runs by."""

from __future__ import annotations

from collections import deque
from hashlib import blake2b

from scheduler.contracts import Entry
from scheduler.core import ops
from scheduler.core.effects import Effect, Forget, Launch, Terminate
from scheduler.core.queries import PulseAnswer
from scheduler.testing.simulation.clients import Fate, Request

SHOWN = 60


def line(op: ops.Op) -> str:
    """One op in a few words."""
    match op:
        case ops.MoveTask() | ops.AssignTask():
            return f"{op.task_id} {op.event.status.name} {op.event.timestamp_ms}"
        case ops.SaveTask():
            return f"{op.task.task_id} new {op.task.status.name} {op.task.events[-1].timestamp_ms}"
        case ops.RemoveTasks():
            return f"{op.task_ids} gone"
        case ops.StartUpdate() | ops.MoveUpdate():
            return f"{op.key} {op.event.status.name} {op.event.timestamp_ms} {op.event.message or ''}"
        case ops.RecordInstance():
            return f"{op.key} [{op.event.instance_id}] {op.event.action.name} {op.event.timestamp_ms}"
        case ops.MoveInstance():
            told = op.progress
            return f"{op.key} [{op.instance_id}] {told.phase.name} {told.failures} {told.exit_seq} {told.recorded}"
        case ops.AnnotateUpdate():
            return f"{op.key} noted: {op.notes}"
        case ops.RecordRemark():
            return f"{op.key} remarked: {op.remark}"
        case ops.SaveMaintenance():
            return f"{op.maintenance.host} {op.maintenance.mode.name}"
        case ops.MoveCronJob():
            return f"{op.key} cron: {op.why} {op.runs}"
        case ops.EpochBegun():
            return f"epoch {op.epoch}"
        case ops.RemoveUpdates():
            return f"{', '.join(map(str, op.keys))} gone"
    return type(op).__name__


def _found(request: Request) -> str:
    result = request.answer.result if request.answer is not None else None
    if isinstance(result, PulseAnswer):
        return f"{request.args[0]} {'FINISHED' if result.finished else 'OK'}"
    return ", ".join(str(update.key) for update in getattr(result, "updates", ())) or "none"


class Trace:
    """Told of everything that is part of the history."""

    def __init__(self) -> None:
        self._hash = blake2b(digest_size=16)
        self._last: deque[tuple[int, str]] = deque(maxlen=SHOWN)

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def tell(self, now_ms: int, what: str) -> None:
        self._hash.update(f"{now_ms} {what}\n".encode())
        self._last.append((now_ms, what))

    def durable(self, now_ms: int, entry: Entry) -> None:
        told = "; ".join(map(line, entry.ops))
        self.tell(now_ms, f"durable {entry.offset} of epoch {entry.epoch}: {told}")

    def acts(self, now_ms: int, effect: Effect) -> None:
        if isinstance(effect, Launch):
            self.tell(now_ms, f"launches {effect.task.task_id} on {effect.task.host}")
        elif isinstance(effect, Forget):
            self._hash.update(f"{now_ms} forgets {effect.task_ids}\n".encode())  # too many to be worth showing
        elif isinstance(effect, Terminate):
            self.tell(now_ms, f"{'kills' if effect.hard else 'ends'} {effect.task_id}")

    def answered(self, now_ms: int, request: Request) -> None:
        if request.what in ("find", "pulse") and request.fate is Fate.ACKNOWLEDGED:
            self.tell(now_ms, f"call {request.number} {request.what}: {_found(request)}")
            return
        told = request.answer.details if request.answer is not None else ()
        self.tell(
            now_ms, f"call {request.number} {request.what}: {request.fate.value} {' '.join(map(str, told))[:120]}"
        )

    def last(self) -> list[str]:
        return [f"{now_ms / 1000:9.3f} s  {what[:240]}" for now_ms, what in self._last]
