"""Running a seed or a script to its end or to its first mistake."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from random import Random

from attrs import define

from scheduler.testing.simulation.broken import Broken
from scheduler.testing.simulation.coverage import Coverage
from scheduler.testing.simulation.invent import STEPS_BETWEEN_RESTARTS, Inventor
from scheduler.testing.simulation.script import Action, Script
from scheduler.testing.simulation.several.invent import SeveralInventor
from scheduler.testing.simulation.several.world import SeveralWorld
from scheduler.testing.simulation.world import World
from scheduler.zk.clock import turned_by


@define
class Failure:
    """What does not hold, and where it was noticed."""

    rule: str
    sentence: str
    step: int
    at_ms: int
    last_events: list[str]


@define
class Report:
    """What a run came to."""

    script: Script
    steps: int
    restarts: int
    simulated_ms: int
    digest: str
    coverage: Coverage
    failure: Failure | None = None


def run_seed(seed: int, *, steps: int, restarts: int = STEPS_BETWEEN_RESTARTS, schedulers: int = 1) -> Report:
    """Invent a script for this seed as it goes, for about so many steps; it ends with a heal."""
    inventor = (SeveralInventor if schedulers > 1 else Inventor)(seed, restarts=restarts)

    def script(world: World) -> Iterable[Action]:
        while world.steps < steps:
            yield inventor.next(world)
        yield Action(world.agenda.now_ms, "heal", {})

    return _run(seed, schedulers, script, end_ms=None)


def run_script(script: Script) -> Report:
    """The same again, or what is left of it."""
    return _run(script.seed, script.schedulers, lambda world: script.actions, end_ms=script.end_ms)


def _run(seed: int, schedulers: int, actions: Callable[[World], Iterable[Action]], end_ms: int | None) -> Report:
    world = SeveralWorld(seed, schedulers) if schedulers > 1 else World(seed)
    with turned_by(world.clock.mono_ms), _names_of(seed):
        try:
            return _act(world, actions, end_ms)
        finally:
            world.end()


@contextmanager
def _names_of(seed: int) -> Iterator[None]:
    """`uuid4` takes its bits from the system; here they come from the seed: how well bytes pack depends on them."""
    system, os.urandom = os.urandom, Random(f"names {seed}").randbytes
    try:
        yield
    finally:
        os.urandom = system


def _act(world: World, actions: Callable[[World], Iterable[Action]], end_ms: int | None) -> Report:
    done: list[Action] = []
    failure = None
    try:
        for action in actions(world):
            done.append(action)
            world.do(action)
        if end_ms is not None:
            world.advance_to(end_ms)
    except Broken as broken:
        failure = _failure(world, broken.rule, broken.sentence)
    except Exception as raised:  # the core, or the simulator itself
        failure = _failure(world, f"raised {type(raised).__name__}", _where(raised))
    return Report(
        Script(world.seed, tuple(done), world.agenda.now_ms, world.schedulers),
        world.steps,
        world.restarts,
        world.agenda.now_ms,
        world.trace.digest,
        world.coverage,
        failure,
    )


def _failure(world: World, rule: str, sentence: str) -> Failure:
    return Failure(rule, sentence, world.steps, world.agenda.now_ms, world.trace.last())


def _where(raised: BaseException) -> str:
    frames = []
    at = raised.__traceback__
    while at is not None:
        code = at.tb_frame.f_code
        frames.append(f"{code.co_filename.rpartition('/')[2]}:{at.tb_lineno} {code.co_name}")
        at = at.tb_next
    return f"{raised!r} in {' < '.join(reversed(frames[-6:]))}"
