"""The verdict of a drill finds what it is for: every rule is broken once, and a good drill is left alone."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from attrs import evolve

from scheduler.contracts import TaskReport
from scheduler.core.records import TaskStatus
from scheduler.core.updates.records import UpdateStatus
from scheduler.testing.drills import verdict
from scheduler.testing.drills.doors import Answered
from scheduler.testing.drills.page import page
from scheduler.testing.drills.run import Drilled
from scheduler.testing.drills.scenarios import SCENARIOS, Deed
from scheduler.testing.drills.timeline import Moment, Timeline
from scheduler.testing.drills.verdict import Gate
from scheduler.testing.drills.watch import Look, Role
from scheduler.testing.history.recorder import blank
from scheduler.testing.history.records import Call, Heard, Kind, TaskRow, Violation, World


def answered(began: float, node: str, epoch: int) -> Answered:
    return Answered(began, began + 0.1, node, epoch)


def rules(violations: object) -> list[str]:
    return [one.rule for one in violations]  # type: ignore[attr-defined]


def test_the_old_leader_may_answer_until_the_new_one_has() -> None:
    overlapping = Answered(3.95, 5, "a", 1)  # was asked before the new one answered
    good = [answered(1, "a", 1), overlapping, answered(4, "b", 2), answered(5, "b", 2)]

    assert rules(verdict.one_leader(good, [])) == []
    late = answered(6, "a", 1)
    (found,) = verdict.one_leader([*good, late], [])
    assert str(found) == "two leaders: a: answered in epoch 1 after b had answered in epoch 2"


def test_who_leads_again_is_not_taken_for_the_old_leader() -> None:
    answers = [answered(1, "a", 1), answered(4, "b", 2), answered(9, "a", 1)]  # on a connection opened in epoch 1

    assert rules(verdict.one_leader(answers, [Look("a", 8, 8.1, Role.LEADING, 3)])) == []
    assert rules(verdict.one_leader(answers, [Look("a", 9.5, 9.6, Role.LEADING, 3)])) == ["two leaders"]


@pytest.mark.parametrize(
    ("last", "moves", "took_s", "wrong"),
    [
        (("b", 2), True, 2.0, 0),
        (("b", 2), True, 5.1, 1),
        (("b", 2), True, None, 1),
        (("a", 1), True, None, 1),
        (("a", 2), True, 2.0, 1),
        (("a", 1), False, None, 0),
        (("b", 2), False, None, 1),
        (("a", 2), False, None, 1),
    ],
)
def test_leadership_moves_when_it_should_and_only_then(
    last: tuple[str, int], moves: bool, took_s: float | None, wrong: int
) -> None:
    found = list(verdict.leadership(("a", 1), last, moves=moves, took_s=took_s, within_s=5))

    assert rules(found) == ["takeover"] * wrong


GATE = Gate(10_000, 14_000, 1_000, (8_000, 9_000, 10_900, 14_300), paused=True, status=UpdateStatus.ROLLED_FORWARD)


def test_an_update_touches_nothing_while_its_monitor_is_silent() -> None:
    assert rules(verdict.gate_held(GATE)) == []
    (found,) = verdict.gate_held(evolve(GATE, begun_ms=(*GATE.begun_ms, 13_900)))
    assert str(found) == "gate: update: began with 1 instances in silence, the first 3.9 s after the cut"
    assert rules(verdict.gate_held(evolve(GATE, paused=False))) == ["gate"]
    assert rules(verdict.gate_held(evolve(GATE, status=UpdateStatus.ROLLED_BACK))) == ["gate"]
    assert rules(verdict.gate_held(evolve(GATE, status=None))) == ["gate"]
    assert rules(verdict.gate_held(evolve(GATE, begun_ms=(8_000,)))) == ["nothing tested"]
    assert rules(verdict.gate_held(evolve(GATE, begun_ms=(14_300,)))) == ["nothing tested"]


def row(task_id: str, status: TaskStatus) -> TaskRow:
    return TaskRow(task_id, "www/prod/web", 0, status, None)


def report(task_id: str, status: TaskStatus) -> TaskReport:
    return TaskReport(task_id, status, "", 0)


def test_state_and_engine_tell_the_same() -> None:
    world = World((row("runs", TaskStatus.RUNNING), row("done", TaskStatus.KILLED), row("waits", TaskStatus.THROTTLED)))
    tasks = {"runs": report("runs", TaskStatus.RUNNING), "done": report("done", TaskStatus.KILLED)}

    assert rules(verdict.engine_agrees(world, tasks)) == []
    assert rules(verdict.engine_agrees(world, {})) == ["engine"]
    assert rules(verdict.engine_agrees(world, {**tasks, "runs": report("runs", TaskStatus.FAILED)})) == ["engine"]
    assert rules(verdict.engine_agrees(world, {**tasks, "done": report("done", TaskStatus.RUNNING)})) == ["engine"]
    assert rules(verdict.engine_agrees(world, {**tasks, "new": report("new", TaskStatus.RUNNING)})) == ["engine"]
    assert rules(verdict.engine_agrees(world, {**tasks, "old": report("old", TaskStatus.FAILED)})) == []


def call(ended: float, heard: Heard) -> Call:
    return evolve(blank("c", Kind.CREATE_JOB, "www/prod/web"), began=ended - 0.1, ended=ended, heard=heard)


def test_a_part_without_an_acknowledged_call_tested_nothing() -> None:
    calls = [call(1, Heard.ACKNOWLEDGED), call(5, Heard.REFUSED), call(7, Heard.ACKNOWLEDGED)]

    assert rules(verdict.something_tested(calls, (0, 2))) == []
    assert rules(verdict.something_tested(calls, (4, 6))) == ["nothing tested"]
    assert verdict.longest_gap_s(calls) == 6


def test_every_drill_works_before_and_after_its_fault_and_relieves_whom_it_strikes() -> None:
    relief = {
        Deed.KILL: Deed.RESTART,
        Deed.FREEZE: Deed.THAW,
        Deed.CUT_ZOOKEEPER: Deed.HEAL_ZOOKEEPER,
        Deed.CUT_MONITOR: Deed.HEAL_MONITOR,
    }
    for name, scenario in SCENARIOS.items():
        deeds = [step.deed for step in scenario.steps]
        (fault,) = set(deeds) & set(relief)
        assert scenario.name == name
        assert deeds.index(Deed.WORK) < deeds.index(fault) < deeds.index(relief[fault])


def drilled(*violations: Violation) -> Drilled:
    timeline = Timeline(began=100.0)
    timeline.moments.append(Moment(101, "killed <by hand>", "a", is_fault=True))
    looks = (
        Look("a", 100, 100.1, Role.LEADING, 1),
        Look("a", 101, 101.1, Role.SILENT),
        Look("b", 100, 103, Role.STANDBY),
    )
    calls = (call(100.5, Heard.ACKNOWLEDGED), evolve(call(101, Heard.UNKNOWN), ended=float("inf")))
    return Drilled(SCENARIOS["leader-killed"], 7, timeline, 4.0, looks, calls, 1.5, violations)


def test_the_page_shows_what_happened_and_needs_nothing_else() -> None:
    text = page(drilled())

    picture = ElementTree.fromstring(re.search(r"<svg.*</svg>", text, re.DOTALL)[0])  # type: ignore[index]
    titles = [title.text for title in picture.iter("{http://www.w3.org/2000/svg}title")]
    assert "leads, epoch 1, 0.0 to 1.0 s" in titles
    assert "does not answer, 1.0 to 4.0 s" in titles
    assert "a killed <by hand>" in titles
    assert {"1 acknowledged", "1 unknown"} <= set(titles)
    assert "Passed" in text and "FAILED" not in text
    assert "<by hand>" not in text
    assert not re.search(r"(src|href)=|url\(|@import", text)


def test_the_page_of_a_drill_that_failed_says_why() -> None:
    text = page(drilled(Violation("lost", "c-1", "createJob & co: gone")))

    assert "FAILED" in text and "Passed" not in text
    assert "lost: c-1: createJob &amp; co: gone" in text
