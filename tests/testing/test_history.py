"""The history checker finds what it is for: every kind of violation is planted, and a good history is left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from scheduler.core.records import TaskStatus
from scheduler.core.updates.records import UpdateStatus
from scheduler.testing.history import (
    Call,
    Heard,
    History,
    Kind,
    Sighting,
    TaskEventRow,
    TaskRow,
    UpdateEventRow,
    UpdateRow,
    World,
    check,
)
from scheduler.testing.history.records import FOREVER, in_words, token_in

ACK, REFUSED, UNKNOWN = Heard.ACKNOWLEDGED, Heard.REFUSED, Heard.UNKNOWN
KEPT, KILLED_JOB, ROLLED, BOARD = "www/prod/kept", "www/prod/killed", "www/prod/rolled", "www/prod/board"


def call(token: str, kind: Kind, job: str, at: float, heard: Heard = ACK, **more: Any) -> Call:
    """One that takes half a unit; an unknown one may happen for ever."""
    return Call(token, kind, job, at, heard, FOREVER if heard is UNKNOWN else at + 0.5, **more)


def task(job: str, instance: int, token: str, *, killed_by: str | None = None, task_id: str = "") -> TaskRow:
    events = [TaskEventRow(10, TaskStatus.PENDING), TaskEventRow(20, TaskStatus.RUNNING)]
    if killed_by:
        events += [
            TaskEventRow(30, TaskStatus.KILLING, f"Killed by ann.\n{in_words(killed_by)}"),
            TaskEventRow(40, TaskStatus.KILLED),
        ]
    return TaskRow(task_id or f"{job}-{instance}-{token}", job, instance, events[-1].status, token, tuple(events))


def event(status: UpdateStatus, token: str | None = None, at_ms: int = 50) -> UpdateEventRow:
    return UpdateEventRow(at_ms, status, in_words(token) if token else None)


def update(id: str, job: str, token: str, *events: UpdateEventRow) -> UpdateRow:
    history = (event(UpdateStatus.ROLL_FORWARD_AWAITING_PULSE, token), *events)
    return UpdateRow(id, job, history[-1].status, token, token, history)


TWO = frozenset({0, 1})
CALLS = (
    call("c1", Kind.CREATE_JOB, KEPT, 1, instances=TWO),
    call("c2", Kind.CREATE_JOB, KILLED_JOB, 2, instances=TWO),
    call("k1", Kind.KILL_TASKS, KILLED_JOB, 3),
    call("c3", Kind.CREATE_JOB, ROLLED, 4, instances=frozenset({0})),
    call("u1", Kind.START_UPDATE, ROLLED, 5, instances=TWO),
    call("c4", Kind.CREATE_JOB, BOARD, 6, instances=frozenset({0})),
    call("u2", Kind.START_UPDATE, BOARD, 7, instances=frozenset({0})),
    call("p1", Kind.PAUSE_UPDATE, BOARD, 8, update="U2"),
    call("r1", Kind.RESUME_UPDATE, BOARD, 9, update="U2"),
    call("p2", Kind.PAUSE_UPDATE, BOARD, 10, update="U2"),
    call("no", Kind.CREATE_JOB, "www/prod/refused", 11, REFUSED, instances=TWO),
    call("x1", Kind.CREATE_JOB, "www/prod/maybe", 12, UNKNOWN, instances=TWO),
    call("x2", Kind.ABORT_UPDATE, BOARD, 13, UNKNOWN, update="U2"),
)
HISTORY = History(CALLS, (Sighting("u1", 5.6, 5.7, True), Sighting("u2", 6, 6.1, False)))

AWAITING, PAUSED = UpdateStatus.ROLL_FORWARD_AWAITING_PULSE, UpdateStatus.ROLL_FORWARD_PAUSED
ROLLING, DONE = UpdateStatus.ROLLING_FORWARD, UpdateStatus.ROLLED_FORWARD
U1 = update("U1", ROLLED, "u1", event(ROLLING), event(DONE))
U2 = update("U2", BOARD, "u2", event(PAUSED, "p1"), event(AWAITING, "r1"), event(PAUSED, "p2"))
WORLD = World(
    (
        task(KEPT, 0, "c1"),
        task(KEPT, 1, "c1"),
        task(KILLED_JOB, 0, "c2", killed_by="k1"),
        task(KILLED_JOB, 1, "c2", killed_by="k1"),
        TaskRow("old", ROLLED, 0, TaskStatus.KILLED, "c3", (TaskEventRow(20, TaskStatus.KILLED),)),
        task(ROLLED, 0, "u1"),
        task(ROLLED, 1, "u1"),
        task(BOARD, 0, "c4"),
    ),
    (U1, U2),
)


def test_a_good_history_is_left_alone_and_asking_twice_says_the_same() -> None:
    assert check(HISTORY, WORLD) == check(HISTORY, WORLD) == []


def test_nothing_is_nothing() -> None:
    assert check(History(()), World()) == []


# --- what is allowed although it looks odd


def without(world: World, *ids: str) -> World:
    tasks = [one for one in world.tasks if one.task_id not in ids]
    return World(tasks, [one for one in world.updates if one.id not in ids])


def plus(world: World, *rows: TaskRow | UpdateRow) -> World:
    tasks = [one for one in rows if isinstance(one, TaskRow)]
    return World((*world.tasks, *tasks), (*world.updates, *(one for one in rows if isinstance(one, UpdateRow))))


def change_update(new: UpdateRow) -> World:
    return World(WORLD.tasks, [new if one.id == new.id else one for one in WORLD.updates])


ALLOWED: dict[str, tuple[History, World]] = {
    "an unknown creation that happened": (
        HISTORY,
        plus(WORLD, task("www/prod/maybe", 0, "x1"), task("www/prod/maybe", 1, "x1")),
    ),
    "an unknown abort that happened": (
        HISTORY,
        change_update(update("U2", BOARD, "u2", *U2.events[1:], event(UpdateStatus.ABORTED, "x2"))),
    ),
    "a task killed before it had a host leaves no trace": (HISTORY, without(WORLD, f"{KILLED_JOB}-0-c2")),
    "a pause that found the update paused": (
        evolve(HISTORY, calls=(*CALLS, call("p3", Kind.PAUSE_UPDATE, BOARD, 10.6, update="U2"))),
        WORLD,
    ),
    "a retry that was refused because the first attempt had happened": (
        evolve(HISTORY, calls=(*CALLS, call("x1", Kind.CREATE_JOB, "www/prod/maybe", 14, REFUSED, instances=TWO))),
        plus(WORLD, task("www/prod/maybe", 0, "x1"), task("www/prod/maybe", 1, "x1")),
    ),
    "two calls at the same time, in either order": (
        evolve(
            HISTORY,
            calls=tuple(evolve(one, began=8.0, ended=9.5) if one.token in ("p1", "r1") else one for one in CALLS),
        ),
        WORLD,
    ),
    "a task that ended by itself": (
        History((call("c1", Kind.CREATE_JOB, KEPT, 1, instances=frozenset({0}), service=False),)),
        World((evolve(task(KEPT, 0, "c1"), status=TaskStatus.RUNNING),)),
    ),
}


@pytest.mark.parametrize("case", ALLOWED)
def test_what_may_be_is_left_alone(case: str) -> None:
    history, world = ALLOWED[case]
    assert check(history, world) == []


# --- planted violations: (rule, a part of the subject), history, world

Planted = tuple[str, str, History, World]


def _two_updates() -> World:
    return plus(WORLD, update("U9", ROLLED, "u1", event(UpdateStatus.ABORTED)))


def _swapped() -> World:
    return change_update(
        update("U2", BOARD, "u2", event(PAUSED, "p2"), event(AWAITING, "r1"), event(PAUSED, "p1")),
    )


def _half_kill() -> World:
    return plus(without(WORLD, f"{KILLED_JOB}-1-c2"), task(KILLED_JOB, 1, "c2"))


def _backwards() -> World:
    return change_update(update("U2", BOARD, "u2", event(PAUSED, "p1"), event(AWAITING, "r1", 40), event(PAUSED, "p2")))


MAYBE = "www/prod/maybe"
PLANTED: dict[str, Planted] = {
    "a refused job is there": ("refused", "no", HISTORY, plus(WORLD, task("www/prod/refused", 0, "no"))),
    "a refused pause is in the history": (
        "refused",
        "p9",
        evolve(HISTORY, calls=(*CALLS, call("p9", Kind.PAUSE_UPDATE, BOARD, 10.6, REFUSED, update="U2"))),
        change_update(update("U2", BOARD, "u2", *U2.events[1:], event(UpdateStatus.ABORTED, "p9"))),
    ),
    "a job nobody asked for": ("foreign", "www/prod/ghost", HISTORY, plus(WORLD, task("www/prod/ghost", 0, "zz"))),
    "an instance nobody asked for": ("foreign", f"{KEPT}-7", HISTORY, plus(WORLD, task(KEPT, 7, "c1"))),
    "a configuration in another job": ("foreign", f"{KEPT}-2", HISTORY, plus(WORLD, task(KEPT, 2, "c4"))),
    "a kill nobody asked for": (
        "foreign",
        "w-0",
        HISTORY,
        plus(WORLD, task(KEPT, 0, "c1", killed_by="k1", task_id="w-0")),
    ),
    "an update nobody asked for": ("foreign", "U7", HISTORY, plus(WORLD, update("U7", KEPT, "zz"))),
    "a move nobody asked for": (
        "foreign",
        "U1",
        HISTORY,
        change_update(update("U1", ROLLED, "u1", event(ROLLING, "p1"), event(DONE))),
    ),
    "an acknowledged job is gone": ("lost", "c1", HISTORY, without(WORLD, f"{KEPT}-0-c1", f"{KEPT}-1-c1")),
    "an acknowledged kill did nothing": (
        "lost",
        "k1",
        HISTORY,
        plus(
            without(WORLD, f"{KILLED_JOB}-0-c2", f"{KILLED_JOB}-1-c2"),
            task(KILLED_JOB, 0, "c2"),
            task(KILLED_JOB, 1, "c2"),
        ),
    ),
    "an acknowledged update is gone": ("lost", "u2", HISTORY, without(WORLD, "U2")),
    "an acknowledged resume is gone": (
        "lost",
        "r1",
        HISTORY,
        change_update(update("U2", BOARD, "u2", event(PAUSED, "p1"))),
    ),
    "half of a job": ("half", "c1", HISTORY, without(WORLD, f"{KEPT}-1-c1")),
    "half of a job whose creation is unknown": ("half", "x1", HISTORY, plus(WORLD, task(MAYBE, 1, "x1"))),
    "half of a kill": ("half", "k1", HISTORY, _half_kill()),
    "an update without the event of its start": (
        "half",
        "u1",
        HISTORY,
        change_update(evolve(U1, events=U1.events[1:])),
    ),
    "an update with another configuration": ("half", "u1", HISTORY, change_update(evolve(U1, desired_token="c3"))),
    "tasks of an update that is not there": (
        "half",
        "x3",
        evolve(HISTORY, calls=(*CALLS, call("x3", Kind.START_UPDATE, KEPT, 14, UNKNOWN, instances=TWO))),
        plus(WORLD, task(KEPT, 0, "x3", killed_by=None)),
    ),
    "a pause that left the update rolling": (
        "half",
        "p2",
        HISTORY,
        change_update(update("U2", BOARD, "u2", *U2.events[1:3], event(ROLLING, "p2"))),
    ),
    "an update started twice": ("twice", "u1", HISTORY, _two_updates()),
    "a pause twice in the history": (
        "twice",
        "p1",
        HISTORY,
        change_update(update("U2", BOARD, "u2", *U2.events[1:3], event(PAUSED, "p1"))),
    ),
    "two tasks of one instance": ("twice", KEPT, HISTORY, plus(WORLD, task(KEPT, 0, "c1", task_id="second"))),
    "a task twice": ("twice", f"{KILLED_JOB}-0", HISTORY, plus(WORLD, task(KILLED_JOB, 0, "c2", killed_by="k1"))),
    "calls in the wrong order": ("order", "U2", HISTORY, _swapped()),
    "a pause that nobody lifted": (
        "unasked",
        "U2",
        HISTORY,
        change_update(update("U2", BOARD, "u2", *U2.events[1:], event(AWAITING))),
    ),
    "a status that is not the last event's": ("fold", "U2", HISTORY, change_update(evolve(U2, status=AWAITING))),
    "a history that cannot be": (
        "fold",
        "U1",
        HISTORY,
        change_update(update("U1", ROLLED, "u1", event(ROLLING), event(PAUSED), event(DONE))),
    ),
    "time goes backwards": ("fold", "U2", HISTORY, _backwards()),
    "a task whose state is not its last event's": (
        "fold",
        f"{KEPT}-1",
        HISTORY,
        plus(without(WORLD, f"{KEPT}-1-c1"), evolve(task(KEPT, 1, "c1"), status=TaskStatus.LOST)),
    ),
    "seen and gone": (
        "seen",
        "x4",
        History(
            (*CALLS, call("x4", Kind.START_UPDATE, KEPT, 14, UNKNOWN, instances=TWO)),
            (*HISTORY.sightings, Sighting("x4", 15, 15.1, True)),
        ),
        WORLD,
    ),
    "acknowledged and not seen": ("seen", "u1", evolve(HISTORY, sightings=(Sighting("u1", 6, 6.1, False),)), WORLD),
    "seen and later not": (
        "seen",
        "u1",
        evolve(HISTORY, sightings=(Sighting("u1", 5.1, 5.2, True), Sighting("u1", 5.3, 5.4, False))),
        WORLD,
    ),
    "a job that lost an instance": ("last word", ROLLED, HISTORY, without(WORLD, f"{ROLLED}-1-u1")),
    "a job that kept an old instance": (
        "last word",
        ROLLED,
        HISTORY,
        plus(without(WORLD, "old"), task(ROLLED, 0, "c3", task_id="old-0")),
    ),
}


@pytest.mark.parametrize("case", PLANTED)
def test_a_planted_violation_is_found(case: str) -> None:
    rule, subject, history, world = PLANTED[case]

    found = check(history, world)

    assert any(one.rule == rule and subject in one.subject for one in found), [str(one) for one in found]
    assert all(str(one) for one in found)


def test_every_rule_has_a_planted_violation() -> None:
    rules = {rule for rule, *_ in PLANTED.values()}
    assert rules == {"refused", "foreign", "lost", "half", "twice", "order", "unasked", "fold", "seen", "last word"}


@pytest.mark.parametrize("token", ["c-1", "t3:7", "a.b_c"])
def test_a_token_travels_in_a_message(token: str) -> None:
    wrap: list[Callable[[str], str]] = [str, lambda t: f"Killed by ann.\n{t}", lambda t: f"{t} and more"]
    assert [token_in(around(in_words(token))) for around in wrap] == [token] * 3
    assert token_in(None) is token_in("Killed by ann.\nrecall") is None
