"""Who may end whom, how many, and for whom the room is kept."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings, strategies as st

from scheduler.core.placement import preemption
from scheduler.core.placement.needs import need_of
from scheduler.core.placement.preemption import may_preempt
from scheduler.core.placement.reservations import Instance, ReservationKey
from scheduler.core.policy import MINUTE_MS
from scheduler.core.records import (
    Constraint,
    JobKey,
    LimitConstraint,
    MaintenanceMode,
    TaskConfig,
    TaskStatus,
    ValueConstraint,
)
from tests.core.placement.scenes import IN_ORDER, Scene, asking, host, rack
from tests.core.placement.test_properties import HOSTS, check

LOW, HIGH, OTHER = JobKey("www", "prod", "low"), JobKey("www", "prod", "high"), JobKey("ads", "prod", "api")
PREFERRED: dict[str, Any] = {"tier": "preferred"}


@pytest.mark.parametrize(("mine", "priority", "theirs", "their_priority", "allowed"), [
    (("www", False), 0, ("www", True), 9, True), (("www", False), 0, ("ads", True), 9, True),
    (("www", True), 9, ("www", False), 0, False), (("www", True), 9, ("ads", False), 0, False),
    (("www", True), 1, ("www", True), 0, True), (("www", True), 1, ("www", True), 1, False),
    (("www", True), 0, ("www", True), 1, False), (("www", True), 1, ("ads", True), 0, False),
    (("www", False), 1, ("www", False), 0, True), (("www", False), 1, ("www", False), 1, False),
    (("www", False), 1, ("ads", False), 0, False),
])  # fmt: skip
def test_who_may_end_whom(mine: Any, priority: int, theirs: Any, their_priority: int, allowed: bool) -> None:
    assert may_preempt(mine, priority, theirs, their_priority) is allowed


def preempting(scene: Scene) -> list[tuple[str, int]]:
    found = scene.stage.state.tasks.by_status[TaskStatus.PREEMPTING].values()
    return sorted((task.job.name, task.instance_id) for task in found)


def full(*needs: float, policy: Any = IN_ORDER, **changes: Any) -> Scene:
    """One host of 4 cores with tasks of `low` that take so many."""
    scene = Scene(host("a", **changes), policy=policy)
    for i, cpus in enumerate(needs):
        scene.create(asking(LOW, data=str(i), cpus=cpus))
    return scene


@pytest.mark.parametrize(("needs", "wanted", "victims"), [
    ((1.0, 1.0, 1.0, 1.0), 1.0, [0]), ((1.0, 1.0, 1.0, 1.0), 2.0, [0, 1]),
    ((1.0, 3.0), 1.0, [1]),  # the largest first
    ((1.0, 2.0), 2.0, [1]), ((0.5, 0.5, 2.0), 3.5, [0, 2]),  # with what is free anyway
    ((1.0, 1.0, 1.0, 1.0), 4.5, []),  # nobody is ended in vain
])  # fmt: skip
def test_how_many_make_way(needs: tuple[float, ...], wanted: float, victims: list[int]) -> None:
    scene = full(*needs)
    scene.create(asking(HIGH, cpus=wanted, **PREFERRED))
    scene.stage.advance(3 * MINUTE_MS)
    assert preempting(scene) == [("low", i) for i in victims]
    found = scene.stage.state.placement.figures
    assert found["task_processor_runs"] == found["slot_search_attempts_for_prod"] == 1
    assert found["tasks_preempted_non_prod"] == len(victims)
    assert (found["slot_search_successful_for_prod"], found["slot_search_failed_for_prod"]) == (
        (1, 0) if victims else (0, 1)
    )


@pytest.mark.parametrize(("of_task", "of_host"), [
    ({"constraints": (Constraint("rack", ValueConstraint(False, ("r9",))),)}, {"attributes": rack("r1")}),
    ({"constraints": (Constraint("rack", LimitConstraint(0)),)}, {"attributes": rack("r1")}),
    ({}, {"mode": MaintenanceMode.DRAINING}),
    ({"ports": ("a", "b", "c", "d")}, {}),
])  # fmt: skip
def test_nobody_makes_way_where_the_task_could_not_go(of_task: dict[str, Any], of_host: dict[str, Any]) -> None:
    scene = full(4.0)
    scene.stage.offer((host("a", **of_host),))
    scene.create(asking(HIGH, **of_task, **PREFERRED))
    scene.stage.advance(10 * MINUTE_MS)
    assert preempting(scene) == []


def test_nobody_makes_way_when_it_is_switched_off() -> None:
    scene = full(4.0, policy=evolve(IN_ORDER, enable_preemptor=False))
    scene.create(asking(HIGH, **PREFERRED))
    scene.stage.advance(10 * MINUTE_MS)
    assert preempting(scene) == []


@pytest.mark.parametrize(("needs", "groups", "victims"), [
    ((1.0, 1.0, 1.0, 1.0), 3, 3),  # nobody pays for another's room
    ((4.0,), 3, 1),  # what one leaves beyond a group's need is the next one's
    ((2.0, 2.0), 3, 2),
])  # fmt: skip
def test_many_groups_on_one_host(needs: tuple[float, ...], groups: int, victims: int) -> None:
    scene = full(*needs)
    scene.stage.offer((host("a"), host("b")))
    scene.create(asking(LOW, data="elsewhere", cpus=4.0))
    for number in range(groups):
        scene.create(asking(HIGH, data=str(number), **PREFERRED))
    scene.stage.advance(3 * MINUTE_MS)
    assert preempting(scene) == [("low", number) for number in range(victims)]
    assert [key.host for key in scene.stage.state.reservations] == ["a"] * groups
    for number in range(victims):
        scene.stage.report(scene.task(number, LOW), TaskStatus.KILLED)
    assert scene.where(HIGH) == dict.fromkeys(range(groups), "a")


def test_nobody_makes_way_where_others_go_anyway() -> None:
    scene = full(2.0, 2.0)
    scene.create(asking(OTHER, cpus=2.0))
    scene.create(asking(HIGH, **PREFERRED))
    scene.stage.advance(3 * MINUTE_MS - 1)
    scene.kill(0, LOW)
    scene.stage.advance(1)
    assert preempting(scene) == []
    assert "www/prod/high: what others leave on a is kept for it" in scene.stage.said()
    scene.stage.report(scene.task(0, LOW), TaskStatus.KILLED)
    assert (scene.where(HIGH), scene.where(OTHER)) == ({0: "a"}, {0: None})


def test_nobody_makes_way_for_what_was_kept_for_a_task_that_has_a_host_now() -> None:
    """The search comes in the pass that places it."""
    scene = full(*[1.0] * 6, cpus=6.0)
    scene.create(asking(HIGH, cpus=2.0, **PREFERRED), 2)
    scene.stage.advance(3 * MINUTE_MS)
    assert preempting(scene) == [("low", 0), ("low", 1)]
    scene.stage.report(scene.task(1, LOW), TaskStatus.KILLED)
    scene.stage.state.placement.search_wanted = True
    scene.stage.report(scene.task(2, LOW), TaskStatus.KILLED)
    assert scene.where(HIGH) == {0: "a", 1: None}
    assert preempting(scene) == [("low", 0), ("low", 3)]


def test_nobody_makes_way_who_has_nothing_of_what_is_short() -> None:
    scene = Scene(host("a"))
    scene.create(asking(LOW, data="cores", cpus=3.0, ram_mb=64))
    scene.create(asking(LOW, data="memory", cpus=1.0, ram_mb=900))
    scene.create(asking(HIGH, ram_mb=512, **PREFERRED))
    scene.stage.advance(3 * MINUTE_MS)
    assert preempting(scene) == [("low", 1)]


shapes = st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2), st.integers(0, 2))
"""Cores, memory in units of 64 MB, GPUs, ports."""


def shaped(job: JobKey, number: int, shape: tuple[int, ...], **changes: Any) -> TaskConfig:
    cpus, ram, gpus, ports = shape
    needs = {"cpus": float(cpus), "ram_mb": 64 * ram, "gpus": gpus, "ports": ("a", "b")[:ports]}
    return asking(job, data=str(number), **needs, **changes)


@settings(max_examples=150)
@given(there=st.lists(shapes, min_size=1, max_size=12), wanted=st.lists(shapes, min_size=1, max_size=4))
def test_what_is_kept_will_be_there_and_for_one_group_nobody_goes_in_vain(there: list[Any], wanted: list[Any]) -> None:
    whole = (12_000, 12 * 64, 1024, 4, 6)
    scene = Scene(host("a", cpus=12.0, ram_mb=12 * 64, gpus=4, ports=tuple(range(31000, 31006))))
    for number, shape in enumerate(there):
        scene.create(shaped(LOW, number, shape))
    for number, shape in enumerate(wanted):
        scene.create(shaped(HIGH, number, shape, **PREFERRED))
    scene.stage.advance(3 * MINUTE_MS)
    state = scene.stage.state
    victims = list(state.tasks.by_status[TaskStatus.PREEMPTING].values())
    asked = [key.owner for key in state.reservations if isinstance(key.owner, TaskConfig)]
    stay = [task.config for task in state.tasks.by_host["a"].tasks.values() if task not in victims]

    def fits(*configs: TaskConfig) -> bool:
        needs = [need_of(config) for config in (*stay, *configs, *asked)]
        return all(sum(amounts) <= there for amounts, there in zip(zip(*needs, strict=True), whole, strict=True))

    assert fits()
    assert not victims or asked
    if len(wanted) == 1:
        assert not any(fits(victim.config) for victim in victims)


def test_nobody_searches_when_nobody_could_make_way() -> None:
    scene = full(4.0)
    scene.create(asking(HIGH))
    scene.stage.advance(10 * MINUTE_MS)
    assert scene.stage.state.placement.searched_ms is None


def test_a_task_ended_before_its_room_was_needed_is_not_asked_for_twice() -> None:
    """Two wait for one host: the second search finds nobody left, and keeps nothing."""
    scene = full(2.0, 2.0)
    scene.create(asking(HIGH, cpus=3.0, **PREFERRED), 2)
    scene.stage.advance(10 * MINUTE_MS)
    assert len(scene.stage.state.reservations) <= 1
    assert preempting(scene) in ([], [("low", 0), ("low", 1)])


def test_what_is_kept_is_nobody_elses_and_is_given_up_when_it_is_used() -> None:
    scene = full(4.0)
    scene.create(asking(OTHER))
    scene.create(asking(HIGH, cpus=2.0, **PREFERRED))
    scene.stage.advance(3 * MINUTE_MS)
    config = scene.task(0, HIGH).config
    assert list(scene.stage.state.reservations) == [ReservationKey("a", config)]
    scene.stage.report(scene.task(0, LOW), TaskStatus.KILLED)
    assert scene.where(HIGH) == {0: "a"}
    assert scene.where(OTHER) == {0: "a"}  # 2 of 4 cores were kept, not the whole host
    assert len(scene.stage.state.reservations) == 0


def test_who_was_first_gets_what_is_free_first_and_waits_for_nobody_elses_victims() -> None:
    scene = full(1.0, 1.0, 1.0, 1.0)
    for number in range(3):
        scene.create(asking(HIGH, data=str(number), **PREFERRED))
    scene.stage.advance(3 * MINUTE_MS)
    assert preempting(scene) == [("low", 0), ("low", 1), ("low", 2)]
    for number, victim in enumerate((2, 0, 1)):
        scene.stage.report(scene.task(victim, LOW), TaskStatus.KILLED)
        assert list(scene.where(HIGH).values()) == ["a"] * (number + 1) + [None] * (2 - number)


def test_what_is_kept_is_given_up_when_nobody_waits_for_it() -> None:
    scene = full(4.0)
    scene.create(asking(HIGH, **PREFERRED))
    scene.stage.advance(3 * MINUTE_MS)
    scene.kill(0, HIGH)
    scene.create(asking(OTHER))
    assert len(scene.stage.state.reservations) == 0
    scene.create(asking(HIGH, **PREFERRED))
    scene.stage.advance(3 * MINUTE_MS - 1)
    scene.stage.offer((host("a"), host("b")))
    assert scene.where(HIGH) == {0: "b"}
    assert len(scene.stage.state.reservations) == 0


def test_nobody_makes_way_for_more_than_a_limit_allows() -> None:
    hosts = tuple(host(f"h{i}", cpus=1.0, attributes=rack(f"r{i // 3}")) for i in range(6))
    scene = Scene(*hosts)
    scene.create(asking(LOW), 6)
    scene.create(asking(HIGH, constraints=(Constraint("rack", LimitConstraint(1)),), **PREFERRED), 4)
    scene.stage.advance(3 * MINUTE_MS)
    assert len(preempting(scene)) == 2


def test_turns_of_five_so_that_a_large_job_does_not_take_all() -> None:
    hosts = tuple(host(f"h{i:02}", cpus=1.0) for i in range(16))
    scene = Scene(*hosts, policy=IN_ORDER)
    scene.create(asking(LOW), 16)
    scene.create(asking(HIGH, **PREFERRED), 40)
    scene.create(asking(OTHER, **PREFERRED), 5)
    scene.stage.advance(3 * MINUTE_MS)
    owners = [key.owner.job for key in scene.stage.state.reservations if not isinstance(key.owner, Instance)]
    assert (owners.count(HIGH), owners.count(OTHER)) == (11, 5)


configs = st.builds(
    lambda job, cpus, tier, priority, n: asking(job, data=str(n), cpus=cpus, tier=tier, priority=priority),
    st.sampled_from((LOW, HIGH, OTHER)),
    st.sampled_from((0.5, 1.0, 2.5)),
    st.sampled_from(("preferred", "preemptible", "revocable")),
    st.integers(0, 2),
    st.integers(0, 2),
)


@settings(max_examples=150)
@given(
    story=st.lists(st.tuples(configs, st.integers(1, 5), st.integers(0, 4), st.integers(0, 300_000)), max_size=12),
    looks=st.sampled_from((1, 3, 2000)),
)
def test_capacity_eligibility_and_what_is_kept(story: list[Any], looks: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preemption, "LOOKS_PER_SLICE", looks)
        scene = Scene(*(one for one in HOSTS[:4]), policy=evolve(IN_ORDER, flapping_task_threshold_ms=0))
        state = scene.stage.state
        for config, count, end, wait_ms in story:
            scene.create(config, count)
            scene.stage.advance(wait_ms)
            for task in list(state.tasks.by_status[TaskStatus.PREEMPTING].values())[:end]:
                scene.stage.report(task, TaskStatus.KILLED)
            check(state, scene.stage.policy)
            for owner, rows in state.reservations.by_owner.items():
                assert not isinstance(owner, Instance)
                assert len(rows) <= len(state.tasks.pending[owner]), "kept for nobody"
        for task in state.tasks.values():
            for event in task.events:
                if event.status is TaskStatus.PREEMPTING:
                    assert event.message is not None
                    assert task.config.tier != "preferred" or "tier preferred" in event.message
                    assert not event.message.endswith("(tier preemptible, priority 0)")
