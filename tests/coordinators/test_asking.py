"""Coordinators over real HTTP: what they are told, how many are asked at once, and what their answers come to."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from scheduler.coordinators.asking import MOST_WAITING, Coordinators, judge
from scheduler.coordinators.post import PostFailed
from scheduler.core.effects import AskCoordinator, ForDrain, ForUpdate, Purpose
from scheduler.core.records import CoordinatorSlaPolicy, JobKey, Task, TaskStatus
from scheduler.core.sla.answers import answered
from scheduler.core.updates.records import UpdateKey, UpdateStatus
from scheduler.rpc.simple_json import simple
from scheduler.rpc.to_thrift.tasks import scheduled_task
from scheduler.testing.stage import service
from tests.coordinators.house import House, house, in_loop, ok

JOB = JobKey("www", "prod", "web")
DRAIN = ForDrain("host-1", 90_000)
YES, NO = ok(b'{"drain": true}'), ok(b'{"drain": false}')


class Decided:
    """What was decided, and a way to wait for so many answers."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, str | None]] = []
        self._more = asyncio.Event()

    def __call__(self, decision: Callable[..., None], *args: Any) -> None:
        assert decision is answered
        question, why_not = args
        self.answers.append((question.task.task_id, why_not))
        self._more.set()

    async def come(self, count: int) -> list[tuple[str, str | None]]:
        while len(self.answers) < count:
            self._more.clear()
            await self._more.wait()
        return self.answers


def made(decided: Decided, figures: Counter[str], **other: Any) -> Coordinators:
    given: dict[str, Any] = {
        "describe": lambda task: simple(scheduled_task(task, with_data=True)),
        "cluster": "east",
        "now_ms": lambda: 30_000,
        "timeout_s": 30,
        "most_at_once": 10,
        "hosts": ("127.0.0.1",),
        "figures": figures,
    }
    return Coordinators(decided, **{**given, **other})


def question(there: House, number: int = 0, *, path: str = "/", purpose: Purpose = DRAIN) -> AskCoordinator:
    policy = CoordinatorSlaPolicy(f"http://127.0.0.1:{there.port}{path}", "drain")
    config = evolve(service(JOB, "data"), sla_policy=policy)
    task = Task(f"task-{number}", number, config, TaskStatus.RUNNING, host="host-1", ports=(("http", 31000),))
    return AskCoordinator(task, policy, purpose)


@in_loop
async def test_what_a_coordinator_is_told_and_says() -> None:
    decided, figures = Decided(), Counter[str]()
    async with house(YES) as there:
        coordinators = made(decided, figures)
        coordinators.ask(question(there, 3))
        update = ForUpdate(UpdateKey(JOB, "u"), UpdateStatus.ROLLING_FORWARD)
        coordinators.ask(question(there, 4, purpose=update))
        assert await decided.come(2) == [("task-3", None), ("task-4", None)]
        await coordinators.stop()
    assert [request.split(b" ")[1] for request in there.requests] == [
        b"/?task=east%2Fwww%2Fprod%2Fweb%2F3",
        b"/?task=east%2Fwww%2Fprod%2Fweb%2F4",
    ]
    for_drain, for_update = (json.loads(request.partition(b"\r\n\r\n")[2]) for request in there.requests)
    assert for_drain["task"] == "east/www/prod/web/3"
    assert for_drain["forceMaintenanceCountdownMs"] == "60000"
    assert "forceMaintenanceCountdownMs" not in for_update
    assigned = for_drain["taskConfig"]["assignedTask"]
    assert (assigned["instanceId"], assigned["slaveHost"], assigned["assignedPorts"]) == (3, "host-1", {"http": 31000})
    assert assigned["task"]["job"] == {"role": "www", "environment": "prod", "name": "web"}
    assert assigned["task"]["executorConfig"]["data"] == "data"
    assert for_drain["taskConfig"]["status"] == TaskStatus.RUNNING.value
    assert figures == {"attempts": 2, "success": 2}


@in_loop
async def test_a_coordinator_elsewhere_than_allowed_is_not_asked() -> None:
    decided, figures = Decided(), Counter[str]()
    async with house(YES) as there:
        coordinators = made(decided, figures, hosts=("*.example.com", "127.0.0.2"))
        coordinators.ask(question(there, 3))
        ((task, why_not),) = await decided.come(1)
        await coordinators.stop()
    assert (task, there.requests, figures) == ("task-3", [], {"attempts": 1, "user_errors": 1})
    assert why_not is not None
    assert why_not.startswith("may not be asked: coordinatorUrl is 'http://127.0.0.1:")
    assert why_not.endswith("; its host may be *.example.com, 127.0.0.2")


