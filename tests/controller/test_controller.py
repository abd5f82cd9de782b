"""The single writer: what is seen when, what waits for what, and what becomes of it when leadership ends."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from scheduler.contracts import Entry, Outcome
from scheduler.controller.controller import Controller
from scheduler.core import ops, takeover
from scheduler.core.answers import OK, Answer, Refused, invalid
from scheduler.core.effects import Launch, Say
from scheduler.core.policy import Policy
from scheduler.core.records import Host, JobKey, TaskStatus
from scheduler.core.state import State
from scheduler.core.tasks import actions
from scheduler.core.transaction import DeadlineKind, Transaction, World
from scheduler.testing.clock import VirtualClock
from scheduler.testing.script import Script
from scheduler.testing.stage import ROOMY_HOST, service

JOB = JobKey("www", "prod", "web")
UUID = b"0123456789abcdef"


@pytest.fixture
def controller() -> Controller:
    ids = count()
    world = World(Policy(), "me", lambda: f"id-{next(ids)}", lambda: 0.0)
    return Controller(State(), world, VirtualClock(), epoch=7, offset=40)


def create(tx: Transaction, how_many: int = 1) -> Answer | None:
    taken = len(tx.state.tasks)
    for number in range(taken, taken + how_many):
        actions.create(tx, service(JOB, "x"), number)
    tx.say("job", f"{how_many} more")
    return None


def say(tx: Transaction, sentence: str) -> None:
    tx.say("test", sentence)


def count_tasks(state: State, policy: Policy) -> Answer:
    return Answer(result=len(state.tasks))


def said(controller: Controller) -> list[str]:
    return [effect.sentence for effect in controller.take_effects() if isinstance(effect, Say)]


def append(controller: Controller) -> Entry:
    entry = controller.next_entry(UUID)
    assert entry is not None
    return entry


# --- order -----------------------------------------------------------------------------------------------------------


def test_decisions_are_seen_at_once_and_durable_later(controller: Controller) -> None:
    assert controller.read(count_tasks).offset == 40
    ticket = controller.write(create)
    assert ticket.answer == OK
    assert ticket.offset == 41
    read = controller.read(count_tasks)
    assert (read.answer.result, read.offset) == (1, 41)  # ahead of the log, and says so
    assert controller.durable_offset == 40


def test_what_waits_together_is_one_entry_and_one_is_in_flight_at_a_time(controller: Controller) -> None:
    controller.write(create)
    controller.write(create)
    entry = append(controller)
    assert (entry.offset, entry.epoch, entry.uuid) == (41, 7, UUID)
    assert [type(op) for op in entry.ops] == [ops.SaveConfig, ops.SaveTask, ops.SaveTask]
    assert controller.write(create).offset == 42
    assert controller.next_entry(UUID) is None
    controller.committed(41)
    assert append(controller).offset == 42
    controller.committed(42)
    assert controller.next_entry(UUID) is None


def test_effects_wait_for_their_own_decision(controller: Controller) -> None:
    controller.write(create)
    controller.write(say, "after")
    append(controller)
    controller.write(create, 2)
    assert said(controller) == []
    controller.committed(41)
    assert said(controller) == ["1 more", "after"]
    assert said(controller) == []  # each once
    append(controller)
    controller.committed(42)
    assert said(controller) == ["2 more"]


def test_effects_of_a_decision_that_writes_nothing_leave_with_the_state_they_saw(controller: Controller) -> None:
    controller.write(say, "now")
    assert said(controller) == ["now"]
    controller.write(create)
    controller.write(say, "later")
    assert said(controller) == []


def test_answers_wait_for_their_offset(controller: Controller) -> None:
    heard: list[tuple[str, Outcome]] = []

    def hear(name: str) -> Callable[[Outcome], None]:
        return lambda outcome: heard.append((name, outcome))

    controller.when_durable(40, hear("old"))
    controller.when_durable(controller.write(create).offset, hear("first"))
    controller.when_durable(controller.read(count_tasks).offset, hear("a read"))
    append(controller)
    controller.when_durable(controller.write(create).offset, hear("second"))
    assert heard == [("old", Outcome.DURABLE)]
    controller.committed(41)
    assert heard[1:] == [("first", Outcome.DURABLE), ("a read", Outcome.DURABLE)]
    append(controller)
    controller.committed(42)
    assert heard[3:] == [("second", Outcome.DURABLE)]


def test_an_entry_is_not_longer_than_it_may_be(controller: Controller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Controller, "ops_per_entry", 3)
    offsets = [controller.write(create).offset for _ in range(7)]
    assert offsets == [41, 41, 42, 42, 42, 43, 43]  # the first entry holds the configuration, too
    sizes = []
    for offset in (41, 42, 43):
        entry = append(controller)
        assert entry.offset == offset
        sizes.append(len(entry.ops))
        controller.committed(offset)
    assert sizes == [3, 3, 2]
    assert controller.next_entry(UUID) is None


def test_one_decision_is_never_split(controller: Controller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Controller, "ops_per_entry", 3)
    assert controller.write(create, 10).offset == 41
    assert controller.write(create).offset == 42
    assert len(append(controller).ops) == 11


# --- refusals and exceptions -----------------------------------------------------------------------------------------


def test_a_refusal_changes_nothing_and_says_nothing(controller: Controller) -> None:
    def refuse(tx: Transaction) -> Answer:
        create(tx, 3)
        tx.arm(DeadlineKind.KILL, "x", 1)
        raise Refused(invalid("no"))

    ticket = controller.write(refuse)
    assert ticket.answer == invalid("no")
    assert ticket.offset == 40
    assert len(controller.state.tasks) == 0
    assert len(controller.deadlines) == 0
    assert controller.next_entry(UUID) is None
    assert said(controller) == []


def test_an_exception_comes_through_and_changes_nothing(controller: Controller) -> None:
    def fail(tx: Transaction) -> None:
        create(tx, 3)
        raise ZeroDivisionError

    controller.write(create)
    with pytest.raises(ZeroDivisionError):
        controller.write(fail)
    assert len(controller.state.tasks) == 1
    assert len(append(controller).ops) == 2
    assert controller.write(create).offset == 42  # it goes on


def test_a_decision_nobody_waits_for_is_noted_when_it_raises(controller: Controller) -> None:
    def fail(tx: Transaction) -> None:
        raise ZeroDivisionError("why")

    called = []
    controller.ready = lambda: called.append(1)
    assert controller.attempt(fail) == OK
    ((name, failure),) = controller.failures
    assert name == "fail"
    assert isinstance(failure, ZeroDivisionError)
    assert called


# --- deadlines and placement -----------------------------------------------------------------------------------------


def drain(controller: Controller) -> int:
    turns = 1
    while controller.tick():
        turns += 1
    return turns


def test_a_burst_of_deadlines_is_decided_in_slices(controller: Controller) -> None:
    def arm(tx: Transaction) -> None:
        for number in range(120):
            tx.arm(DeadlineKind.THROTTLE, f"nobody-{number}", number % 2)

    controller.write(arm)
    assert isinstance(controller.clock, VirtualClock)
    controller.clock.advance(5)
    assert controller.tick() is True
    assert len(controller.deadlines) == 70
    assert drain(controller) == 2
    assert len(controller.deadlines) == 0


def test_one_deadline_that_raises_does_not_stop_the_others(controller: Controller) -> None:
    def arm(tx: Transaction) -> None:
        tx.arm(DeadlineKind.WATCH, "no key at all", 0)  # cannot be unpacked
        tx.arm(DeadlineKind.THROTTLE, "nobody", 0)

    controller.write(arm)
    drain(controller)
    assert len(controller.failures) == 1
    assert len(controller.deadlines) == 0


def offer(controller: Controller, *hosts: Host) -> None:
    controller.write(takeover.offer_hosts, hosts)
    controller.want_placement()


def test_many_pending_tasks_are_placed_in_slices(controller: Controller) -> None:
    controller.write(create, 250)
    offer(controller, ROOMY_HOST)
    assert controller.tick() is True
    assert len(controller.state.tasks.by_status[TaskStatus.PENDING]) == 150
    drain(controller)
    assert not controller.state.tasks.by_status[TaskStatus.PENDING]


def test_a_task_that_fits_nowhere_is_not_tried_for_ever(controller: Controller) -> None:
    controller.write(create)
    offer(controller, Host("tiny", "agent", 0.1, 1, 1))
    assert drain(controller) <= 2
    (reason,) = controller.state.pending_reasons.values()
    assert "Insufficient: CPU" in reason
    assert controller.tick() is False


def test_launches_wait_until_they_are_durable(controller: Controller) -> None:
    controller.write(create)
    offer(controller, ROOMY_HOST)
    drain(controller)
    assert not [e for e in controller.take_effects() if isinstance(e, Launch)]
    controller.committed(append(controller).offset)
    (launch,) = (e for e in controller.take_effects() if isinstance(e, Launch))
    assert launch.task.status is TaskStatus.ASSIGNED
    assert launch.task.host == ROOMY_HOST.name


def test_what_a_placement_makes_an_update_create_is_placed_too() -> None:
    """A rollback with a free slot starts the next instance when it sees a task placed; that one needs a host, too."""
    script = Script()
    story = "job web 0-5 old;wait 60s;start new 0-2 queue=2 watch=0;swap 0-1;pause;exit 3 KILLED"
    # Back, 5 is as it should be, 4 waits for a host, and 3 is gone: its turn comes when something changes.
    for command in (*story.split(";"), "hosts off", "exit 4 FAILED", "rollback", "hosts on"):
        script.do(command)
    assert script.task(3).status is TaskStatus.ASSIGNED
    assert not script.stage.state.tasks.by_status[TaskStatus.PENDING]


# --- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_flight", [Outcome.UNKNOWN, Outcome.REFUSED, Outcome.DURABLE])
def test_the_end_of_leadership(controller: Controller, in_flight: Outcome) -> None:
    heard: dict[str, Outcome] = {}

    def hear(name: str, offset: int) -> None:
        controller.when_durable(offset, lambda outcome: heard.__setitem__(name, outcome))

    hear("appending", controller.write(create).offset)
    append(controller)
    hear("gathered", controller.write(create).offset)
    controller.end(in_flight)
    assert heard == {"appending": in_flight, "gathered": Outcome.REFUSED}
    assert controller.next_entry(UUID) is None
    assert controller.take_effects() == []
    hear("too late", 99)
    assert heard["too late"] is Outcome.REFUSED
