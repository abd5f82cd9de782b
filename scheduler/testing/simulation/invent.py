"""Inventing a script: what is done next, drawn from the seed, with an eye on where it might hurt.

What is invented is recorded; a replay reads the record and needs none of this.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any, Final

from scheduler.core.records import TaskStatus
from scheduler.core.updates.records import Phase
from scheduler.testing.simulation import fleet_invent
from scheduler.testing.simulation.agenda import GRID_MS
from scheduler.testing.simulation.catalog import INSTANCES, JOBS, random_settings
from scheduler.testing.simulation.crontab import CRON_JOBS, EVERY_MS, has_cron
from scheduler.testing.simulation.engine import HOSTS, SHORT
from scheduler.testing.simulation.fleet import has_fleet
from scheduler.testing.simulation.ledger import AWAITING, PAUSED, UpdateRow
from scheduler.testing.simulation.monitors import Mood
from scheduler.testing.simulation.node import PLACES
from scheduler.testing.simulation.script import Action
from scheduler.testing.simulation.store import Fault

if TYPE_CHECKING:
    from scheduler.testing.simulation.world import World

STEPS_BETWEEN_RESTARTS: Final = 100
HEAL_EVERY_STEPS: Final = 1_200
_GAPS: Final = (0, 0, 1, 1, 2, 2, 3, 4, 6, 8)

Told = tuple[str, dict[str, Any]]


class Inventor:
    """Draws the next action for a run. `restarts`: how many steps there are between two, at least (0: none)."""

    def __init__(self, seed: int, *, restarts: int = STEPS_BETWEEN_RESTARTS) -> None:
        self._random = Random(f"script {seed}")
        self._restarts = restarts
        self._versions = 0
        self._healed_at_step = 0
        cron = ((Inventor._cron, 9),) if has_cron(seed) else ()
        self._has_fleet = has_fleet(seed)
        fleet = ((Inventor._upkeep, 14),) if self._has_fleet else ()
        self.weights: tuple[tuple[Callable[..., Told | None], int], ...] = (*_WEIGHTS, *cron, *fleet)
        self._follow_ups: list[Told] = []
        """What comes next at once, to meet something that does not last."""

    def next(self, world: World) -> Action:
        random = self._random
        now_ms = world.agenda.now_ms
        if self._follow_ups:
            return Action(now_ms, *self._follow_ups.pop())
        at_ms = (now_ms // GRID_MS + random.choice(_GAPS)) * GRID_MS
        if world.steps - self._healed_at_step >= HEAL_EVERY_STEPS:
            self._healed_at_step = world.steps
            return Action(max(now_ms, at_ms), "heal", {})
        do, args = self._restart(world) or self._anything(world)
        return Action(max(now_ms, at_ms), do, args)

    def _restart(self, world: World) -> Told | None:
        since = world.steps - world.restarted_at_step
        if not self._restarts or since < self._restarts or not world.node.up or world.node.trap is not None:
            return None
        random = self._random
        return "crash", {
            "place": random.choice(PLACES),
            "kept": random.random() < 0.5,
            "down_ms": random.choice((0, 250, 1_000, 4_000)),
        }

    def _anything(self, world: World) -> Told:
        rare = [number for number in _rolling_back(world) if _is_poisonable(world, number)]
        if rare and self._random.random() < 0.05:
            return self._poison(world, self._random.choice(rare))
        upset = self._has_fleet and fleet_invent.upset(self._random, world)
        if upset:
            return upset
        kinds, weights = zip(*self.weights, strict=True)
        while True:
            kind = self._random.choices(kinds, weights)[0]
            told: Told | None = kind(self, world, self._random.randrange(len(JOBS)))
            if told is not None:
                return told

    # --- people ---

    def _create(self, world: World, job: int) -> Told | None:
        if _has_tasks(world, job):
            return None
        service = self._random.random() < 0.75
        count = INSTANCES if self._random.random() < 0.8 else self._random.randint(1, 12)
        return "create", {"job": job, "count": count, "data": self._version(), "service": service}

    def _version(self) -> str:
        self._versions += 1
        return f"v{self._versions}{'-bad' if self._random.random() < 0.3 else ''}"

    def _start(self, world: World, job: int) -> Told | None:
        if _active(world, job) is not None and self._random.random() < 0.9:
            return None
        random = self._random
        count = random.choice((INSTANCES, INSTANCES, INSTANCES, random.randint(1, 12)))
        told = {"job": job, "data": self._version(), "count": count, "told": random_settings(random)}
        if random.random() < 0.2:
            self._follow_ups.append(("start", told))  # a client that did not hear an answer tries again
        return "start", told

    def _change(self, world: World, job: int) -> Told | None:
        random = self._random
        turned = _rolling_back(world)
        if turned and random.random() < 0.4:
            job = random.choice(turned)
        update = _active(world, job)
        which = random.choice(("active",) * 8 + ("ended", "none"))
        if update is None and which == "active":
            return None
        what = random.choice(("pause", "pause", "resume", "rollback", "rollback", "abort"))
        if update is not None and update.status in PAUSED:
            what = random.choice(("resume", "resume", what, "abort" if update.back else what))
        return "change", {"what": what, "job": job, "which": which}

    def _touch_tasks(self, world: World, job: int) -> Told | None:
        random = self._random
        if _active(world, job) is not None and random.random() < 0.8:
            return None
        chosen = sorted(random.sample(range(INSTANCES), random.randint(1, 4)))
        odd = _odd_instances(world, job)
        if odd and random.random() < 0.6:
            chosen = [random.choice(odd)]
        what = random.choice(("kill", "restart", "restart", "add", "kill all"))
        if what == "add":
            return what, {"job": job, "instance": random.randrange(INSTANCES), "count": random.randint(1, 2)}
        if what == "kill all":
            return "kill", {"job": job, "instances": []}
        if what == "restart" and random.random() < 0.6:
            self._follow_ups.append(self._upset(job, chosen[0]))
        return what, {"job": job, "instances": chosen}

    def _upset(self, job: int, instance: int) -> Told:
        """Something else happens to an instance that was just asked to end."""
        fault = self._random.choice(("kill", "crash", "exit", "lost", "partition, back"))
        if fault == "kill":
            return "kill", {"job": job, "instances": [instance]}
        return "instance", {"job": job, "instance": instance, "fault": fault, "for_ms": 4 * GRID_MS}

    def _read(self, world: World, job: int) -> Told:
        return "read", {"job": job}

    def _nonsense(self, world: World, job: int) -> Told:
        return "nonsense", {"what": job % 5}

    def _pulse(self, world: World, job: int) -> Told:
        return "pulse", {"job": job, "which": self._random.choice(("active", "active", "ended", "none"))}

    def _mood(self, world: World, job: int) -> Told:
        moods = (*Mood, Mood.LAGGING, Mood.LAGGING, Mood.LYING)
        lag_ms = self._random.choice((0, GRID_MS, 2 * GRID_MS, 6 * GRID_MS))
        mood = self._random.choice(moods)
        told: dict[str, Any] = {"job": job, "mood": mood.value, "lag_ms": lag_ms}
        if mood is Mood.TOGGLING or self._random.random() < 0.5:
            told["objection"] = self._random.choice(_OBJECTIONS)
        return "mood", told

    def _say(self, world: World, job: int) -> Told | None:
        update = _active(world, job)
        which = self._random.choice(("active",) * 12 + ("ended", "none"))
        if update is None and which == "active":
            return None
        verdict = self._random.choices(("PROCEED", "WAIT", "PAUSE", "ROLL_BACK", "ABORT"), (6, 8, 4, 2, 1))[0]
        told: Told = ("say", {"job": job, "which": which, "verdict": verdict})
        if verdict == "WAIT" and self._random.random() < 0.3:
            what = self._random.choice(("pause", "pause", "resume", "pause_for"))
            self._follow_ups.append(self._for_a_while(world, job) if what == "pause_for" else _ask(what, job))
        elif verdict in ("PAUSE", "ROLL_BACK") and self._random.random() < 0.5:
            self._follow_ups.append(("say", {**told[1], "verdict": "PROCEED"}))
        return told

    def _for_a_while(self, world: World, job: int) -> Told:
        random = self._random
        which = "active" if random.random() < 0.95 else "ended"
        duration_ms = random.choice((0, 1_000, 2_000, 3_000, 6_000, 12_000, 20_000))
        what = random.choice(("pause_for", "override", "override"))
        if what == "pause_for" and random.random() < 0.3:
            self._follow_ups.append(("say", {"job": job, "which": which, "verdict": "PAUSE"}))
        if what == "override" and duration_ms and random.random() < 0.3:
            ended = {"what": what, "job": job, "which": which, "duration_ms": 0}
            self._follow_ups.append(("for_a_while", ended))
            self._follow_ups.append(("say", {"job": job, "which": which, "verdict": "WAIT"}))
        return "for_a_while", {"what": what, "job": job, "which": which, "duration_ms": duration_ms}

    def _while(self, world: World, job: int) -> Told | None:
        return None if _active(world, job) is None else self._for_a_while(world, job)

    def _set_aside(self, world: World, job: int) -> Told | None:
        update = _active(world, job)
        if update is None:
            return None
        random = self._random
        out = [i for i, row in update.rows.items() if row.phase in (Phase.FAILED, Phase.SKIPPED)]
        if out and random.random() < 0.6:
            chosen = random.sample(out, random.randint(1, len(out)))
            return "set_aside", {"what": "retry", "job": job, "which": "active", "instances": sorted(chosen)}
        ids = sorted({*update.initial, *update.desired})
        chosen = random.sample(ids, min(len(ids), random.choice((1, 1, 2))))
        what = random.choice(("skip", "skip", "skip", "skip", "retry"))
        return "set_aside", {"what": what, "job": job, "which": "active", "instances": sorted(chosen)}

    # --- faults ---

    def _cron(self, world: World, job: int) -> Told:
        random = self._random
        cron = random.randrange(len(CRON_JOBS))
        match random.randrange(10):
            case 0:
                return "cron_deschedule", {"cron": cron}
            case 1 | 2 | 3:
                # The first one may wait for the run before it.
                more = random.choice(("cron_deschedule", "cron_start", "cron_start", ""))
                self._follow_ups += [(more, {"cron": cron})] if more else []
                return "cron_start", {"cron": cron}
            case 4:
                return "step_clock", {"by_ms": random.choice((12_000, 70_000))}
        told = {"schedule": random.choice(list(EVERY_MS)), "count": random.randint(1, 3)}
        data = self._version() + random.choice(("", f"-{SHORT}"))
        policy = random.choice((0, 0, 1, 1, 2 if random.random() < 0.2 else 0))
        return "cron_set", {"cron": cron, "data": data, **told, "policy": policy, "new": random.random() < 0.7}

    def _upkeep(self, world: World, job: int) -> Told:
        return fleet_invent.upkeep(self._random, world, self._version().removesuffix("-bad"), self._follow_ups)

    def _instance(self, world: World, job: int) -> Told:
        random = self._random
        update = _active(world, job)
        working = [i for i in update.rows if update.in_progress(i)] if update is not None else []
        if update is not None and update.status in AWAITING and len(working) > 1 and random.random() < 0.5:
            return self._exits(job, working)
        odd = _odd_instances(world, job)
        if odd and random.random() < 0.5:
            working = odd
        instance = random.choice(working) if working and random.random() < 0.7 else random.randrange(INSTANCES)
        for_ms = random.choice((1, 2, 4, 8, 24)) * GRID_MS
        fault = random.choices(_INSTANCE_FAULTS, _INSTANCE_WEIGHTS)[0]
        if not world.node.up and random.random() < 0.5:
            fault = "vanish"
        if fault == "partition, finished":
            for_ms = 2 * GRID_MS
        if fault == "partition, back" and update is None and random.random() < 0.5:
            self._follow_ups.append(("restart", {"job": job, "instances": [instance]}))
        return "instance", {"job": job, "instance": instance, "fault": fault, "for_ms": for_ms}

    def _exits(self, job: int, working: list[int]) -> Told:
        """Several instances exit one after another while their update waits for a heartbeat."""
        crash = {"job": job, "fault": "crash", "for_ms": 0}
        for instance in self._random.sample(working, len(working)):
            self._follow_ups.append(("instance", {**crash, "instance": instance}))
        return self._follow_ups.pop()

    def _surroundings(self, world: World, job: int) -> Told:
        random = self._random
        for_ms = random.choice((500, 2_000, 6_000))
        match random.randrange(9):
            case 0:
                return "host", {"host": random.choice(HOSTS).name, "for_ms": for_ms * 2}
            case 2:
                return "unreachable", {"for_ms": for_ms}
            case 1 | 3 | 4:
                return "slow", {"for_ms": for_ms}
            case 5:
                return "log_fault", {"fault": random.choice(list(Fault)).value}
            case 6:
                return "step_clock", {"by_ms": random.choice((-3_600_000, -5_000, -250, 250, 5_000, 600_000))}
        return self._poison(world, job)

    def _poison(self, world: World, job: int) -> Told:
        update = _active(world, job)
        if update is not None and update.status in AWAITING:
            for instance in filter(update.in_progress, update.rows):
                fault = {"job": job, "instance": instance, "fault": "crash", "for_ms": 0}
                self._follow_ups.append(("instance", fault))
            return "poison", {"job": job, "calls": 0}
        return "poison", {"job": job, "calls": self._random.randint(0, 12)}


_ODD: Final = frozenset(
    {TaskStatus.RESTARTING, TaskStatus.KILLING, TaskStatus.PARTITIONED, TaskStatus.ASSIGNED, TaskStatus.STARTING}
)
_INSTANCE_FAULTS: Final = (
    *("crash", "exit", "stray kill", "lost", "vanish", "repeat"),
    *("hang assigned", "hang starting", "flap", "deaf"),
    *("partition, back", "partition, lost", "partition, failed", "partition, finished"),
)
_INSTANCE_WEIGHTS: Final = (6, 3, 2, 2, 1, 1, 1, 1, 2, 1, 3, 1, 1, 3)
_OBJECTIONS: Final = ("WAIT", "WAIT", "WAIT", "PAUSE", "ROLL_BACK", "ABORT")
_WEIGHTS: Final = (
    (Inventor._create, 12),
    (Inventor._start, 14),
    (Inventor._change, 10),
    (Inventor._touch_tasks, 5),
    (Inventor._read, 3),
    (Inventor._nonsense, 1),
    (Inventor._pulse, 3),
    (Inventor._mood, 7),
    (Inventor._say, 4),
    (Inventor._while, 3),
    (Inventor._set_aside, 4),
    (Inventor._instance, 22),
    (Inventor._surroundings, 6),
)


def _ask(what: str, job: int) -> Told:
    return "change", {"what": what, "job": job, "which": "active"}


def _is_poisonable(world: World, job: int) -> bool:
    """Does its update wait for a heartbeat with something in progress, and raises not yet?"""
    update = _active(world, job)
    if update is None or update.status not in AWAITING or update.key in world.poisons:
        return False
    return any(map(update.in_progress, update.rows))


def _rolling_back(world: World) -> list[int]:
    return [number for number in range(len(JOBS)) if (row := _active(world, number)) is not None and row.back]


def _odd_instances(world: World, job: int) -> list[int]:
    """Instances in states that do not last, where something else may well go wrong too."""
    if world.witness is None:
        return []
    active = world.witness.controller.state.tasks.active.get(JOBS[job], {})
    return [instance for instance, task in active.items() if task.status in _ODD]


def _has_tasks(world: World, job: int) -> bool:
    witness = world.witness
    return witness is None or JOBS[job] in witness.controller.state.tasks.active


def _active(world: World, job: int) -> UpdateRow | None:
    return world.durable.active.get(JOBS[job])
