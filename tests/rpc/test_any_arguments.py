"""Every method with any arguments its interface allows: an answer, never a mistake of ours; a refusal changes nothing.

Calls are made as bytes and go all the way: checks, decoding, the core, the answer. Arguments are drawn from the
interface itself, so a new method or field is tried without a word here. Names and numbers are often those of what there
is, so that calls get past the first check. After every call all invariants hold (`Stage.settle` looks).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from thriftpy2.thrift import TApplicationException

from scheduler.core.policy import Policy
from scheduler.core.state import dump
from scheduler.interface import aurora, thesan
from scheduler.rpc import shapes
from scheduler.rpc.binary import STRICT
from scheduler.rpc.callers import Caller
from scheduler.rpc.large import Large
from scheduler.rpc.messages import CALL, BadMessage
from scheduler.rpc.shapes import ARGS
from scheduler.testing.serving import Serving
from scheduler.testing.stage import Stage, replayed
from tests.rpc import calls
from tests.rpc.calls import read_reply, task_config

LATER = {"watchEvents"}
"""Answered when something happens: `test_watching.py`."""

OK, WARNING = 1, 3
SEEN: Counter[tuple[str, int]] = Counter()
"""How often each method answered with each code."""

METHODS = sorted(set(thesan.Scheduler.thrift_services) - LATER)
NEW = aurora.JobKey(role="www", environment="prod", name="new")
OTHER = aurora.JobKey(role="www", environment="prod", name="other")

_TEXT = (
    st.sampled_from(["www", "prod", "hello", "other", "u-1", "id-1", "host-1", "preferred", "AuroraExecutor", "", " "])
    | st.sampled_from(['{"v": 1}', "* * * * *", "constraint", "rack", "x" * 300, "ü/ö", "\0", "thesan.pulse"])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
)
_NUMBERS = st.sampled_from([-1, 0, 1, 2, 3, 7, 60_000])


def _whole(bits: int) -> st.SearchStrategy[int]:
    return _NUMBERS | st.sampled_from([-(1 << (bits - 1)), (1 << (bits - 1)) - 1]) | st.integers(-5, 5_000)


_PLAIN: dict[int, st.SearchStrategy[Any]] = {
    shapes.BOOL: st.booleans(),
    shapes.I08: st.integers(-128, 127),
    shapes.I16: _whole(16),
    shapes.I32: _whole(32),
    shapes.I64: _whole(64),
    shapes.DOUBLE: st.sampled_from([0.0, -1.0, 0.5, 1e300, 5e-324]) | st.floats(allow_nan=False, allow_infinity=False),
    shapes.STRING: _TEXT,
    shapes.BINARY: st.binary(max_size=6),
}


def values(kind: int, inner: Any) -> st.SearchStrategy[Any]:
    """Values of a field or an element of this type."""
    if kind == shapes.STRUCT:
        return structs(inner)
    if kind == shapes.SET and inner == shapes.I32:  # instances: some there are, some not
        return st.lists(st.integers(0, 4), max_size=2) | st.lists(_PLAIN[shapes.I32], max_size=3)
    if kind in (shapes.LIST, shapes.SET):
        return st.lists(values(*_element(inner)), max_size=3)
    if kind == shapes.MAP:
        return st.dictionaries(values(*_element(inner[0])), values(*_element(inner[1])), max_size=2)
    if kind == shapes.I32 and inner is not None:
        return st.sampled_from([*inner._VALUES_TO_NAMES, 999, -1])
    return _PLAIN[kind]


def _element(spec: Any) -> tuple[int, Any]:
    return spec if isinstance(spec, tuple) else (spec, None)


GOOD: dict[str, Any] = {
    "JobKey": lambda: [calls.JOB, OTHER],
    "JobUpdateKey": lambda: [aurora.JobUpdateKey(job=OTHER, id=update_id())],
    "ResourceAggregate": lambda: [aurora.ResourceAggregate(resources=task_config().resources)],
    "TaskConfig": lambda: [task_config(), task_config(job=OTHER, tier="preferred")],
    "JobConfiguration": lambda: [calls.job(2), calls.job(1, job=OTHER), calls.job(3, job=NEW)],
    "JobUpdateRequest": lambda: [calls.update_request(2), calls.update_request(5, blockIfNoPulsesAfterMs=1000)],
}
"""What passes all checks, by the name of its struct."""


def structs(cls: Any) -> st.SearchStrategy[Any]:
    """A struct whose fields are each set or not, or one that is known to be good."""

    @st.composite
    def made(draw: st.DrawFn) -> Any:
        good = GOOD.get(cls.__name__)
        if good is not None and draw(st.integers(0, 3)):
            return draw(st.sampled_from(good()))
        spec: dict[int, tuple[Any, ...]] = cls.thrift_spec
        fields = {
            entry[1]: draw(values(entry[0], entry[2] if len(entry) > 3 else None))
            for entry in spec.values()
            if draw(st.integers(0, 3))
        }
        made = cls()
        for name, value in fields.items():
            setattr(made, name, value)
        return made

    return st.deferred(made)


CALLS = st.sampled_from(METHODS).flatmap(lambda method: st.tuples(st.just(method), structs(ARGS[method])))


async def a_busy_house() -> Serving:
    """A job that runs, and one whose update waits for a heartbeat."""
    house = Serving(Stage(Policy(max_tasks_per_job=10)))
    house.core.held = True
    await ask(house, "createJob", calls.args_of("createJob", description=calls.job(3)))
    await ask(house, "createJob", calls.args_of("createJob", description=calls.job(2, job=OTHER)))
    for job in list(house.stage.state.tasks.active):
        for task in list(house.stage.state.tasks.active[job].values()):
            house.stage.run(task)
    request = calls.update_request(2, blockIfNoPulsesAfterMs=60_000)
    request.taskConfig.job = OTHER
    assert (await ask(house, "startJobUpdate", calls.args_of("startJobUpdate", request=request))).responseCode == 1
    return house


@cache
def update_id() -> str:
    """Of the update in `a_busy_house`, which is always the same."""

    async def find() -> str:
        (update,) = (await a_busy_house()).stage.state.updates.values()
        return update.key.id

    return asyncio.run(find())


async def ask(house: Serving, method: str, args: Any) -> Any:
    """What the call returned; None when it was refused before any method saw it."""
    data = STRICT.write(method, CALL, 1, args)
    try:
        pending = house.processor.process(data, STRICT, STRICT, Caller("me"))
    except BadMessage:
        return None
    house.stage.settle()
    payload = pending.payload
    if isinstance(payload, Large):
        await payload.prepare()
        payload = b"".join([bytes(piece) async for piece in payload.pieces()])
    return read_reply(payload)[3]


def everything(house: Serving) -> list[Any]:
    state = house.stage.state
    return [*dump(state), *state.pulses.items(), *state.beats.items(), *state.hosts.items()]


def told(answer: Any) -> tuple[int, list[Any]]:
    """The code and the sentences of an answer, Aurora's or ours."""
    if not hasattr(answer, "responseCode"):
        return 1, []
    return answer.responseCode, [getattr(d, "message", d) for d in answer.details or ()]