@in_loop
async def test_one_question_at_a_time_for_each_url_and_none_twice() -> None:
    decided, figures = Decided(), Counter[str]()
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: bytes) -> bytes:
        arrived.set()
        await go_on.wait()
        return NO if b"web%2F1 " in request else YES

    async with house(slow) as there:
        coordinators = made(decided, figures)
        for number in (0, 1, 0, 2, 1):
            coordinators.ask(question(there, number))
        await arrived.wait()
        coordinators.ask(question(there, 0))
        assert len(there.requests) == 1
        go_on.set()
        assert await decided.come(3) == [("task-0", None), ("task-1", "said no"), ("task-2", None)]
        assert len(there.requests) == 3
        coordinators.ask(question(there, 1))  # that has been answered: it may be asked again
        assert (await decided.come(4))[3] == ("task-1", "said no")
        await coordinators.stop()
    assert figures == {"attempts": 4, "success": 2}


@in_loop
async def test_a_few_at_once_in_all() -> None:
    decided, figures = Decided(), Counter[str]()
    arrived, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def slow(request: bytes) -> bytes:
        arrived.release()
        await go_on.wait()
        return YES

    async with house(slow) as there:
        coordinators = made(decided, figures, most_at_once=3)
        for number in range(12):
            coordinators.ask(question(there, number, path=f"/{number}"))
        for _ in range(3):
            await arrived.acquire()
        assert figures["attempts"] == 3
        go_on.set()
        await decided.come(12)
        await coordinators.stop()


@in_loop
async def test_who_comes_when_very_many_wait_is_put_off() -> None:
    decided, figures = Decided(), Counter[str]()
    async with house(YES) as there:
        coordinators = made(decided, figures)
        for number in range(MOST_WAITING + 5):
            coordinators.ask(question(there, number))
        assert figures["lock_starvation"] == 5
        await decided.come(MOST_WAITING)
        await coordinators.stop()


@in_loop
async def test_one_that_is_broken_holds_up_nobody() -> None:
    decided, figures = Decided(), Counter[str]()

    def broken(task: Task) -> object:
        if task.instance_id == 0:
            raise ZeroDivisionError("planted")
        return {}

    async with house(ok(b"{}", "500 Broken")) as there:
        coordinators = made(decided, figures, describe=broken)
        for number in (0, 1):
            coordinators.ask(question(there, number))
        assert await decided.come(2) == [
            ("task-0", "was not asked: planted"),
            ("task-1", "answered with status 500"),
        ]
        await coordinators.stop()
    assert figures == {"attempts": 2, "errors": 1, "user_errors": 1}


@in_loop
async def test_nothing_is_decided_after_the_end() -> None:
    decided, figures = Decided(), Counter[str]()
    arrived, never = asyncio.Event(), asyncio.Event()

    async def silent(request: bytes) -> bytes:
        arrived.set()
        await never.wait()
        return YES

    async with house(silent) as there:
        coordinators = made(decided, figures)
        coordinators.ask(question(there))
        await arrived.wait()
        await coordinators.stop()
        assert decided.answers == []
        never.set()


@pytest.mark.parametrize(("answer", "sentence"), [(b'{"ok": true}', None), (b'{"ok": false}', "said no")])
def test_answers(answer: bytes, sentence: str | None) -> None:
    assert judge(200, answer, "ok") == sentence


@pytest.mark.parametrize(("status", "answer", "sentence"), [
    (201, b'{"ok": true}', "answered with status 201"),
    (302, b"", "answered with status 302"),
    (200, b"", "did not answer in JSON"),
    (200, b"[" * 100_000, "did not answer in JSON"),
    (200, b"\xff", "did not answer in JSON"),
    (200, b"true", "answered without a boolean called 'ok'"),
    (200, b'{"drain": true}', "answered without a boolean called 'ok'"),
    (200, b'{"ok": "true"}', "answered without a boolean called 'ok'"),
    (200, b'{"ok": 1}', "answered without a boolean called 'ok'"),
])  # fmt: skip
def test_what_is_no_answer(status: int, answer: bytes, sentence: str) -> None:
    with pytest.raises(PostFailed) as wrong:
        judge(status, answer, "ok")
    assert str(wrong.value) == sentence
