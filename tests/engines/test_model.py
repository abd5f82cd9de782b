"""The simulated cluster, on a clock that is only turned."""

from __future__ import annotations

import json

import pytest

from scheduler.contracts import Signal, TaskReport
from scheduler.core.records import TaskStatus
from scheduler.engines.simulated.model import (
    Begin,
    Forget,
    Launch,
    LoseHost,
    Model,
    Order,
    Refused,
    RestoreHost,
    Send,
)
from scheduler.engines.simulated.options import Options, behaviour
from scheduler.engines.simulated.wire import (
    host_from_json,
    host_to_json,
    order_from_json,
    order_to_json,
    report_from_json,
    report_to_json,
)

FAILED, FINISHED, KILLED, LOST = TaskStatus.FAILED, TaskStatus.FINISHED, TaskStatus.KILLED, TaskStatus.LOST
STARTING, RUNNING = TaskStatus.STARTING, TaskStatus.RUNNING


def begun(**options: float) -> Model:
    model = Model(Options(**options))  # type: ignore[arg-type]
    model.begin(Begin("test", "a", 1))
    return model


def run(model: Model, until_ms: float, *orders: Order, now_ms: float = 0) -> list[TaskReport]:
    """Give the orders, then let everything happen until then."""
    reports = list(model.step(now_ms, orders).reports)
    while (due := model.next_ms()) is not None and due <= until_ms:
        reports += model.step(due).reports
    return reports


def told(reports: list[TaskReport]) -> list[tuple[str, TaskStatus]]:
    return [(report.task_id, report.status) for report in reports]


def test_a_task_goes_through_its_states_in_time() -> None:
    model = begun(start_ms=20, run_ms=100)
    reports = run(model, 1000, Launch(1, "t", "host-0"))
    assert told(reports) == [("t", STARTING), ("t", RUNNING)]
    starting, running = (report.timestamp_ms or 0 for report in reports)
    assert 10 <= starting <= 30
    assert 50 <= running - starting <= 150
    assert model.next_ms() is None


def test_the_same_seed_tells_the_same_story_whatever_the_order_of_launches() -> None:
    def story(seed: int, ids: list[str]) -> set[tuple[str, TaskStatus, int | None]]:
        model = begun(seed=seed, crash_rate=0.5, hang_rate=0.5, slow_rate=0.3, late_rate=0.3)
        reports = run(model, 10**6, *(Launch(1, i, "host-1") for i in ids))
        return {(r.task_id, r.status, r.timestamp_ms) for r in reports}

    ids = [f"t-{i}" for i in range(50)]
    assert story(1, ids) == story(1, ids[::-1])
    assert story(1, ids) != story(2, ids)


def test_shares_of_what_goes_wrong() -> None:
    options = Options(crash_rate=0.25, hang_rate=0.5, late_rate=0.1, late_ms=10_000)
    drawn = [behaviour(options, f"t-{i}", None) for i in range(2000)]
    assert 400 < sum(b.crash_after_ms is not None for b in drawn) < 600
    assert 900 < sum(b.ignore_term for b in drawn) < 1100
    assert 140 < sum(b.run_ms > 10_000 for b in drawn) < 260


def test_a_crash_and_an_end_that_were_told() -> None:
    model = begun()
    launches = Launch(1, "c", "host-0", told="crash_after_ms=500"), Launch(1, "f", "host-0", told="finish_after_ms=1")
    reports = run(model, 10_000, *launches)
    assert told(reports)[-1] == ("c", FAILED)
    assert ("f", FINISHED) in told(reports)


@pytest.mark.parametrize("text", ["crash_after=5", "crash_after_ms", "crash_after_ms=soon", "ignore_term=1"])
def test_what_is_told_wrongly_fails_and_says_so(text: str) -> None:
    (report,) = run(begun(), 0, Launch(1, "t", "host-0", told=text))
    assert report.status is FAILED
    assert text.partition("=")[0] in (report.message or "")


def test_term_ignored_and_kill_not() -> None:
    model = begun()
    run(model, 1000, Launch(1, "t", "host-0", told="ignore_term"))
    assert run(model, 10**6, Send(1, "t", Signal.TERM), now_ms=1000) == []
    assert told(run(model, 10**7, Send(1, "t", Signal.KILL), now_ms=10**6)) == [("t", KILLED)]


