"""Events are made of committed entries alone, so they are the same wherever they are made."""

from __future__ import annotations

from typing import get_args
from weakref import ref

from attrs import evolve
from hypothesis import given

from scheduler.contracts import Entry, Event, EventKind
from scheduler.core import ops
from scheduler.core.cron.records import Runs
from scheduler.core.records import JobKey, TaskStatus
from scheduler.core.updates.records import InstanceAction, UpdateStatus
from scheduler.stream.events import Kept, events_of
from scheduler.testing.script import Script
from tests.changelog import golden
from tests.changelog.strategies import entries

JOB = JobKey("www", "prod", "web")


def story() -> Script:
    script = Script(through_codec=True)
    script.do("job web 0-1 old")
    script.do("start new 0-1")
    return script


def all_events(script: Script) -> list[Event]:
    entries = list(script.stage.log)  # what is read back keeps its configurations alive
    return [event for entry in entries for event in events_of(entry)]


def test_a_task_and_an_update_from_the_beginning() -> None:
    script = story()
    found = all_events(script)
    assert (found[0].kind, found[0].epoch) == (EventKind.LEADER, 1)
    first = next(event for event in found if event.kind is EventKind.TASK)
    assert (first.job, first.instance_id, first.task_status) == (JOB, 0, TaskStatus.PENDING)
    of_task = [event.task_status for event in found if event.task_id == first.task_id]
    task = script.stage.state.tasks[first.task_id or ""]
    assert of_task == [event.status for event in task.events if event.status is not TaskStatus.INIT]
    update = next(event for event in found if event.kind is EventKind.UPDATE)
    assert (update.job, update.update_id, update.update_status) == (JOB, script.key().id, UpdateStatus.ROLLING_FORWARD)
    instance = next(event for event in found if event.kind is EventKind.INSTANCE)
    assert (instance.instance_id, instance.action) == (0, InstanceAction.INSTANCE_UPDATING)


def test_places_are_dense_and_ordered() -> None:
    places = [(event.cursor, event.index) for event in all_events(story())]
    assert places == sorted(set(places))
    for cursor in {cursor for cursor, _ in places}:
        indexes = [index for at, index in places if at == cursor]
        assert indexes == list(range(len(indexes)))


def test_entries_read_back_give_the_same_events() -> None:
    """The log of this stage is bytes: each reading decodes anew."""
    script = story()
    assert all_events(script) == all_events(script)
    script.stage.restart()
    assert [event.epoch for event in all_events(script) if event.kind is EventKind.LEADER] == [1, 2]


def test_what_is_dropped_is_said_and_what_is_internal_is_not() -> None:
    entry = Entry(7, 1, bytes(16), 500, (ops.RemoveTasks(("a", "b")), ops.RemoveUpdates(())))
    found = events_of(entry)
    assert [(event.kind, event.task_id, event.timestamp_ms, event.cursor, event.index) for event in found] == [
        (EventKind.TASK_REMOVED, "a", 500, 7, 0),
        (EventKind.TASK_REMOVED, "b", 500, 7, 1),
    ]


def test_a_run_of_a_cron_job_is_told_when_there_is_something_to_tell() -> None:
    key, runs = JobKey("www", "prod", "nightly"), Runs(300_000)
    entry = Entry(7, 1, bytes(16), 500, (ops.MoveCronJob(key, runs), ops.MoveCronJob(key, runs, "a run begins")))
    (event,) = events_of(entry)
    assert (event.kind, event.job, event.message, event.index) == (EventKind.CRON, key, "a run begins", 0)
    kept = Kept(entry)
    assert (kept.events(), kept.count, kept.message_bytes) == ((event,), 1, len("a run begins"))


def check_kept(entry: Entry) -> None:
    kept = Kept(entry)
    found = events_of(entry)
    assert kept.count == len(found)
    assert kept.message_bytes == sum(len(event.message or "") for event in found if event.kind is not EventKind.LEADER)
    assert kept.events() == found
    assert kept.events() is kept.events(), "made once"


def test_what_memory_keeps_of_an_entry_gives_the_same_events() -> None:
    for entry in list(story().stage.log):  # what is read back keeps its configurations alive
        check_kept(entry)


@given(entries)
def test_memory_keeps_whatever_an_entry_can_hold(entry: Entry) -> None:
    check_kept(entry)


def test_memory_keeps_every_op_there_is() -> None:
    """A whole update stands behind a `Restored` only: no story of a job comes by it."""
    assert {type(op) for op in golden.ENTRY.ops} == set(get_args(ops.Op))
    check_kept(golden.ENTRY)
    (update,) = (op for op in golden.ENTRY.ops if isinstance(op, ops.SaveUpdate))
    (event,) = events_of(evolve(golden.ENTRY, ops=(update,)))
    assert (event.kind, event.job, event.update_status) == (EventKind.UPDATE, golden.JOB, UpdateStatus.ROLLING_FORWARD)


def test_what_memory_keeps_holds_no_configuration() -> None:
    """A job that is created and killed over and over is gone from the state: its configurations must be too."""
    kept, configs = [], []
    for entry in list(story().stage.log):
        kept.append(Kept(entry))
        configs += [ref(op.config) for op in entry.ops if isinstance(op, ops.SaveConfig)]
    del entry
    assert configs
    assert not any(config() for config in configs)
    assert any(one.count for one in kept)
