"""From a committed entry to the events that followers see: a pure function of the entry, nothing else.

So every scheduler that has the entry makes the same events of it, whether it wrote the entry, read it back, or took
over from the one that did. The price: an event says what its op says. A move of a task names the task, and the job and
the instance stand in the event that began it (`docs/events.md`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from scheduler.contracts import Entry, Event, EventKind
from scheduler.core import ops
from scheduler.core.records import TaskEvent
from scheduler.core.updates.records import UpdateEvent, UpdateKey

__all__ = ["Kept", "Untellable", "events_of", "restores"]

Fields = dict[str, Any]


class Untellable(Exception):
    """The events of an entry cannot be made: a mistake of ours, while the entry itself stands."""

    def __init__(self, offset: int, wrong: Exception) -> None:
        super().__init__(f"those of entry {offset} cannot be made ({wrong!r})")
        self.offset = offset


def events_of(entry: Entry) -> tuple[Event, ...]:
    """All of an entry, in the order of its ops. Raises Untellable."""
    return _events(entry.offset, entry.timestamp_ms, entry.ops)


def restores(entry: Entry) -> bool:
    """Does it put another state in the place of the one that the events before it tell of?"""
    return ops.Restored in map(type, entry.ops)


def _events(offset: int, timestamp_ms: int, told: Iterable[Any]) -> tuple[Event, ...]:
    found: list[Event] = []
    try:
        for op in told:
            for fields in _FIELDS.get(type(op), _none)(op):
                fields.setdefault("timestamp_ms", timestamp_ms)
                found.append(Event(cursor=offset, index=len(found), **fields))
    except Exception as wrong:
        raise Untellable(offset, wrong) from wrong
    return tuple(found)


class Kept:
    """An entry as memory keeps it: what its events are made of, and from the first reading on the events.

    Making an event costs more than deciding what it tells of, and most are read by nobody. What would keep a
    configuration alive after the state has dropped it becomes its fields at once.
    """

    __slots__ = ("_events", "_made_of", "_timestamp_ms", "count", "message_bytes", "offset")

    def __init__(self, entry: Entry) -> None:
        self.offset = entry.offset
        self._timestamp_ms = entry.timestamp_ms
        self._made_of = [_light(op) for op in entry.ops if type(op) in _FIELDS]
        self._events: tuple[Event, ...] | None = None
        self.count = 0
        """How many events there are."""
        self.message_bytes = 0
        """About what their messages take."""
        for op in self._made_of:
            count, message_bytes = _WEIGHT[type(op)](op)
            self.count += count
            self.message_bytes += message_bytes

    def events(self) -> tuple[Event, ...]:
        """The same as `events_of` the entry. Raises Untellable."""
        if self._events is None:
            self._events = _events(self.offset, self._timestamp_ms, self._made_of)
            self._made_of = []
        return self._events


class _Told(list[Fields]):
    """In the place of an op: the fields of its events."""


def _light(op: Any) -> Any:
    return op if type(op) in _WEIGHT else _Told(_FIELDS[type(op)](op))


def _none(op: Any) -> Iterator[Fields]:
    """Ops that are nobody's business: configurations, progress, notes."""
    return iter(())


def _leader(op: ops.EpochBegun) -> Iterator[Fields]:
    yield {"kind": EventKind.LEADER, "epoch": op.epoch, "message": op.scheduler or None}


def _task(task_id: str, event: TaskEvent, **more: Any) -> Fields:
    return {
        "kind": EventKind.TASK,
        "timestamp_ms": event.timestamp_ms,
        "task_id": task_id,
        "task_status": event.status,
        "message": event.message,
        **more,
    }


def _new_task(op: ops.SaveTask) -> Iterator[Fields]:
    task = op.task
    fields = {"job": task.job, "instance_id": task.instance_id, "host": task.host}
    if task.events:
        yield _task(task.task_id, task.events[-1], **fields)
    else:
        yield {"kind": EventKind.TASK, "task_id": task.task_id, "task_status": task.status, **fields}


