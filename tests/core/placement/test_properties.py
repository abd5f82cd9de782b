"""Whatever comes and goes: no host is over its capacity, no limit is exceeded, and nobody who fits is left waiting."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings, strategies as st

from scheduler.core.placement import assign
from scheduler.core.placement.fit import Request, overhead_of, request_of, static_veto, vetoes
from scheduler.core.placement.needs import need_of
from scheduler.core.placement.rooms import Room
from scheduler.core.policy import OfferOrder, Policy
from scheduler.core.records import Constraint, Host, JobKey, LimitConstraint, TaskStatus, ValueConstraint
from scheduler.core.state import State
from scheduler.core.takeover import offer_hosts
from scheduler.testing.snapshot import logged
from scheduler.testing.stage import replayed
from tests.core.placement.scenes import Scene, asking, host, rack

JOBS = (JobKey("www", "prod", "web"), JobKey("ads", "test", "api"), JobKey("www", "test", "db"))
RULES: tuple[tuple[Constraint, ...], ...] = (
    (),
    (Constraint("rack", LimitConstraint(2)),),
    (Constraint("rack", LimitConstraint(1)),),
    (Constraint("rack", ValueConstraint(False, ("r0", "r1"))),),
    (Constraint("rack", ValueConstraint(True, ("r0",))), Constraint("host", LimitConstraint(1))),
    (Constraint("dedicated", ValueConstraint(False, ("www",))),),
)
CONFIGS = tuple(
    asking(JOBS[number % 3], data=str(number), cpus=cpus, gpus=gpus, ports=ports, constraints=rules)
    for number, (rules, (cpus, gpus, ports)) in enumerate(
        product(RULES, ((1.0, 0, ()), (2.5, 0, ("http",)), (0.3, 0, ("a", "b")), (0.3, 2, ())))
    )
)
HOSTS = tuple(
    host(
        f"host-{i}",
        cpus=(2.0, 4.0, 3.1)[i % 3],
        gpus=(3, 0)[i % 2],
        attributes=(("host", (f"host-{i}",)), *rack(f"r{i % 3}"), *([("dedicated", ("www",))] if i == 5 else [])),
    )
    for i in range(7)
)

steps = st.lists(
    st.one_of(
        st.tuples(st.just("create"), st.integers(0, len(CONFIGS) - 1), st.integers(1, 8)),
        st.tuples(st.just("end"), st.integers(0, 100), st.integers(0, 3)),
        st.tuples(st.just("hosts"), st.integers(0, 127), st.just(0)),
        st.tuples(st.just("wait"), st.integers(0, 90_000), st.just(0)),
    ),
    max_size=30,
)


def carry_out(scene: Scene, step: tuple[str, int, int]) -> None:
    what, number, more = step
    if what == "create":
        scene.create(CONFIGS[number], more)
    elif what == "hosts":
        scene.stage.offer(tuple(one for i, one in enumerate(HOSTS) if number >> i & 1))
    elif what == "wait":
        scene.stage.advance(number)
    else:
        placed = [task for task in scene.stage.state.tasks.values() if task.status is TaskStatus.ASSIGNED]
        if placed:
            to = (TaskStatus.LOST, TaskStatus.FAILED, TaskStatus.FINISHED, TaskStatus.KILLED)[more]
            scene.stage.report(placed[number % len(placed)], to)


def check(state: State, policy: Policy) -> None:
    """From the tasks alone, without what placement remembers."""
    overhead = overhead_of(policy)
    for name, usage in state.tasks.by_host.items():
        machine = next(one for one in HOSTS if one.name == name)
        whole = (round(machine.cpus * 1000), machine.ram_mb, machine.disk_mb, machine.gpus, len(machine.ports))
        needs = [need_of(task.config).plus(overhead) for task in usage.tasks.values()]
        assert all(sum(amounts) <= there for amounts, there in zip(zip(*needs, strict=True), whole, strict=True))
        ports = [port for task in usage.tasks.values() for _, port in task.ports]
        assert len(set(ports)) == len(ports)
        assert set(ports) <= set(machine.ports)
    for job, active in state.tasks.active.items():
        rules = {c for task in active.values() for c in task.config.constraints}
        for rule in rules:
            holders = [t for t in active.values() if rule in t.config.constraints and t.host is not None]
            if not isinstance(rule.constraint, LimitConstraint):
                continue
            values = Counter(v for task in holders for v in attributes(task.host).get(rule.name, ()))
            assert all(count <= rule.constraint.limit for count in values.values()), (job, rule, values)


def attributes(name: str | None) -> dict[str, tuple[str, ...]]:
    return dict(next(one for one in HOSTS if one.name == name).attributes)


def nobody_who_fits_waits(state: State, policy: Policy) -> None:
    """A pending task fits nowhere, by a look at every host that knows nothing of earlier ones."""
    for config in state.tasks.pending:
        request = request_of(policy, config)
        for machine in state.hosts.values():
            found = looked_at_afresh(state, policy, machine, request)
            assert found, f"{config.constraints} {need_of(config)} fits on {machine.name} and waits"
        if len(state.hosts):
            assert state.pending_reasons.get(config), "and nobody says why"


def looked_at_afresh(state: State, policy: Policy, machine: Host, request: Request) -> Any:
    room, counts = Room(machine, 0), {}
    usage = state.tasks.by_host.get(machine.name)
    total = (round(machine.cpus * 1000), machine.ram_mb, machine.disk_mb, machine.gpus, len(machine.ports))
    room.milli_cpus, room.ram_mb, room.disk_mb, room.gpus, room.ports = total
    for task in usage.tasks.values() if usage is not None else ():
        room.lessen(need_of(task.config).plus(overhead_of(policy)))
    for name, _ in request.limits:
        on = [task.host for task in state.tasks.active[request.config.job].values() if task.host is not None]
        counts[name] = Counter(value for one in on for value in attributes(one).get(name, ()))
    return vetoes(room, request, static_veto(room, request), counts, 0)


@settings(max_examples=300)
@given(story=steps, order=st.sampled_from(list(OfferOrder)), overhead=st.sampled_from([0, 250]))
def test_capacity_limits_and_starvation(story: list[tuple[str, int, int]], order: OfferOrder, overhead: int) -> None:
    policy = Policy(offer_order=order, executor_milli_cpus=overhead, flapping_task_threshold_ms=0)
    scene = Scene(*HOSTS, policy=policy)
    for step in story:
        carry_out(scene, step)
        check(scene.stage.state, policy)
        nobody_who_fits_waits(scene.stage.state, policy)
    assert logged(replayed(scene.stage.log)) == logged(scene.stage.state)


@settings(max_examples=100)
@given(story=steps)
def test_the_same_with_slices_of_the_smallest_size(story: list[tuple[str, int, int]]) -> None:
    """Passes that end in the middle of a search, bans that do not fit their cache, groups that are not woken."""
    policy = Policy(offer_static_ban_cache_max_size=2, max_tasks_per_schedule_attempt=1, flapping_task_threshold_ms=0)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"TASKS_PER_PASS": 2, "LOOKS_PER_PASS": 3, "FEW": 1, "WOKEN_AT_ONCE": 1}.items():
            patch.setattr(assign, name, value)
        scene = Scene(*HOSTS, policy=policy)
        for step in story:
            carry_out(scene, step)
            check(scene.stage.state, policy)
        scene.stage.advance(61_000)  # the longest back-off
        nobody_who_fits_waits(scene.stage.state, policy)


def test_a_large_job_does_not_hold_up_a_small_one() -> None:
    """Groups have their turns: of two that come at once, both have tasks placed before either is done."""
    roomy = evolve(HOSTS[0], cpus=1e4, ram_mb=10**7, disk_mb=10**7)
    scene = Scene()
    scene.create(asking(JOBS[0], data="large"), 400)
    scene.create(asking(JOBS[1], data="small"), 10)
    scene.stage.hosts = (roomy,)
    scene.stage.controller.write(lambda tx: offer_hosts(tx, (roomy,)))
    scene.stage.controller.tick()
    assert all(name is not None for name in scene.where(JOBS[1]).values())
    assert list(scene.where(JOBS[0]).values()).count(None) > 200


def test_a_host_that_goes_while_a_search_is_under_way_takes_nothing_more() -> None:
    roomy = evolve(HOSTS[0], cpus=1e4, ram_mb=10**7, disk_mb=10**7)
    first, second = evolve(roomy, name="first"), evolve(roomy, name="second")
    scene = Scene()
    scene.create(asking(JOBS[0]), 250)
    scene.stage.controller.write(lambda tx: offer_hosts(tx, (first,)))
    assert scene.stage.controller.tick() is True  # 100 are placed, and the search is kept
    scene.stage.offer((second,))
    assert Counter(scene.where(JOBS[0]).values()) == {"first": 100, "second": 150}


def test_any_host_is_as_good_as_another_in_random_order() -> None:
    names = tuple(evolve(HOSTS[0], name=f"h{i}", attributes=()) for i in range(20))
    scene = Scene(*names, policy=Policy())
    scene.create(asking(cpus=0.1), 20)
    assert len(set(scene.where().values())) > 8
