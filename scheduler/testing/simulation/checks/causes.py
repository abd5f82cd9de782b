"""Every change of an update's status is one the specification lists, and was brought about by something that may.

A hard pause is lifted by a person only, a soft one by a heartbeat (or a person's rollback, abort or pause). The table
here is written from the specification, not from the code. Also: one active update a job, time never goes back.
"""

from __future__ import annotations

from typing import Final

from scheduler.core.ops import Op
from scheduler.core.updates.records import UpdateStatus as U
from scheduler.testing.simulation.broken import Broken
from scheduler.testing.simulation.checks.base import Check, Witness
from scheduler.testing.simulation.ledger import ENDED, Acted, Change, Moved, Started, Turned
from scheduler.testing.simulation.watched import Decision

RF, RB = U.ROLLING_FORWARD, U.ROLLING_BACK
RFP, RBP = U.ROLL_FORWARD_PAUSED, U.ROLL_BACK_PAUSED
RFA, RBA = U.ROLL_FORWARD_AWAITING_PULSE, U.ROLL_BACK_AWAITING_PULSE

_LOOKS: Final = frozenset(
    {"start", "resume", "rollback", "pulse", "begin_epoch", "reached", "take_reports", "reconcile", "pass_once"}
)
"""Decisions in which an update may think."""
AUTO_PAUSED: Final = "Update auto paused"

_CAUSES: Final[dict[tuple[U, U], frozenset[str]]] = {
    (RF, RB): _LOOKS,
    (RF, RFP): frozenset({"pause"}),
    (RF, RFA): _LOOKS - {"pulse"},
    (RF, U.ROLLED_FORWARD): _LOOKS,
    (RF, U.FAILED): _LOOKS,
    (RB, RBP): frozenset({"pause"}),
    (RB, RBA): _LOOKS - {"pulse"},
    (RB, U.ROLLED_BACK): _LOOKS,
    (RB, U.FAILED): _LOOKS,
    (RFP, RF): frozenset({"resume"}),
    (RFP, RB): frozenset({"rollback"}),
    (RFP, RFA): frozenset({"resume"}),
    (RBP, RB): frozenset({"resume", "rollback"}),
    (RBP, RBA): frozenset({"resume"}),
    (RFA, RF): frozenset({"pulse"}),
    (RFA, RB): frozenset({"rollback"}),
    (RFA, RFP): frozenset({"pause"}),
    (RBA, RB): frozenset({"pulse", "rollback"}),
    (RBA, RBP): frozenset({"pause"}),
    **{(status, U.ABORTED): frozenset({"abort"}) for status in (RF, RB, RFP, RBP, RFA, RBA)},
    # An error needs an update that was made to raise; checks/poison.py asks which.
    **{(status, U.ERROR): _LOOKS for status in (RF, RB, RFP, RBP, RFA, RBA)},
}
_ABOUT_ONE: Final = frozenset({"pause", "resume", "abort", "rollback", "pulse"})


class Causes(Check):
    rule = "causes"

    def changed(self, witness: Witness, decision: Decision, op: Op, change: Change) -> None:
        if isinstance(change, Turned):
            self._turned(decision, change)
        elif isinstance(change, Started):
            first = RFA if change.update.timeout_ms else RF
            if change.update.status is not first:
                raise Broken(self.rule, f"{change.update.key} begins with {change.update.status.name}")
            self._one_active(witness, change)
        elif isinstance(change, Acted):
            self._time(change.update.key, change.old_ms, change.event.timestamp_ms)
        elif isinstance(change, Moved):
            self._time(change.task.task_id, change.old_ms, change.task.last_ms)

    def _turned(self, decision: Decision, change: Turned) -> None:
        update, event = change.update, change.update.events[-1]
        self._time(update.key, change.old_ms, event.timestamp_ms)
        causes = _CAUSES.get((change.old, event.status))
        turn = f"{update.key}: {change.old.name} -> {event.status.name}"
        if causes is None:
            raise Broken("transitions", f"{turn} is not in the specification")
        auto = event.status is RFP and event.user is None and event.message == AUTO_PAUSED
        if auto and not getattr(update.settings.strategy, "autopause_after_batch", False):
            raise Broken(self.rule, f"{turn}: auto-paused, and nobody asked for that")
        if decision.name not in (_LOOKS if auto else causes):
            raise Broken(self.rule, f"{turn} by {decision.name}")
        if decision.name in _ABOUT_ONE and decision.args[0] != update.key:
            raise Broken(self.rule, f"{turn} by a {decision.name} of {decision.args[0]}")

    def _time(self, whose: object, old_ms: int, new_ms: int) -> None:
        if new_ms < old_ms:
            raise Broken("time", f"{whose}: its history goes back from {old_ms} to {new_ms}")

    def _one_active(self, witness: Witness, change: Started) -> None:
        rows = witness.ledger.updates.values()
        active = [row.key for row in rows if row.key.job == change.update.key.job and row.status not in ENDED]
        if len(active) > 1:
            raise Broken("one active update", f"{active[0].job} has {len(active)}")
