"""Where a task may go, and what is told when it may not (Aurora's documentation, "Constraints" and resources)."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings, strategies as st

from scheduler.core.placement.fit import choose_ports
from scheduler.core.policy import Policy
from scheduler.core.records import (
    Constraint,
    Host,
    JobKey,
    LimitConstraint,
    Resource,
    ResourceKind,
    TaskConfig,
    TaskStatus,
    ValueConstraint,
)
from scheduler.core.tasks import actions
from scheduler.core.transaction import Transaction
from scheduler.testing.stage import Stage, service

JOB = JobKey("www", "prod", "web")


def host(name: str, **changes: Any) -> Host:
    base = Host(name, f"agent-{name}", cpus=4.0, ram_mb=1024, disk_mb=1024, ports=(31000, 31001, 31002))
    return evolve(base, **changes)


def rack(*values: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return (("rack", values),)


def asking(**changes: Any) -> TaskConfig:
    """One core, 64 MB; `ports` names of ports, `cpus` cores."""
    config = service(JOB, "x")
    ports = tuple(Resource(ResourceKind.PORT, name) for name in changes.pop("ports", ()))
    cpus = changes.pop("cpus", 1.0)
    kept = tuple(r for r in config.resources if r.kind is not ResourceKind.CPUS)
    return evolve(config, resources=(*kept, Resource(ResourceKind.CPUS, cpus), *ports), **changes)


class Scene:
    def __init__(self, *hosts: Host) -> None:
        self.stage = Stage()
        self.stage.offer(hosts)

    def create(self, config: TaskConfig, how_many: int = 1) -> None:
        def decide(tx: Transaction) -> None:
            first = len(tx.state.tasks)
            for number in range(first, first + how_many):
                actions.create(tx, config, number)

        self.stage.ask(decide)

    def where(self) -> dict[int, str | None]:
        return {i: task.host for i, task in sorted(self.stage.state.tasks.active[JOB].items())}

    def reasons(self) -> set[str]:
        return set(self.stage.state.pending_reasons.values())


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

    def kill(tx: Transaction) -> None:
        actions.kill(tx, tx.state.tasks.active[JOB][3], "by hand")

    scene.stage.ask(kill)
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
    assert Policy().max_tasks_per_job == 4000