def test_a_repeated_term_does_not_put_the_end_off() -> None:
    model = begun(stop_ms=100)
    run(model, 1000, Launch(1, "t", "host-0"))
    reports = []
    for now_ms in range(1000, 1200, 10):
        reports += model.step(now_ms, [Send(1, "t", Signal.TERM)]).reports
    assert told(reports)[0] == ("t", KILLED)


def test_a_lost_host_takes_its_tasks_and_comes_back_empty() -> None:
    model = begun(hosts=2)
    run(model, 1000, Launch(1, "a", "host-0", (31000,)), Launch(1, "b", "host-1"))
    step = model.step(2000, [LoseHost("host-0")])
    assert told(list(step.reports)) == [("a", LOST)]
    assert step.hosts_changed
    assert [host.name for host in model.hosts()] == ["host-1"]
    assert told(run(model, 2000, Launch(1, "c", "host-0"), now_ms=2000)) == [("c", LOST)]
    step = model.step(3000, [RestoreHost("host-0")])
    assert step.hosts_changed
    assert len(model.hosts()) == 2
    assert told(run(model, 9000, Launch(1, "d", "host-0", (31000,)), now_ms=3000))[-1] == ("d", RUNNING)


def test_hosts_are_lost_by_themselves_when_asked_for() -> None:
    model = begun(hosts=10, lost_host_rate=0.5, lost_host_every_ms=1000, lost_host_for_ms=500)
    reports = run(model, 10_000, *(Launch(1, f"t-{i}", f"host-{i}") for i in range(10)))
    lost = {task_id for task_id, status in told(reports) if status is LOST}
    assert 0 < len(lost) < 10


def test_a_port_is_given_once() -> None:
    model = begun()
    run(model, 1000, Launch(1, "a", "host-0", (31000,)))
    assert told(run(model, 1000, Launch(1, "b", "host-0", (31000,)), now_ms=1000)) == [("b", LOST)]
    assert told(run(model, 9000, Launch(1, "c", "host-1", (31000,)), now_ms=1000))[-1] == ("c", RUNNING)
    run(model, 9999, Send(1, "a", Signal.KILL), now_ms=9000)
    assert told(run(model, 99999, Launch(1, "d", "host-0", (31000,)), now_ms=9999))[-1] == ("d", RUNNING)


def test_old_epochs_are_fenced() -> None:
    model = begun()
    run(model, 1000, Launch(1, "t", "host-0"))
    model.begin(Begin("test", "a", 3))
    step = model.step(1000, [Launch(1, "u", "host-0"), Send(1, "t", Signal.KILL), Send(1, "v", Signal.KILL)])
    assert (step.reports, step.fenced) == ((), 3)
    assert told(list(model.tasks())) == [("t", RUNNING)]
    with pytest.raises(Refused, match="epoch 2 is older than 3"):
        model.begin(Begin("test", "a", 2))


def test_forgetting() -> None:
    model = begun()
    run(model, 5000, Launch(1, "a", "host-0", told="finish_after_ms=1"), Launch(1, "b", "host-0"))
    model.step(5000, [Forget(("a", "b", "c"))])
    assert told(list(model.tasks())) == [("b", RUNNING)]


def test_the_wire_says_what_was_said() -> None:
    orders: list[Order] = [
        Launch(1, "t", "h", (31000,), "ignore_term"),
        Launch(1, "t", "h"),
        Send(2, "t", Signal.KILL),
        Forget(("a", "b")),
        LoseHost("h"),
        RestoreHost("h"),
    ]
    for order in orders:
        assert order_from_json(json.loads(json.dumps(order_to_json(order)))) == order
    report = TaskReport("t", RUNNING, None, 5)
    assert report_from_json(json.loads(json.dumps(report_to_json(report)))) == report
    host = begun().hosts()[0]
    assert host_from_json(json.loads(json.dumps(host_to_json(host)))) == host
    with pytest.raises(ValueError, match="not an order"):
        order_from_json(["launch", "1"])
