"""One drill from its first call to its verdict."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from attrs import frozen
from thriftpy2.rpc import client_context

from scheduler.interface import thesan
from scheduler.testing.crash.load import Load, Marks
from scheduler.testing.crash.rest import LAST_LIFE_S, at_rest
from scheduler.testing.drills import verdict
from scheduler.testing.drills.deeds import Deeds
from scheduler.testing.drills.doors import LeaderDoor
from scheduler.testing.drills.place import Place
from scheduler.testing.drills.scenarios import Scenario
from scheduler.testing.drills.timeline import Timeline
from scheduler.testing.drills.watch import Look, Watch
from scheduler.testing.history import check
from scheduler.testing.history.records import Call, Heard, Violation

__all__ = ["Drilled", "drill"]

CLIENTS: Final = 3
SLACK_S: Final = 6.0
"""More than the protocol needs for a takeover: processes that share few cores with much else start and wake up late."""


@frozen
class Drilled:
    """What a drill found, and what its page shows."""

    scenario: Scenario
    seed: int
    timeline: Timeline
    seconds: float
    looks: tuple[Look, ...]
    calls: tuple[Call, ...]
    takeover_s: float | None
    """From the fault to the first look at a new leader; None where nobody was to take over."""
    violations: tuple[Violation, ...]

    def count(self, heard: Heard) -> int:
        return sum(call.heard is heard for call in self.calls)

    @property
    def gap_s(self) -> float:
        """The longest time without an acknowledged call."""
        return verdict.longest_gap_s(self.calls)


def drill(
    scenario: Scenario,
    place: Place,
    seed: int,
    *,
    say: Callable[[str], None],
    behind_the_back: Callable[[Any], None] = lambda client: None,
) -> Drilled:
    """Run it. `say` gets a line for each thing that happens.

    `behind_the_back` gets a client of the leader before the reckoning: for tests of the verdict, which must notice what
    was done there. Raises TimeoutError when the place does not come to where the drill can go on.
    """
    with Watch(place.nodes) as watch, Deeds(place, watch, say) as deeds:
        load = Load(
            lambda number: LeaderDoor(watch, deeds.answers),
            deeds.recorder,
            Marks(place.folder / "marks"),
            seed=seed,
            clients=CLIENTS,
        )
        deeds.begin()
        load.start(shared=1)
        try:
            for step in scenario.steps:
                deeds.do(step)
        finally:
            load.stop()
        return _reckon(scenario, place, seed, watch, deeds, load, behind_the_back)


def _led_since(watch: Watch, epoch: int) -> float:
    """When this epoch was seen first: what its leader missed on the engine, it has looked for twice some time later."""
    return min((look.began for look in watch.looks if look.epoch == epoch), default=time.monotonic())


def _reckon(
    scenario: Scenario,
    place: Place,
    seed: int,
    watch: Watch,
    deeds: Deeds,
    load: Load,
    behind_the_back: Callable[[Any], None],
) -> Drilled:
    deeds.note("clients stop; everything comes to rest")
    leader, epoch = deeds.leader()
    with client_context(thesan.Scheduler, leader.host, leader.thrift_port, socket_timeout=10_000) as client:
        behind_the_back(client)
        world, found = at_rest(client, load.abort, not_before=_led_since(watch, epoch) + LAST_LIFE_S)
        engine = place.engine_tasks(client.getServerState())
    history = deeds.recorder.history()
    found += check(history, world)
    found += verdict.one_leader(deeds.answers.all(), watch.looks)
    found += verdict.leadership(
        (deeds.victim.name, deeds.epoch),
        (leader.name, epoch),
        moves=scenario.leadership_moves,
        took_s=deeds.takeover_s,
        within_s=(place.session_ms + 2 * place.tick_ms) / 1000 + 1 + SLACK_S,
    )
    found += verdict.engine_agrees(world, engine)
    for part in deeds.parts:
        found += verdict.something_tested(history.calls, part)
    gate = deeds.gate()
    if gate is not None:
        found += verdict.gate_held(gate)
    ended = deeds.note("the verdict")
    return Drilled(
        scenario=scenario,
        seed=seed,
        timeline=deeds.timeline,
        seconds=deeds.timeline.since(ended.at),
        looks=tuple(watch.looks),
        calls=history.calls,
        takeover_s=deeds.takeover_s,
        violations=tuple(found),
    )
