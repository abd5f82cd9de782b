"""Poison: an update whose evaluation raises. Put into its derived plan, which the core asks at every look."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, frozen

from scheduler.core.records import TaskConfig
from scheduler.core.updates.plan import Plan

BLOWN = "poisoned by the simulator"


@define(eq=False)
class Fuse:
    """Lets `calls` evaluations pass, then raises at each."""

    calls: int
    blew: bool = False
    """Has it raised since somebody last looked?"""

    def burn(self) -> None:
        self.calls -= 1
        if self.calls < 0:
            self.blew = True
            raise RuntimeError(BLOWN)


@frozen(eq=False)
class PoisonedPlan(Plan):
    burn: Callable[[], None]

    def target(self, instance: int, *, back: bool) -> TaskConfig | None:
        self.burn()
        return (self.initial if back else self.desired).get(instance)


def poisoned(plan: Plan, fuse: Fuse) -> PoisonedPlan:
    return PoisonedPlan(plan.forward_order, plan.back_order, plan.initial, plan.desired, fuse.burn)
