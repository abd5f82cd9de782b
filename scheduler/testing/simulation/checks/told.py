"""Was what callers were told true, over the whole run? By the checker that judges real processes too.

Its rules need the whole history: what was pruned from the state is kept here. Left out is the rule that a pause ends by
a call only: here monitors and timers end them, which `causes.py` looks at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import define, field

from scheduler.contracts import Entry
from scheduler.core import ops
from scheduler.core.updates.records import UpdateEvent, UpdateKey
from scheduler.testing.history import Call, Heard, History, Kind, UpdateEventRow, UpdateRow, World as Found, check
from scheduler.testing.history.records import FOREVER, in_words
from scheduler.testing.simulation.broken import Broken
from scheduler.testing.simulation.checks.base import Check, Witness
from scheduler.testing.simulation.clients import Fate, Request

if TYPE_CHECKING:
    from scheduler.testing.simulation.world import World

KINDS: Final = {
    "start": Kind.START_UPDATE,
    "pause": Kind.PAUSE_UPDATE,
    "resume": Kind.RESUME_UPDATE,
    "abort": Kind.ABORT_UPDATE,
    "rollback": Kind.ROLL_BACK_UPDATE,
}
_HEARD: Final = {
    Fate.ACKNOWLEDGED: Heard.ACKNOWLEDGED,
    Fate.REFUSED: Heard.REFUSED,
    Fate.NOTHING: Heard.REFUSED,
    Fate.UNKNOWN: Heard.UNKNOWN,
}
_LEFT_OUT: Final = "unasked"


@define(eq=False)
class _Update:
    key: UpdateKey
    mark: str
    """Which attempts at a start share."""
    events: list[UpdateEvent] = field(factory=list)


class Told(Check):
    """Calls on updates, by token; and every update that ever was in the log."""

    rule = "what callers were told"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._began: dict[int, int] = {}
        self._calls: dict[int, Call] = {}
        self._updates: dict[UpdateKey, _Update] = {}

    def asked(self, witness: Witness | None, request: Request) -> None:
        self._began[request.number] = self.world.agenda.now_ms

    def answered(self, request: Request) -> None:
        kind = KINDS.get(request.what)
        began_ms = self._began.pop(request.number, None)
        if kind is None or began_ms is None:
            return
        token, job, update = request.token, "", ""
        if kind is Kind.START_UPDATE:
            if not request.args[0].metadata:
                return
            token, job = request.args[0].metadata[0].value, str(request.args[0].task_config.job)
        else:
            update, job = str(request.args[0]), str(request.args[0].job)
        heard = _HEARD[request.fate]
        ended = FOREVER if heard is Heard.UNKNOWN else self.world.agenda.now_ms
        did_nothing = request.decision is None or not request.decision.ops
        self._calls[request.number] = Call(
            token, kind, job, began_ms, heard, ended, update, no_effect=heard is Heard.ACKNOWLEDGED and did_nothing
        )

    def durable(self, entry: Entry) -> None:
        for op in entry.ops:
            if isinstance(op, ops.StartUpdate):
                mark = op.metadata[0].value if op.metadata else ""
                self._updates[op.key] = _Update(op.key, mark, [op.event])
            elif isinstance(op, ops.MoveUpdate):
                self._updates[op.key].events.append(op.event)

    def healed(self) -> None:
        poisoned = {str(key) for key in self.world.poisons}
        calls = tuple(call for call in self._calls.values() if call.update not in poisoned)
        tokens = {call.token for call in calls}
        rows = [self._row(one, tokens) for one in self._updates.values() if str(one.key) not in poisoned]
        marks = {one.mark for one in self._updates.values() if str(one.key) in poisoned}
        known = History(tuple(call for call in calls if call.token not in marks))
        for violation in check(known, Found((), rows)):
            if violation.rule != _LEFT_OUT:
                raise Broken(self.rule, str(violation))

    def _row(self, one: _Update, tokens: set[str]) -> UpdateRow:
        first, *others = one.events
        events = [UpdateEventRow(first.timestamp_ms, first.status, in_words(one.mark))]
        for event in others:
            message = in_words(event.message) if event.message in tokens else None
            events.append(UpdateEventRow(event.timestamp_ms, event.status, message))
        status = one.events[-1].status
        return UpdateRow(str(one.key), str(one.key.job), status, one.mark, one.mark, tuple(events))
