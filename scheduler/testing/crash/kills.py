"""The killer: when and where the scheduler dies, and what was seen just after.

A plan is drawn from the seed. Of ten kills five are at failpoints, one of each kind of place; four come at a random
moment of the work, and one while the scheduler takes over.
"""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import Final

from attrs import define, field, frozen

from scheduler.testing.cluster import DidNotStart, Scheduler
from scheduler.testing.leftovers import belonging_to

__all__ = ["INSIDE_A_COMMIT", "Kill", "Killer", "Planned", "plan"]

PLACES: Final = (
    ("after-decide", "before-append"),
    ("after-append", "after-commit"),
    ("before-effect",),
    ("engine-made",),
    ("engine-spawned",),
)
"""Failpoints by where they stand: before the commit, between commit and reply, before an effect, twice in a launch."""

INSIDE_A_COMMIT: Final = frozenset({"after-decide", "before-append", "after-append", "after-commit"})
"""Between a decision and the reply that tells of it."""

_PASSES: Final = {"before-effect": (4, 20), "engine-made": (3, 10), "engine-spawned": (3, 10)}
"""At the how-many-eth time such a failpoint stops the scheduler: orders to the engine are rarer than commits."""
_COMMITS: Final = (10, 80)

_LEAST_WORK_S: Final = 0.4
_PATIENCE_S: Final = 1.5
"""How much longer than planned a failpoint is waited for, before the scheduler is killed wherever it is."""


@frozen
class Planned:
    """One kill to come: at `failpoint`, or after a share of the time there is, or while it takes over."""

    failpoint: str | None = None
    share: float = 1.0
    taking_over: bool = False


def plan(kills: int, random: Random) -> Iterator[Planned]:
    """So many kills, in blocks of ten, each block in an order of its own."""
    block: list[Planned] = []
    for _ in range(kills):
        if not block:
            block = [Planned(_at(random.choice(places), random)) for places in PLACES]
            block += [Planned(share=random.uniform(0.4, 1.0)) for _ in range(4)]
            block.append(Planned(share=random.uniform(0.2, 0.6), taking_over=True))
            random.shuffle(block)
        yield block.pop()


def _at(place: str, random: Random) -> str:
    """With `linger` every second time: the scheduler's other threads have 0.3 s to do what they may not yet do."""
    return f"{place}:{random.randint(*_PASSES.get(place, _COMMITS))}:{random.choice(('kill', 'linger'))}"


@frozen
class Kill:
    """One death of the scheduler. `at` is the recorder's clock."""

    at: float
    how: str
    failpoint: str | None = None
    """Its name, if it was reached."""


@define
class Killer:
    """Kills one scheduler as planned, and starts it again each time."""

    scheduler: Scheduler
    say: Callable[[str], None]
    kills: list[Kill] = field(factory=list)
    doubles: list[str] = field(factory=list)
    """Instances seen with more than one living task, just after a kill."""

    def run(self, planned: list[Planned], *, until: float) -> None:
        """All of `planned`, evenly over the time until `until` (monotonic seconds), then one more life."""
        for number, one in enumerate(planned):
            began = time.monotonic()
            left_s = max(0.0, until - began) / (len(planned) - number)
            if one.taking_over:
                self._die_taking_over(one)
            else:
                self._die_at_work(one, until=began + max(_LEAST_WORK_S, left_s))
            self._look()
        self.scheduler.start()

    def _die_at_work(self, one: Planned, *, until: float) -> None:
        how = "at random"
        failpoint = one.failpoint
        if self._lead(failpoint):
            work_s = max(_LEAST_WORK_S, until - time.monotonic())
            try:
                self.scheduler.wait_for_end(work_s * one.share + (_PATIENCE_S if failpoint else 0))
            except subprocess.TimeoutExpired:
                self.scheduler.kill()
                how, failpoint = (f"at random, {failpoint} was not reached" if failpoint else how), None
        if failpoint is not None:
            how = f"at {failpoint}"
        self._note(how, failpoint)

    def _lead(self, failpoint: str | None) -> bool:
        """Start it. False: it died before it led, as it may where it is to stop."""
        try:
            self.scheduler.start(failpoint=failpoint)
        except DidNotStart:
            if failpoint is None or self.scheduler.exit_status != -9:
                raise
            return False
        return True

    def _die_taking_over(self, one: Planned) -> None:
        self.scheduler.start(wait=False)
        time.sleep(one.share)
        self.scheduler.kill()
        self._note(f"{one.share:.2f} s after its start", None)

    def _note(self, how: str, failpoint: str | None) -> None:
        status = self.scheduler.exit_status
        if status != -9:
            raise RuntimeError(f"the scheduler ended by itself, with {status}:\n{self.scheduler.last_words()}")
        name = None if failpoint is None else failpoint.partition(":")[0]
        self.kills.append(Kill(time.monotonic(), how, name))
        self.say(f"kill {len(self.kills)}: {how}")

    def _look(self) -> None:
        """With nobody there to launch or to kill, no instance has two tasks that live."""
        living = {process.task_id for process in belonging_to(self.scheduler.folder) if process.task_id is not None}
        # A task id is the job, the instance and 36 characters that make it unique.
        for instance, count in Counter(task_id[:-37] for task_id in living).items():
            if count > 1:
                self.doubles.append(f"{instance} had {count} living tasks after kill {len(self.kills)}")