def _moved_task(op: ops.MoveTask) -> Iterator[Fields]:
    yield _task(op.task_id, op.event)


def _assigned_task(op: ops.AssignTask) -> Iterator[Fields]:
    yield _task(op.task_id, op.event, host=op.host)


def _removed_tasks(op: ops.RemoveTasks) -> Iterator[Fields]:
    for task_id in op.task_ids:
        yield {"kind": EventKind.TASK_REMOVED, "task_id": task_id}


def _update(key: UpdateKey, event: UpdateEvent) -> Fields:
    return {
        "kind": EventKind.UPDATE,
        "timestamp_ms": event.timestamp_ms,
        "job": key.job,
        "update_id": key.id,
        "update_status": event.status,
        "user": event.user,
        "message": event.message,
    }


def _started_update(op: ops.StartUpdate) -> Iterator[Fields]:
    yield _update(op.key, op.event)


def _moved_update(op: ops.MoveUpdate) -> Iterator[Fields]:
    yield _update(op.key, op.event)


def _saved_update(op: ops.SaveUpdate) -> Iterator[Fields]:
    if op.update.events:
        yield _update(op.update.key, op.update.events[-1])


def _instance(op: ops.RecordInstance) -> Iterator[Fields]:
    yield {
        "kind": EventKind.INSTANCE,
        "timestamp_ms": op.event.timestamp_ms,
        "job": op.key.job,
        "update_id": op.key.id,
        "instance_id": op.event.instance_id,
        "action": op.event.action,
        "message": op.event.message,
    }


def _remark(op: ops.RecordRemark) -> Iterator[Fields]:
    yield {
        "kind": EventKind.REMARK,
        "timestamp_ms": op.remark.timestamp_ms,
        "job": op.key.job,
        "update_id": op.key.id,
        "user": op.remark.user or None,
        "message": op.remark.message,
    }


def _removed_updates(op: ops.RemoveUpdates) -> Iterator[Fields]:
    for key in op.keys:
        yield {"kind": EventKind.UPDATE_REMOVED, "job": key.job, "update_id": key.id}


def _moved_cron_job(op: ops.MoveCronJob) -> Iterator[Fields]:
    if op.why:
        yield {"kind": EventKind.CRON, "job": op.key, "message": op.why}


_FIELDS: Final[dict[type, Callable[[Any], Iterator[Fields]]]] = {
    ops.EpochBegun: _leader,
    ops.SaveTask: _new_task,
    ops.MoveTask: _moved_task,
    ops.AssignTask: _assigned_task,
    ops.RemoveTasks: _removed_tasks,
    ops.StartUpdate: _started_update,
    ops.MoveUpdate: _moved_update,
    ops.SaveUpdate: _saved_update,
    ops.RecordInstance: _instance,
    ops.RecordRemark: _remark,
    ops.RemoveUpdates: _removed_updates,
    _Told: iter,
    ops.MoveCronJob: _moved_cron_job,
}


def _one(op: ops.MoveTask | ops.AssignTask | ops.MoveUpdate | ops.RecordInstance) -> tuple[int, int]:
    return 1, len(op.event.message or "")


_WEIGHT: Final[dict[type, Callable[[Any], tuple[int, int]]]] = {
    ops.EpochBegun: lambda op: (1, 0),
    ops.MoveTask: _one,
    ops.AssignTask: _one,
    ops.MoveUpdate: _one,
    ops.RecordInstance: _one,
    ops.RecordRemark: lambda op: (1, len(op.remark.message)),
    ops.RemoveTasks: lambda op: (len(op.task_ids), 0),
    ops.RemoveUpdates: lambda op: (len(op.keys), 0),
    _Told: lambda told: (len(told), sum(len(fields.get("message") or "") for fields in told)),
}
"""The ops that memory may keep as they are: how many events each has, and about the bytes of their messages.

Any other is made into its fields at once, so that one that nobody thought of is right, if slower: it may keep a
configuration alive, and may have no event at all.
"""
