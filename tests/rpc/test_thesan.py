"""Thesan's own calls on the real core: every answer is the struct the method returns, refusals too."""

from __future__ import annotations

from typing import Any

from scheduler.controller.gateway import Gateway
from scheduler.core.records import JobKey
from scheduler.core.updates import requests, standing, verdicts
from scheduler.core.updates.records import UpdateKey
from scheduler.interface import aurora, thesan
from scheduler.rpc.binary import STRICT
from scheduler.rpc.callers import NOBODY, Caller
from scheduler.rpc.handler import Handler
from scheduler.rpc.processor import Processor
from scheduler.rpc.to_thrift import ServerInfo, ServerState
from scheduler.testing.script import Script
from tests.rpc.calls import binary_call, read_reply


def started(*options: str) -> tuple[Script, Any]:
    script = Script()
    script.do("job web 0-1 old")
    script.do(f"start new 0-1 {' '.join(options)}")
    key = script.key()
    return script, aurora.JobUpdateKey(job=aurora.JobKey("www", "prod", "web"), id=key.id)


def call(core: Any, method: str, user: str = NOBODY, **fields: Any) -> Any:
    handler = Handler(core, ServerInfo("test"), lambda: ServerState("1", "test", 1, 2, 3, "l", 4, 5))
    processor = Processor(handler)
    pending = processor.process(binary_call(method, **fields), STRICT, STRICT, Caller(user))
    assert isinstance(pending.payload, bytes)
    name, kind, _, found = read_reply(pending.payload)
    assert (name, kind) == (method, 2)
    return found


def test_a_heartbeat_is_answered_with_where_the_update_stands() -> None:
    script, key = started("pulse=10000")
    told = thesan.Heartbeat(key=key, verdict=2, reason="errors", source="probe")
    found = call(script.stage.controller, "heartbeat", heartbeat=told)
    assert (found.responseCode, found.outcome, found.status) == (1, 4, 9)
    assert (found.nextWithinMs, found.waitsFor) == (10_000, "the next PROCEED")
    script.stage.ask(requests.pause, script.key(), "alice", "lunch")
    found = call(script.stage.controller, "heartbeat", heartbeat=thesan.Heartbeat(key=key, verdict=1))
    assert (found.outcome, found.pausedBy, found.pausedWhy) == (2, "alice", "lunch")


def test_the_caller_stands_in_the_history() -> None:
    script, key = started("pulse=10000")
    call(script.stage.controller, "heartbeat", "bob", heartbeat=thesan.Heartbeat(key=key, verdict=3, source="probe"))
    update = script.update()
    assert update is not None
    assert (update.events[-1].user, update.events[-1].message) == ("bob", "Monitor says pause (probe)")


def test_a_verdict_that_is_none_is_refused_and_named() -> None:
    script, key = started()
    found = call(script.stage.controller, "heartbeat", heartbeat=thesan.Heartbeat(key=key))
    assert found.responseCode == 0
    assert found.details == [
        "heartbeat.verdict is 0, which is not one of PROCEED 1, WAIT 2, PAUSE 3, ROLL_BACK 4, ABORT 5"
    ]


def test_several_are_answered_each_for_itself() -> None:
    script, key = started("pulse=10000")
    unknown = aurora.JobUpdateKey(job=key.job, id="gone")
    nobody = aurora.JobUpdateKey(job=aurora.JobKey(role="", environment="prod", name="web"), id="x")
    told = [thesan.Heartbeat(key=one, verdict=1) for one in (unknown, nobody, key)]
    found = call(script.stage.controller, "heartbeatMany", heartbeats=told)
    assert [(one.responseCode, one.outcome) for one in found.answers] == [(0, 3), (2, None), (1, 1)]
    assert found.answers[2].status == 0


def test_one_that_cannot_be_read_takes_nothing_from_the_others() -> None:
    script, key = started("pulse=10000")
    told = [thesan.Heartbeat(key=key, verdict=verdict) for verdict in (9, 1, None)]
    found = call(script.stage.controller, "heartbeatMany", heartbeats=told)
    assert [(one.responseCode, one.outcome) for one in found.answers] == [(0, None), (1, 1), (0, None)]
    allowed = "PROCEED 1, WAIT 2, PAUSE 3, ROLL_BACK 4, ABORT 5"
    assert found.answers[0].details == [f"heartbeat.verdict is 9, which is not one of {allowed}"]
    assert found.responseCode == 1
    update = script.update()
    assert update is not None and update.status.name == "ROLLING_FORWARD"


def test_more_than_allowed_is_refused_whole() -> None:
    script, key = started("pulse=10000")
    told = [thesan.Heartbeat(key=key, verdict=1)] * (verdicts.MOST_AT_ONCE + 1)
    found = call(script.stage.controller, "heartbeatMany", heartbeats=told)
    assert (found.responseCode, found.answers) == (0, [])
    update = script.update()
    assert update is not None and update.status.name == "ROLL_FORWARD_AWAITING_PULSE"


def test_without_a_leader_the_answer_says_so() -> None:
    told = thesan.Heartbeat(key=aurora.JobUpdateKey(job=aurora.JobKey("www", "prod", "web"), id="x"), verdict=1)
    found = call(Gateway(), "heartbeat", heartbeat=told)
    assert (found.responseCode, found.details, found.outcome) == (6, ["The scheduler is starting."], None)


def test_numbers_and_names_are_those_of_the_interface() -> None:
    for ours, theirs in (
        (verdicts.MonitorVerdict, thesan.HeartbeatVerdict),
        (standing.Outcome, thesan.HeartbeatOutcome),
    ):
        assert {member.name: member.value for member in ours} == theirs._NAMES_TO_VALUES


def test_long_and_many_lined_reasons_are_cut_not_refused() -> None:
    script, key = started("pulse=10000")
    told = thesan.Heartbeat(key=key, verdict=4, reason="first\nline " + "x" * 5000, link="y" * 5000, source="z" * 5000)
    found = call(script.stage.controller, "heartbeat", heartbeat=told)
    assert found.responseCode == 1
    message = script.stage.state.updates[UpdateKey(JobKey("www", "prod", "web"), key.id)].events[1].message
    assert message is not None
    assert message.startswith("Monitor says roll back: first line xxx")
    assert len(message) < requests.MAX_MESSAGE_LENGTH
