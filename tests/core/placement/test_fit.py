"""Where a task may go, and what is told when it may not (Aurora's documentation, "Constraints" and resources)."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings, strategies as st

from scheduler.core.maintenance import requests as maintenance
from scheduler.core.placement.fit import choose_ports, free_ports
from scheduler.core.policy import MINUTE_MS
from scheduler.core.records import (
    Constraint,
    LimitConstraint,
    MaintenanceMode,
    TaskStatus,
    ValueConstraint,
)
from tests.core.placement.scenes import IN_ORDER, JOB, Scene, asking, host, rack


def test_no_host_at_all() -> None:
    scene = Scene()
    scene.create(asking())
    assert scene.where() == {0: None}
    scene.stage.offer((host("a"),))
    assert scene.where() == {0: "a"}
    assert scene.reasons() == set()


@pytest.mark.parametrize(("changes", "reason"), [
    ({"cpus": 0.999}, "Insufficient: CPU"),
    ({"ram_mb": 63}, "Insufficient: RAM"),
    ({"disk_mb": 63}, "Insufficient: disk"),
    ({"ports": (31000,)}, "Insufficient: ports"),
    ({"cpus": 0.1, "ram_mb": 1}, "Insufficient: CPU,Insufficient: RAM"),
    ({"attributes": (("dedicated", ("www",)),)}, "Host is dedicated"),
])  # fmt: skip
def test_reasons(changes: dict[str, Any], reason: str) -> None:
    scene = Scene(host("a", **changes))
    scene.create(asking(ports=("http", "admin")))
    assert scene.where() == {0: None}
    assert scene.reasons() == {reason}


def test_the_nearest_host_is_what_is_told() -> None:
    scene = Scene(host("a", cpus=0.1, ram_mb=1), host("b", cpus=0.1), host("c", cpus=0.1, ram_mb=1, disk_mb=1))
    scene.create(asking())
    assert scene.reasons() == {"Insufficient: CPU"}


def test_exactly_what_is_there_is_enough_and_cores_are_exact_in_thousandths() -> None:
    scene = Scene(host("a", cpus=1.0))
    scene.create(asking(cpus=0.1), 11)
    assert list(scene.where().values()) == ["a"] * 10 + [None]
    scene.stage.report(scene.stage.active(JOB, 3), TaskStatus.STARTING)
    scene.kill(3)
    assert scene.where()[10] is None  # it still runs
    scene.stage.report(scene.stage.active(JOB, 3), TaskStatus.KILLED)
    assert scene.where()[10] == "a"


@pytest.mark.parametrize(("attributes", "negated", "fits"), [
    (rack("r1"), False, True), (rack("r2"), False, False), (rack("r2", "r1"), False, True), ((), False, False),
    (rack("r1"), True, False), (rack("r2"), True, True), (rack("r2", "r1"), True, False), ((), True, True),
])  # fmt: skip
def test_value_constraints(attributes: Any, negated: bool, fits: bool) -> None:
    scene = Scene(host("a", attributes=attributes))
    scene.create(asking(constraints=(Constraint("rack", ValueConstraint(negated, ("r1", "r9"))),)))
    assert scene.where() == {0: "a" if fits else None}
    assert scene.reasons() == (set() if fits else {"Constraint not satisfied: rack"})


def test_limit_constraints_count_the_tasks_of_the_job() -> None:
    hosts = (host("a", attributes=rack("r1")), host("b", attributes=rack("r1")), host("c", attributes=rack("r2")))
    scene = Scene(*hosts)
    scene.create(asking(constraints=(Constraint("rack", LimitConstraint(2)),)), 5)
    assert list(scene.where().values()) == ["a", "a", "c", "c", None]
    assert scene.reasons() == {"Limit not satisfied: rack"}


def test_a_limit_on_an_attribute_the_host_has_not_is_not_met() -> None:
    scene = Scene(host("a"))
    scene.create(asking(constraints=(Constraint("rack", LimitConstraint(2)),)))
    assert scene.reasons() == {"Constraint not satisfied: rack"}


def test_a_dedicated_host_takes_those_who_ask_for_it() -> None:
    scene = Scene(host("a", attributes=(("dedicated", ("www",)),)))
    scene.create(asking(constraints=(Constraint("dedicated", ValueConstraint(False, ("www",))),)))
    assert scene.where() == {0: "a"}


def test_ports_are_each_given_once_and_one_just_freed_comes_last() -> None:
    scene = Scene(host("a"))
    scene.create(asking(ports=("http",)), 2)
    ports = [dict(scene.stage.active(JOB, i).ports)["http"] for i in (0, 1)]
    assert ports == [31000, 31001]
    scene.stage.report(scene.stage.active(JOB, 0), TaskStatus.KILLED)
    assert dict(scene.stage.active(JOB, 0).ports) == {"http": 31002}  # not 31000, which somebody may still talk to
    scene.stage.report(scene.stage.active(JOB, 1), TaskStatus.KILLED)
    assert dict(scene.stage.active(JOB, 1).ports) == {"http": 31000}


@settings(max_examples=300)
@given(
    st.sets(st.integers(100, 120), max_size=15),
    st.sets(st.integers(100, 120)),
    st.integers(0, 5),
    st.integers(99, 121),
)
def test_choose_ports(offered: set[int], taken: set[int], wanted: int, after: int) -> None:
    names = tuple(f"p{n}" for n in range(wanted))
    found = choose_ports(host("a", ports=tuple(sorted(offered))), dict.fromkeys(taken, "t"), names, after)
    free = sorted(offered - taken, key=lambda port: (port <= after, port))
    assert found == (tuple(zip(names, free, strict=False)) if len(free) >= wanted else ())


@given(st.sets(st.integers(100, 120), max_size=15), st.sets(st.integers(90, 130)))
def test_free_ports(offered: set[int], taken: set[int]) -> None:
    assert free_ports(host("a", ports=tuple(sorted(offered))), taken) == len(offered - taken)


def test_pending_tasks_are_placed_in_the_order_they_came() -> None:
    scene = Scene()
    scene.create(asking(cpus=1.0), 6)
    scene.stage.offer((host("a", cpus=4.0),))
    assert list(scene.where().values()) == ["a"] * 4 + [None] * 2


def test_a_big_one_in_front_does_not_hold_up_small_ones() -> None:
    scene = Scene()
    scene.create(asking(cpus=64.0))
    scene.create(asking(cpus=1.0))
    scene.stage.offer((host("a"),))
    assert scene.where() == {0: None, 1: "a"}


def test_a_host_that_is_gone_is_given_nothing_and_its_tasks_stay_what_they_are() -> None:
    scene = Scene(host("a"), host("b"))
    scene.create(asking())
    scene.stage.offer((host("b"),))
    scene.create(asking())
    assert scene.where() == {0: "a", 1: "b"}


# --- what comes first ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("of_host", "of_task", "reason"), [
    ({"mode": MaintenanceMode.DRAINING, "attributes": (("dedicated", ("x",)),)}, {}, "Host is dedicated"),
    ({"mode": MaintenanceMode.DRAINING}, {"cpus": 99}, "Host draining for maintenance"),
    ({"mode": MaintenanceMode.DRAINED}, {"constraints": (Constraint("rack", LimitConstraint(1)),)},
     "Host drained for maintenance"),
    ({"unavailable_from_ms": 6 * MINUTE_MS}, {}, "Host draining for maintenance"),
    ({"attributes": rack("r1")}, {"cpus": 99, "constraints": (Constraint("rack", LimitConstraint(0)),)},
     "Limit not satisfied: rack"),
    ({"attributes": rack("r1")}, {"constraints": (Constraint("rack", LimitConstraint(0)),
                                                  Constraint("zone", ValueConstraint(False, ("z",))))},
     "Constraint not satisfied: zone"),
])  # fmt: skip
def test_only_the_first_kind_of_veto_is_told(of_host: dict[str, Any], of_task: dict[str, Any], reason: str) -> None:
    scene = Scene(host("a", **of_host))
    scene.create(asking(**of_task))
    assert scene.where() == {0: None}
    assert scene.reasons() == {reason}


def test_of_several_hosts_the_nearest_is_told_by_kind_and_then_by_how_much_is_missing() -> None:
    hosts = (
        host("a", attributes=(("dedicated", ("x",)),)),
        host("b", mode=MaintenanceMode.DRAINED),
        host("c", attributes=rack("r2"), cpus=64.0),
        host("d", attributes=rack("r1"), ram_mb=1),
        host("e", attributes=rack("r1"), cpus=0.99),
    )
    told = ["Insufficient: CPU", "Insufficient: RAM", "Constraint not satisfied: rack",
            "Host drained for maintenance", "Host is dedicated"]  # fmt: skip
    for count, reason in zip(range(len(hosts), 0, -1), told, strict=True):
        scene = Scene(*hosts[:count])
        scene.create(asking(constraints=(Constraint("rack", ValueConstraint(False, ("r1",))),)))
        assert scene.reasons() == {reason}, count


def test_a_host_that_is_to_leave_is_taken_when_no_healthy_one_fits() -> None:
    leaving = host("a", mode=MaintenanceMode.SCHEDULED), host("b", unavailable_from_ms=7 * MINUTE_MS)
    scene = Scene(*leaving, host("c", cpus=2.0))
    scene.create(asking(), 3)
    assert list(scene.where().values()) == ["c", "c", "a"]
    scene.stage.advance(2 * MINUTE_MS)  # what goes away in less than 6 minutes takes nothing
    scene.create(asking(cpus=3.5))
    assert scene.where()[3] is None


def test_what_people_said_of_a_host_survives_an_offer_and_its_absence() -> None:
    scene = Scene(host("a"))
    scene.create(asking())
    table = scene.stage.state.hosts
    scene.stage.ask(maintenance.start, ["a"], "me")
    for offered in ((host("a", cpus=8.0),), (), (host("a", cpus=8.0),)):
        scene.stage.offer(offered)
    assert (table["a"].mode, table["a"].cpus) == (MaintenanceMode.SCHEDULED, 8.0)
    assert len(scene.stage.state.absent_hosts) == 0


def test_tasks_on_a_host_that_is_gone_count_for_limits() -> None:
    scene = Scene(host("a", attributes=rack("r1")), host("b", attributes=rack("r1"), cpus=3.0))
    limited = asking(constraints=(Constraint("rack", LimitConstraint(1)),))
    scene.create(limited)
    gone = scene.where()[0]
    scene.stage.offer(tuple(one for one in scene.stage.hosts if one.name != gone))
    scene.create(limited)
    assert scene.where()[1] is None
    assert scene.reasons() == {"Limit not satisfied: rack"}


def test_a_limit_is_lifted_on_hosts_where_nothing_changed() -> None:
    """The task that ends was on another host of the rack, which is full again at once."""
    scene = Scene(host("a", attributes=rack("r1"), cpus=1.0), host("b", attributes=rack("r1"), cpus=2.0))
    limited = asking(constraints=(Constraint("rack", LimitConstraint(1)),))
    scene.create(limited, 2)
    assert scene.where() == {0: "a", 1: None}
    other = evolve(JOB, name="other")
    scene.create(asking(other, cpus=2.0), 1)
    scene.create(asking(other, data="y"), 1)
    assert scene.where(other) == {0: "b", 1: None}
    scene.kill(0)
    scene.stage.report(scene.task(0), TaskStatus.KILLED)
    assert scene.where()[1] in ("a", None)
    scene.kill(0, other)
    scene.stage.report(scene.task(0, other), TaskStatus.KILLED)
    assert scene.where()[1] is not None


def test_the_executor_takes_its_part_of_the_host() -> None:
    scene = Scene(host("a"), policy=evolve(IN_ORDER, executor_milli_cpus=250, executor_ram_mb=128))
    scene.create(asking(), 5)
    assert list(scene.where().values()) == ["a"] * 3 + [None] * 2
    assert scene.reasons() == {"Insufficient: CPU"}


def test_a_limit_is_lifted_by_an_end_on_a_host_that_is_gone() -> None:
    scene = Scene(host("a", attributes=rack("r1"), cpus=1.0), host("b", attributes=rack("r1")))
    scene.create(asking(constraints=(Constraint("rack", LimitConstraint(1)),)), 2)
    assert scene.where() == {0: "a", 1: None}
    scene.stage.offer(scene.stage.hosts[1:])
    assert scene.where() == {0: "a", 1: None}
    scene.stage.report(scene.task(0), TaskStatus.LOST)
    assert sorted(map(str, scene.where().values())) == ["None", "b"]
