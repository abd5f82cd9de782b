"""What Aurora's users ran into, each once more. Most stand as transcripts in `tests/scenarios`:

AURORA-1023, 1231, 1093   start-in-progress, job-is-updating
AURORA-1173, 1285, 1890   recover-*
AURORA-1096, 784          test_start.py, start-noop
AURORA-1332, 1549         forward-only-these, gate-outsider
AURORA-1630               test_quarantine.py
AURORA-1928               order, order-back
AURORA-1721               rollback-by-request
AURORA-769, 756           forward-remove-only, start-noop
AURORA-894                watch-zero
AURORA-1240               forward-slow-to-schedule
AURORA-1077               messages
AURORA-768, 802, 686      test_quota.py
AURORA-1711, 1764         start-in-progress, tests/wire/life.py
KILLING to LOST           tests/core/tasks/test_table.py (nothing takes the place of a task whose end was asked for)
apache/aurora#89, #98     autopause-*

Here are those that need more than a story.
"""

from __future__ import annotations

import pytest
from attrs import evolve

from scheduler.core import takeover
from scheduler.core.queries import PulseAnswer
from scheduler.core.records import JobKey, Task, TaskStatus
from scheduler.core.tasks import actions
from scheduler.core.transaction import Transaction
from scheduler.core.updates import requests
from scheduler.core.updates.records import UpdateKey
from scheduler.testing.script import Script


def scene(*commands: str) -> Script:
    script = Script()
    for command in ("job web 0-1 old", "wait 60s", *commands):
        script.do(command)
    return script


def reports(script: Script, *rows: tuple[Task, str]) -> None:
    """All in one decision, as a busy engine sends them."""
    script.stage.controller.write(
        takeover.take_reports, [(task.task_id, TaskStatus[status], None, None) for task, status in rows]
    )
    script.stage.settle()


def test_an_update_is_named_by_its_job_and_its_id() -> None:
    """AURORA-1093, AURORA-1139."""
    script = scene("start new 0-1 pulse=10000")
    key = script.key()
    stranger = UpdateKey(JobKey("www", "prod", "api"), key.id)
    assert script.stage.ask(requests.pulse, stranger).result == PulseAnswer(finished=True)
    assert not script.stage.ask(requests.abort, stranger, "ann", None).ok
    update = script.update()
    assert update is not None
    assert update.status.name == "ROLL_FORWARD_AWAITING_PULSE"


def test_no_instance_event_twice_whatever_interrupts() -> None:
    """AURORA-1097."""
    script = scene("start new 0-1 pulse=10000 failures=5", "pulse", "swap 0")
    for command in (
        "pause",
        "resume",
        "wait 12s",
        "pulse",
        "exit 0 FAILED",
        "run 0",
        "restart",
        "pulse",
        "finish beating",
    ):
        script.do(command)
    update = script.update()
    assert update is not None
    assert update.status.name == "ROLLED_FORWARD"
    recorded = [(event.instance_id, event.action) for event in update.instance_events]
    assert len(recorded) == len(set(recorded)) == 4


def test_events_of_one_instant_keep_their_order_through_the_log() -> None:
    """AURORA-655: all of this happens in one millisecond."""
    script = Script(through_codec=True)
    for command in ("job web 0-1 old", "start new 0-1 watch=0", "swap 0", "exit 1 KILLED", "run 1"):
        script.do(command)
    before = script.update()
    script.do("restart")
    after = script.update()
    assert before is not None
    assert after is not None
    assert list(after.events) == list(before.events)
    assert [e.status.name for e in after.events] == ["ROLLING_FORWARD", "ROLLED_FORWARD"]
    actions_of = [f"{e.instance_id} {e.action.name}" for e in after.instance_events]
    assert actions_of == ["0 INSTANCE_UPDATING", "0 INSTANCE_UPDATED", "1 INSTANCE_UPDATING", "1 INSTANCE_UPDATED"]
    assert {e.timestamp_ms for e in (*after.events, *after.instance_events)} == {0}


@pytest.mark.parametrize("order", [("RUNNING", "FAILED"), ("STARTING", "RUNNING", "FAILED")])
def test_stale_events_are_not_looked_at(order: tuple[str, ...]) -> None:
    """AURORA-1507: it ran and failed; with a watch of 0 the RUNNING alone would have been a success."""
    script = scene("start new 0-1 watch=0", "exit 0 KILLED")
    task = script.task(0)
    reports(script, *((task, status) for status in order))
    update = script.update()
    assert update is not None
    assert [e.action.name for e in update.instance_events if e.instance_id == 0] == [
        "INSTANCE_UPDATING",
        "INSTANCE_UPDATE_FAILED",
        "INSTANCE_ROLLING_BACK",
    ]


def test_both_instances_change_in_one_report() -> None:
    script = scene("start new 0-1 queue=2 watch=0")
    reports(script, (script.task(0), "KILLED"), (script.task(1), "KILLED"))
    reports(script, (script.task(0), "RUNNING"), (script.task(1), "RUNNING"))
    update = script.update()
    assert update is not None
    assert update.status.name == "ROLLED_FORWARD"


def test_somebody_else_was_faster() -> None:
    """AURORA-1506: an active task is there already when one is to be added; the update takes it as it is."""
    script = scene("start new 0-1", "pause", "exit 0 KILLED")
    config = evolve(script.task(1).config, executor=evolve(script.task(1).config.executor, data="new"))

    def by_hand(tx: Transaction) -> None:
        actions.create(tx, config, 0)

    script.stage.ask(by_hand)
    script.do("resume")
    assert len(script.stage.state.tasks.by_job[script.job]) == 3
    script.do("finish")
    update = script.update()
    assert update is not None
    assert update.status.name == "ROLLED_FORWARD"


def test_the_next_one_may_start_as_soon_as_one_has_ended() -> None:
    """AURORA-1023, and the way an operator takes: abort, start the one before again."""
    script = scene("start new 0-1", "swap 0", "abort", "start old 0-1", "finish")
    assert script.contents()[script.job] == {0: "old", 1: "old"}
    statuses = [update.status.name for update in script.stage.state.updates.values()]
    assert statuses == ["ABORTED", "ROLLED_FORWARD"]
