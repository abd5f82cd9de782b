"""Every change of an update's status is one the specification lists, and was brought about by something that may.

A hard pause is lifted by a person or its own timer only, a monitor's PAUSE too; a soft one by a heartbeat or an
override (or a rollback, abort or pause). The table
here is written from the specification, not from the code. Also: one active update a job, time never goes back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scheduler.core.ops import Op
from scheduler.core.updates.records import UpdateKey, UpdateStatus as U
from scheduler.testing.simulation.broken import Broken
from scheduler.testing.simulation.checks.base import Check, Witness
from scheduler.testing.simulation.ledger import ENDED, Acted, Change, Moved, Started, Turned
from scheduler.testing.simulation.said import cause
from scheduler.testing.simulation.watched import Decision

if TYPE_CHECKING:
    from scheduler.testing.simulation.world import World

RF, RB = U.ROLLING_FORWARD, U.ROLLING_BACK
RFP, RBP = U.ROLL_FORWARD_PAUSED, U.ROLL_BACK_PAUSED
RFA, RBA = U.ROLL_FORWARD_AWAITING_PULSE, U.ROLL_BACK_AWAITING_PULSE

_LOOKS: Final = frozenset(
    {"start", "resume", "rollback", "pulse", "begin_epoch", "reached", "take_reports", "reconcile", "pass_once"}
    | {"monitor ROLL_BACK", "override", "retry", "skip", "resume due", "progress due", "drain"}
)
"""Causes (see `said.py`) by which an update may think."""
AUTO_PAUSED: Final = "Update auto paused"
_PAUSES: Final = frozenset({"pause", "pause_for", "monitor PAUSE"})
_RESUMES: Final = frozenset({"resume", "resume due"})
_TURNS: Final = frozenset({"rollback", "monitor ROLL_BACK"})
_BLOCKS: Final = (_LOOKS | {"monitor WAIT", "override due"}) - {"pulse"}

_CAUSES: Final[dict[tuple[U, U], frozenset[str]]] = {
    (RF, RB): _LOOKS,
    (RF, RFP): _PAUSES | {"progress due"},
    (RF, RFA): _BLOCKS,
    (RF, U.ROLLED_FORWARD): _LOOKS,
    (RF, U.FAILED): _LOOKS,
    (RB, RBP): _PAUSES | {"progress due"},
    (RB, RBA): _BLOCKS,
    (RB, U.ROLLED_BACK): _LOOKS,
    (RB, U.FAILED): _LOOKS,
    (RFP, RF): _RESUMES,
    (RFP, RB): _TURNS,
    (RFP, RFA): _RESUMES,
    (RBP, RB): _RESUMES | {"rollback"},
    (RBP, RBA): _RESUMES,
    (RFA, RF): frozenset({"pulse", "override"}),
    (RFA, RB): _TURNS,
    (RFA, RFP): _PAUSES,
    (RBA, RB): _TURNS | {"pulse", "override"},
    (RBA, RBP): _PAUSES,
    **{(status, U.ABORTED): frozenset({"abort", "monitor ABORT"}) for status in (RF, RB, RFP, RBP, RFA, RBA)},
    # An error needs an update that was made to raise; checks/poison.py asks which.
    **{(status, U.ERROR): _LOOKS for status in (RF, RB, RFP, RBP, RFA, RBA)},
}


class Causes(Check):
    rule = "causes"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._turned_now: set[UpdateKey] = set()
        """In this decision already: what follows from that at once has no other cause."""

    def deciding(self, witness: Witness, decision: Decision) -> None:
        self._turned_now.clear()

    def changed(self, witness: Witness, decision: Decision, op: Op, change: Change) -> None:
        if isinstance(change, Turned):
            self._turned(decision, change)
            self._turned_now.add(change.update.key)
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
        why = cause(decision, update.key)
        if why is None:
            raise Broken(self.rule, f"{turn} by a {decision.name} of {decision.args[0]}")
        if why not in (_LOOKS if auto else causes):
            raise Broken(self.rule, f"{turn} by {why}")
        if why == "progress due" and update.key not in self._turned_now:
            self._stood_still(decision, change)

    def _stood_still(self, decision: Decision, change: Turned) -> None:
        """The progress deadline acts only when nothing has moved for that long, at least."""
        update = change.update
        secs = update.wishes["thesan.progress_deadline"].removesuffix("s")
        moved_ms = update.instance_events[-1].timestamp_ms if update.instance_events else 0
        if decision.now_ms - moved_ms < int(secs) * 1_000:
            raise Broken("progress", f"{update.key} is at its progress deadline {decision.now_ms - moved_ms} ms after")

    def _time(self, whose: object, old_ms: int, new_ms: int) -> None:
        if new_ms < old_ms:
            raise Broken("time", f"{whose}: its history goes back from {old_ms} to {new_ms}")

    def _one_active(self, witness: Witness, change: Started) -> None:
        rows = witness.ledger.updates.values()
        active = [row.key for row in rows if row.key.job == change.update.key.job and row.status not in ENDED]
        if len(active) > 1:
            raise Broken("one active update", f"{active[0].job} has {len(active)}")