def check(asked: list[tuple[str, Any]]) -> None:
    async def all_of_them() -> None:
        house = await a_busy_house()
        for method, args in asked:
            await check_one(house, method, args)
        stage = house.stage
        assert sorted(map(repr, dump(replayed(stage.log)))) == sorted(map(repr, dump(stage.state)))

    asyncio.run(all_of_them())


async def check_one(house: Serving, method: str, args: Any) -> None:
    before, entries = everything(house), len(house.stage.log)
    answer = await ask(house, method, args)
    assert not isinstance(answer, TApplicationException), (method, answer)
    code, said = (0, []) if answer is None else told(answer)
    assert not any(str(sentence).startswith("log id ") for sentence in said), (method, args, said)
    SEEN[method, code] += 1
    if code not in (OK, WARNING):
        assert everything(house) == before, (method, said)
        assert len(house.stage.log) == entries, (method, said)


SETTINGS = {"deadline": None, "derandomize": True, "suppress_health_check": list(HealthCheck)}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_any_calls_one_after_another(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    SEEN.clear()
    given(st.lists(CALLS, min_size=1, max_size=8))(settings(max_examples=150, **SETTINGS)(check))()
    done = sum(times for (_, code), times in SEEN.items() if code == OK)
    assert done > SEEN.total() / 5, "too few calls get past the first check"


@pytest.mark.parametrize("method", METHODS)
def test_every_method_alone(method: str, caplog: pytest.LogCaptureFixture) -> None:
    """So that none is left to chance."""
    caplog.set_level(logging.CRITICAL)

    @settings(max_examples=40, **SETTINGS)
    @given(structs(ARGS[method]))
    def alone(args: Any) -> None:
        check([(method, args)])

    alone()
    assert SEEN.total()
