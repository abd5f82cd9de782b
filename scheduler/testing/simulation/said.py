"""What monitors and people have said of an update beside its history, as the specification has it.

Worked out from the calls alone, apart from the core's own notes, so that the checks can compare the two. Source of the
rules: `docs/monitors.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import evolve, frozen

from scheduler.core.queries import PulseAnswer
from scheduler.core.transaction import DeadlineKind
from scheduler.core.updates.records import UpdateKey, UpdateStatus
from scheduler.core.updates.standing import Standing
from scheduler.core.updates.verdicts import Heartbeat, MonitorVerdict as V
from scheduler.testing.simulation.ledger import PAUSED, UpdateRow
from scheduler.testing.simulation.watched import Decision


@frozen
class Said:
    held: bool = False
    """A monitor said WAIT, and not yet PROCEED often enough."""
    override_until_ms: int | None = None
    """Until when a person answers for it in the monitor's place."""
    pause_until_ms: int | None = None
    """When its hard pause ends by itself."""

    def is_overridden(self, now_ms: int) -> bool:
        return self.override_until_ms is not None and now_ms < self.override_until_ms


NOTHING_SAID: Final = Said()


def heartbeats(decision: Decision) -> Iterator[tuple[UpdateKey, V]]:
    """The heartbeats in a decision that were not refused."""
    result = decision.answer.result
    if decision.name == "pulse":
        if isinstance(result, PulseAnswer) and not result.finished:
            yield decision.args[0], V.PROCEED
    elif decision.name == "heartbeat":
        yield from _taken(decision.args[0], result)
    elif decision.name == "heartbeats":
        for told, answer in zip(decision.args[0], getattr(result, "answers", ()), strict=False):
            yield from _taken(told, answer.result)


def _taken(told: Heartbeat, result: object) -> Iterator[tuple[UpdateKey, V]]:
    if isinstance(result, Standing):
        yield told.key, told.verdict


def cause(decision: Decision, key: UpdateKey) -> str | None:
    """What in a decision may have moved this update; None: it is about another one."""
    name = decision.name
    if name in ("pulse", "heartbeat", "heartbeats"):
        found = dict(heartbeats(decision)).get(key)
        return None if found is None else "pulse" if found is V.PROCEED else f"monitor {found.name}"
    if name == "reached":
        kind, about = decision.args[0]
        if kind in (DeadlineKind.RESUME, DeadlineKind.OVERRIDE, DeadlineKind.PROGRESS):
            return f"{kind.value} due" if about == key else None
        return "reached"
    if name in ABOUT_ONE and decision.args[0] != key:
        return None
    return name


ABOUT_ONE: Final = frozenset({"pause", "resume", "abort", "rollback", "pause_for", "override", "retry", "skip"})


def after_verdict(said: Said, update: UpdateRow, verdict: V, streak: int) -> Said:
    """`streak`: PROCEEDs in a row, this one with them."""
    if verdict is V.PROCEED:
        return evolve(said, held=said.held and streak < update.proceeds_needed)
    if verdict is V.WAIT:
        return evolve(said, held=True)
    if verdict is V.PAUSE:
        return evolve(said, held=False, pause_until_ms=None)  # a pause no longer ends by itself
    if verdict is V.ROLL_BACK and update.status is not UpdateStatus.ROLL_BACK_PAUSED:
        return evolve(said, held=False)
    return said


def after_request(said: Said, decision: Decision) -> Said:
    """The same for what people ask."""
    if decision.name == "pause":
        return evolve(said, pause_until_ms=None)
    if decision.name in ("pause_for", "override"):
        duration_ms = decision.args[1]
        until_ms = decision.now_ms + duration_ms if duration_ms else None
        if decision.name == "override":
            return evolve(said, override_until_ms=until_ms)
        return evolve(said, pause_until_ms=until_ms)
    return said


def after_turn(said: Said, update: UpdateRow, *, was_back: bool) -> Said:
    """What is left when it comes to another status."""
    if update.goes_back_unwatched and not was_back:
        said = evolve(said, held=False)
    return said if update.status in PAUSED else evolve(said, pause_until_ms=None)
