"""What a caller is told is so: in the log, for good, and told by a leader whose state is complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scheduler.core import ops
from scheduler.core.answers import Code
from scheduler.core.queries import PulseAnswer, StartedUpdate, UpdateDetails
from scheduler.core.records import Metadata
from scheduler.core.updates.records import UpdateKey, UpdateStatus
from scheduler.testing.simulation.broken import Broken
from scheduler.testing.simulation.checks.base import Check, Witness
from scheduler.testing.simulation.clients import Fate, Request, started_key
from scheduler.testing.simulation.ledger import ENDED, UpdateRow

if TYPE_CHECKING:
    from scheduler.testing.simulation.world import World

_CHANGES = frozenset({"pause", "resume", "abort", "rollback", "pause_for", "override", "retry", "skip"})
"""What people do to an update: who and why must be on its record."""


class Answers(Check):
    rule = "answers"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._refused: set[str] = set()
        self._ended: set[UpdateKey] = set()
        self._marked: dict[tuple[Metadata, ...], UpdateKey] = {}

    def asked(self, witness: Witness | None, request: Request) -> None:
        assert request.answer is not None
        if (witness is None or not witness.leads) and request.answer.code is not Code.ERROR_TRANSIENT:
            raise Broken("answers need a leader", f"{request.what} was answered {request.answer} and nobody leads")

        result = request.answer.result
        if witness is not None and isinstance(result, StartedUpdate):
            self._started(witness, request, result)

    def _started(self, witness: Witness, request: Request, result: StartedUpdate) -> None:
        """A start tried again finds the update it began, told by the mark that its caller put on it."""
        mark = request.args[0].metadata
        active = witness.ledger.active.get(result.key.job)
        if result.running is None:
            other = self._marked.get(mark)
            if other is not None and active is not None and other == active.key != result.key:
                raise Broken("same call, same update", f"{result.key} was started beside {other} by the same call")
            self._marked[mark] = result.key
        elif active is None or result.key != active.key:
            raise Broken("same call, same update", f"{result.key} is told to be active, and is not")
        elif result.metadata == mark and self._marked.get(mark, result.key) != result.key:
            raise Broken("same call, same update", f"the caller of {self._marked[mark]} is told of {result.key}")

    def answered(self, request: Request) -> None:
        if request.fate is Fate.REFUSED or request.fate is Fate.NOTHING:
            self._refused.add(request.token)
        if request.fate is not Fate.ACKNOWLEDGED or request.answer is None:
            return
        result = request.answer.result
        if isinstance(result, PulseAnswer):
            self._beat(request, result)
        elif isinstance(result, UpdateDetails):
            self._read(request, result)
        elif request.what in _CHANGES or isinstance(result, StartedUpdate):
            self._changed(request)

    def _beat(self, request: Request, result: PulseAnswer) -> None:
        key = request.args[0]
        update = self.world.durable.updates.get(key)
        if result.finished and update is not None and update.timeout_ms and update.status not in ENDED:
            raise Broken("FINISHED is true", f"the monitor of {key} was told FINISHED; it is {update.status.name}")
        if not result.finished and update is None:
            raise Broken(self.rule, f"the monitor of {key} was told OK, and the log does not know the update")

    def _read(self, request: Request, result: UpdateDetails) -> None:
        for seen in result.updates:
            update = self.world.durable.updates.get(seen.key)
            if update is None:
                continue  # forgotten since
            events, instances = list(seen.events), list(seen.instance_events)
            if update.events[: len(events)] != events or update.instance_events[: len(instances)] != instances:
                raise Broken("seen is durable", f"{seen.key} was shown with a history the log does not have")

    def _changed(self, request: Request) -> None:
        if request.decision is None or not request.decision.ops:
            return
        key = started_key(request) or request.args[0]
        update = self.world.durable.updates.get(key)
        if update is not None and update.status is UpdateStatus.ERROR:
            return  # it raised instead, and was ended alone
        notes_only = all(isinstance(op, ops.AnnotateUpdate) for op in request.decision.ops)
        if notes_only and self.world.format_level_of(request.epoch) < ops.SINCE[ops.RecordRemark]:
            return  # it is kept as long as it holds, and older schedulers could not read a record of it
        if update is None or not update.tells_of(request.token):
            raise Broken("acknowledged survives", f"{request.what} of {key} was acknowledged; the log has no trace")

    def swept(self, witness: Witness) -> None:
        for update in witness.ledger.updates.values():
            self._sweep(update)

    def _sweep(self, update: UpdateRow) -> None:
        if update.key in self._ended:
            return
        for event in update.events:
            if event.message in self._refused:
                raise Broken("a refusal has no effect", f"{update.key} shows {event.message}, which was refused")
        if update.status in ENDED:
            self._ended.add(update.key)
