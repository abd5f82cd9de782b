"""What happens to several schedulers, drawn from the seed. What happens to one is in `simulation/invent.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from scheduler.core.ops import FORMAT_LEVEL
from scheduler.lifecycle import Stage
from scheduler.testing.simulation.engine import HOSTS
from scheduler.testing.simulation.invent import STEPS_BETWEEN_RESTARTS, Inventor, Told
from scheduler.testing.simulation.several.machine import NOW
from scheduler.testing.simulation.several.process import ACTING, DEATHS, KEEPING, SESSION_MS
from scheduler.testing.simulation.zookeeper.wire import CutMulti

if TYPE_CHECKING:
    from scheduler.testing.simulation.world import World

SUDDEN: Final = tuple((how, place) for place in (NOW, *DEATHS) for how in ("kill", "freeze"))
"""One after the other, so that a few runs meet all of them."""
SAID: Final = {(how, place): f"{'killed' if how == 'kill' else 'frozen'}, {place}" for how, place in SUDDEN}
TRIES: Final = 2
"""At one place, when it was not reached."""
OLDER: Final = FORMAT_LEVEL - 1


class SeveralInventor(Inventor):
    """Faults that cost the leadership come at least so many steps apart; others at any time."""

    def __init__(self, seed: int, *, restarts: int = STEPS_BETWEEN_RESTARTS) -> None:
        super().__init__(seed, restarts=restarts)
        self._sudden = seed * 7
        self._tried = self._met_before = 0
        others = tuple(row for row in self.weights if row[0] is not Inventor._surroundings)
        mine = (
            (SeveralInventor._around, 6),
            (SeveralInventor._slight, 10),
            (SeveralInventor._left_behind, 4),
            (SeveralInventor._release, 2),
        )
        self.weights = (*((kind, weight * 2) for kind, weight in others), *mine)

    def _restart(self, world: World) -> Told | None:
        since = world.steps - max(world.restarted_at_step, self._hit_at_step)
        if not self._restarts or since < self._restarts or world.witness is None or not world.witness.leads:
            return None
        armed: set[str] = world.armed  # type: ignore[attr-defined]
        if armed & set(KEEPING) and since < self._restarts * 2:
            return None
        self._hit_at_step = world.steps
        random = self._random
        leader = world.node.number  # type: ignore[attr-defined]
        down_ms = random.choice((0, 250, 1_000, 4_000, 9_000))
        for_ms = random.choice((SESSION_MS * 2, SESSION_MS + 1_500, SESSION_MS))
        silent = {"machine": leader, "ways": ["back", "out"], "for_ms": for_ms * 2}
        kinds: tuple[tuple[Callable[[], Told], int], ...] = (
            (lambda: self._at_a_place(world, leader, down_ms, for_ms), 20),
            (lambda: ("cut", {"machine": leader, "ways": random.choice(_WAYS), "for_ms": for_ms * 2}), 4),
            (lambda: ("cut", {**silent, "commit": random.choice((CutMulti.KEPT, CutMulti.LOST))}), 4),
            (lambda: ("expire", {"machine": leader}), 2),
            (lambda: ("unseat", {"machine": leader, "late": random.random() < 0.7}), 5),
            (lambda: ("stop", {"machine": leader, "down_ms": down_ms + 2_000}), 3),
            (lambda: ("wipe", {"machine": leader, "down_ms": down_ms}), 1),
        )
        made = random.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0]()
        if random.random() < 0.35:  # the interesting ones come in pairs
            self._follow_ups.append(self._slight(world, 0))
        return made

    _hit_at_step = 0

    def _at_a_place(self, world: World, leader: int, down_ms: int, for_ms: int) -> Told:
        """The leader is killed or frozen at the next place, or at the last one again if that was not reached."""
        random, counts = self._random, world.coverage.counts
        met = counts["fault", SAID[SUDDEN[self._sudden % len(SUDDEN)]]]
        if self._tried and (met > self._met_before or self._tried >= TRIES):
            self._sudden, self._tried = self._sudden + 1, 0
        how, place = SUDDEN[self._sudden % len(SUDDEN)]
        self._met_before = counts["fault", SAID[how, place]]
        self._tried += 1
        nth = random.randint(1, 2) if place in ACTING else 1
        if how == "kill":
            return _kill(leader, place, nth, random.random() < 0.5, down_ms)
        return "freeze", {"machine": leader, "place": place, "nth": nth, "for_ms": for_ms}

    def _slight(self, world: World, job: int) -> Told:
        """What leadership survives: if it does not, no harm is done."""
        random = self._random
        count = len(world.machines)  # type: ignore[attr-defined]
        machine = world.node.number if random.random() < 0.6 else random.randrange(count)  # type: ignore[attr-defined]
        standby = (world.node.number + 1) % count  # type: ignore[attr-defined]
        for_ms = random.choice((250, 1_000, 2_000, 2_600))
        newest = world.node.process  # type: ignore[attr-defined]
        if newest is not None and newest.lifecycle.stage is Stage.SUSPENDED and random.random() < 0.5:
            return _kill(world.node.number, NOW, 1, random.random() < 0.5, for_ms)  # type: ignore[attr-defined]
        match random.randrange(12):
            case 0 | 1 | 2:
                return "cut_commit", {"machine": machine, "how": random.choice(CutMulti.ALL)}
            case 3:
                return "freeze", {"machine": machine, "place": NOW, "nth": 1, "for_ms": for_ms}
            case 4:
                return "cut", {"machine": machine, "ways": random.choice(_WAYS), "for_ms": for_ms}
            case 5 | 6:
                return "server", {"server": -1, "what": random.choice(("killed", "cut")), "for_ms": for_ms * 2}
            case 7 | 8:
                what = random.choice(("killed", "cut", "lags", "lags"))
                return "server", {"server": random.randrange(3), "what": what, "for_ms": for_ms * 2}
            case 9:
                return "skew", {"machine": machine, "by_ms": random.choice((-3_600_000, -250, 250, 600_000))}
            case 10:
                return "expire", {"machine": standby}
        return _kill(standby, NOW, 1, random.random() < 0.5, for_ms)

    def _left_behind(self, world: World, job: int) -> Told:
        """A standby that has much to read when it is back, or finds the log cut, or nothing of its own."""
        random = self._random
        count = len(world.machines)  # type: ignore[attr-defined]
        standby = (world.node.number + random.randint(1, count - 1)) % count  # type: ignore[attr-defined]
        long_ms = random.choice((6_000, 15_000, 40_000))
        match random.randrange(6):
            case 0:
                return "wipe", {"machine": standby, "down_ms": random.choice((0, 1_000, 9_000))}
            case 1:
                return _kill(standby, NOW, 1, True, long_ms)
            case 2:
                return "freeze", {"machine": standby, "place": NOW, "nth": 1, "for_ms": long_ms}
        slowly = {"for_ms": random.choice((6_000, 9_000)), "nth": random.randint(2, 6), "times": random.randint(6, 24)}
        return "read_slowly", {"machine": standby, **slowly}

    def _release(self, world: World, job: int) -> Told:
        """One machine after the other gets a release; now and then the wrong one."""
        random = self._random
        machines = world.machines  # type: ignore[attr-defined]
        older = [machine.number for machine in machines if machine.level < FORMAT_LEVEL]
        down_ms = random.choice((500, 3_000))
        if older and random.random() < 0.8:
            return "install", {"machine": random.choice(older), "level": FORMAT_LEVEL, "down_ms": down_ms}
        return "install", {"machine": random.randrange(len(machines)), "level": OLDER, "down_ms": down_ms}

    def _around(self, world: World, job: int) -> Told:
        random = self._random
        for_ms = random.choice((500, 2_000, 6_000))
        match random.randrange(5):
            case 0:
                return "host", {"host": random.choice(HOSTS).name, "for_ms": for_ms * 2}
            case 1:
                return "unreachable", {"for_ms": for_ms}
            case 2:
                return "step_clock", {"by_ms": random.choice((-3_600_000, -5_000, -250, 250, 5_000, 600_000))}
        return self._poison(world, job)


_WAYS: Final = (["out"], ["back"], ["back", "out"], ["back", "out"])


def _kill(machine: int, place: str, nth: int, kept: bool, down_ms: int) -> tuple[str, dict[str, Any]]:
    told = {"machine": machine, "place": place, "nth": nth, "kept": kept, "down_ms": down_ms}
    return "kill_scheduler", told
