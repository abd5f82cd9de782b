"""What was said of an update is kept as long as it holds: a WAIT, an override, a pause that ends by itself.

`said.py` works it out from the calls; here it is compared with what is noted. What was said and was durable survives
the scheduler; what was not is forgotten. An override and a timed pause end when they said, and not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import evolve

from scheduler.core.ops import Op
from scheduler.core.updates.records import UpdateKey
from scheduler.core.updates.verdicts import MonitorVerdict as V
from scheduler.testing.simulation.broken import Broken
from scheduler.testing.simulation.checks.base import Check, Witness
from scheduler.testing.simulation.ledger import AWAITING, BACK, ENDED, PAUSED, ROLLING, Change, Noted, Turned, UpdateRow
from scheduler.testing.simulation.said import (
    ABOUT_ONE,
    Said,
    after_request,
    after_turn,
    after_verdict,
    cause,
    heartbeats,
)
from scheduler.testing.simulation.watched import Decision

if TYPE_CHECKING:
    from scheduler.testing.simulation.world import World

_TIMED_OUT: Final = "Pulses from external service have timed out."


class Words(Check):
    """Comes first: the others ask what it has worked out."""

    rule = "what was said is kept"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._durable: dict[UpdateKey, Said] = {}
        self._pending: list[tuple[int, UpdateKey, Said]] = []
        """Said to the scheduler that lives, and from which offset on it is durable."""
        self._touched: dict[UpdateKey, UpdateRow] = {}
        self._streaks: dict[UpdateKey, int] = {}
        self._lifted_by_enough: set[UpdateKey] = set()
        self._first_heard: set[UpdateKey] = set()
        """Of which this scheduler hears for the first time in this decision."""

    def loaded(self, witness: Witness) -> None:
        for offset, key, said in self._pending:
            if offset <= self.world.store.durable:
                self._durable[key] = said
        self._pending.clear()
        self._streaks.clear()
        ledger = witness.ledger
        self._durable = {
            key: said
            for key, said in self._durable.items()
            if key in ledger.updates and ledger.updates[key].status not in ENDED
        }
        witness.said = dict(self._durable)

    def deciding(self, witness: Witness, decision: Decision) -> None:
        self._touched.clear()
        self._lifted_by_enough.clear()
        self._first_heard.clear()
        if decision.name == "begin_epoch":
            self._take_over(witness, decision)
        if not decision.answer.ok:
            return
        for key, verdict in heartbeats(decision):
            self._heard(witness, decision, key, verdict)
        if decision.name in ABOUT_ONE:
            update = witness.ledger.updates.get(decision.args[0])
            if update is not None and update.status not in ENDED:
                self._say(witness, update, after_request(witness.said_of(update.key), decision))
                self.world.coverage.note("said", _called(decision))

    def _take_over(self, witness: Witness, decision: Decision) -> None:
        for update in witness.ledger.active.values():
            said = witness.said_of(update.key)
            self._touched[update.key] = update
            kept = {"a WAIT": said.held, "an override": said.override_until_ms, "a timed pause": said.pause_until_ms}
            for what in filter(kept.get, kept):
                self.world.coverage.note("said", f"{what}, then a restart")
            if self.world.policy.infer_heartbeats and update.timeout_ms and update.status not in AWAITING:
                # Aurora's rule: the newest change of status counts as a heartbeat, unless it was the lack of one.
                age_ms = max(0, decision.now_ms - update.events[-1].timestamp_ms)
                witness.beats[update.key] = decision.mono_ms - age_ms

    def _heard(self, witness: Witness, decision: Decision, key: UpdateKey, verdict: V) -> None:
        update = witness.ledger.updates.get(key)
        if update is None or update.status in ENDED:
            return
        before_ms = witness.beats.get(key)
        if before_ms is None:
            self._first_heard.add(key)
        witness.beats[key] = decision.mono_ms
        condition = "paused" if update.status in PAUSED else "rolling" if update.status in ROLLING else "awaiting"
        self.world.coverage.note("verdict", f"{verdict.name} while {condition}")
        streak = 0
        if verdict is V.PROCEED:
            gap = before_ms is None or 0 < update.timeout_ms <= decision.mono_ms - before_ms
            streak = 1 if gap else self._streaks.get(key, 0) + 1
        said = after_verdict(witness.said_of(key), update, verdict, streak)
        if streak >= update.proceeds_needed:
            self._lifted_by_enough.add(key)
        was_held = witness.said_of(key).held
        if was_held and said.is_overridden(decision.now_ms):
            self.world.coverage.note("said", "a WAIT under an override")
        if was_held and not said.held and verdict is V.PROCEED and update.proceeds_needed > 1:
            self.world.coverage.note("said", "several PROCEEDs in a row")
        self._streaks[key] = 0 if was_held and not said.held else streak
        self._say(witness, update, said)

    def _say(self, witness: Witness, update: UpdateRow, said: Said) -> None:
        witness.said[update.key] = said
        self._touched[update.key] = update

    def changed(self, witness: Witness, decision: Decision, op: Op, change: Change) -> None:
        if isinstance(change, Noted):
            self._touched[change.update.key] = change.update
        elif isinstance(change, Turned):
            self._turned(witness, decision, change)

    def _turned(self, witness: Witness, decision: Decision, change: Turned) -> None:
        update = change.update
        said = witness.said_of(update.key)
        why = cause(decision, update.key)
        where = f"{update.key}: {change.old.name} -> {update.status.name}"
        if update.status in AWAITING and said.is_overridden(decision.now_ms):
            raise Broken("override holds", f"{where}, and its override ends at {said.override_until_ms}")
        if (
            why == "resume due"
            and change.old in PAUSED
            and (said.pause_until_ms is None or decision.now_ms < said.pause_until_ms)
        ):
            raise Broken("a pause holds", f"{where} by a timer, and its pause ends at {said.pause_until_ms}")
        wanted_several = said.held or update.key not in self._first_heard or _has_stopped(update)
        if why == "pulse" and change.old in AWAITING and wanted_several and update.key not in self._lifted_by_enough:
            raise Broken("several in a row", f"{where} by fewer PROCEEDs than the {update.proceeds_needed} it wants")
        if why is not None and why.endswith(" due"):
            self.world.coverage.note("said", f"{why}: {update.status.name}")
        elif why == "override":
            self.world.coverage.note("said", f"override: {update.status.name}")
        if update.status in ENDED:
            witness.said.pop(update.key, None)
            self._touched.pop(update.key, None)
            return
        if update.goes_back_unwatched and update.status in ROLLING and not witness.is_fresh(update, decision.mono_ms):
            self.world.coverage.note("said", "back without heartbeats")
        said = after_turn(said, update, was_back=change.old in BACK)
        if update.status in AWAITING:
            said = evolve(said, override_until_ms=None)
        self._say(witness, update, said)

    def decided(self, witness: Witness, decision: Decision) -> None:
        for key, update in self._touched.items():
            if update.status in ENDED:
                continue
            said = witness.said_of(key)
            self._compare(update, said, decision)
            if said.override_until_ms is not None and update.notes.override is None:
                said = witness.said[key] = evolve(said, override_until_ms=None)
            self._pending.append((decision.offset, key, said))

    def _compare(self, update: UpdateRow, said: Said, decision: Decision) -> None:
        notes = update.notes
        if said.held and notes.hold is None:
            raise Broken(self.rule, f"{update.key}: the monitor said WAIT, and nothing of it is left ({decision.name})")
        noted_ms = None if notes.override is None else notes.override.until_ms
        if noted_ms != said.override_until_ms and (noted_ms is not None or said.is_overridden(decision.now_ms)):
            raise Broken(self.rule, f"{update.key}: override until {said.override_until_ms}, noted is {noted_ms}")
        paused_ms = None if notes.pause is None else notes.pause.until_ms or None
        if paused_ms != said.pause_until_ms:
            raise Broken(self.rule, f"{update.key}: paused until {said.pause_until_ms}, noted is {paused_ms}")

    def swept(self, witness: Witness) -> None:
        for update in witness.ledger.active.values():
            said = witness.said_of(update.key)
            if update.status in ROLLING and said.held and said.override_until_ms is None:
                raise Broken("a WAIT holds", f"{update.key} is {update.status.name}, and its monitor said WAIT")


def _has_stopped(update: UpdateRow) -> bool:
    """Had it rolled, and was silence what brought it to where it waited until now?"""
    if len(update.events) < 3:
        return False
    rolled, blocked, _ = update.events[-3:]
    return blocked.message == _TIMED_OUT and rolled.timestamp_ms < blocked.timestamp_ms


def _called(decision: Decision) -> str:
    if decision.name == "override":
        return "override until a time" if decision.args[1] else "override ended by a person"
    return decision.name
