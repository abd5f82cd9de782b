"""Exits of instances in progress are counted once each, kept through pauses and take-overs, and weighed in order.

The count is made from the tasks' ends in `ledger.py`. An exit counts while the update rolls or waits for a heartbeat,
not while a person has paused it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from scheduler.core.ops import Op
from scheduler.core.updates.records import InstanceAction, Phase
from scheduler.testing.simulation.broken import Broken
from scheduler.testing.simulation.checks.base import Check, Witness
from scheduler.testing.simulation.ledger import ENDED, ROLLING, Acted, Change, Progressed, Turned, UpdateRow
from scheduler.testing.simulation.said import heartbeats
from scheduler.testing.simulation.watched import Decision

if TYPE_CHECKING:
    from scheduler.testing.simulation.world import World

LEFT_OUT = "Left out by"
_FAILED = (InstanceAction.INSTANCE_UPDATE_FAILED, InstanceAction.INSTANCE_ROLLBACK_FAILED)


class Exits(Check):
    rule = "exits are counted"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._touched: dict[int, UpdateRow] = {}
        self._failed: list[int] = []
        self._exited: list[int] = []

    def deciding(self, witness: Witness, decision: Decision) -> None:
        self._touched.clear()
        self._failed = []
        self._exited = []
        for key, _ in heartbeats(decision):
            update = witness.ledger.updates.get(key)
            self._exited = list(update.exited) if update is not None else []

    def changed(self, witness: Witness, decision: Decision, op: Op, change: Change) -> None:
        if isinstance(change, (Progressed, Acted, Turned)):
            self._touched[id(change.update)] = change.update
        if isinstance(change, Acted) and change.event.action in _FAILED:
            self._failed.append(change.event.instance_id)

    def decided(self, witness: Witness, decision: Decision) -> None:
        for update in self._touched.values():
            for sentence in wrong_counts(update):
                raise Broken(self.rule, f"{sentence} (after {decision.name})")
        if len(self._failed) > 1 and self._exited:
            last = {instance: at for at, instance in enumerate(self._exited)}
            order = [last[instance] for instance in self._failed if instance in last]
            if order != sorted(order):
                raise Broken("exits in order", f"{decision.args[0]}: {self._failed} failed, {self._exited} exited")

    def swept(self, witness: Witness) -> None:
        for update in witness.ledger.active.values():
            for sentence in wrong_counts(update):
                raise Broken(self.rule, sentence)


def wrong_counts(update: UpdateRow) -> Iterator[str]:
    """What is miscounted of one update."""
    if update.status in ENDED:
        return
    limit = update.settings.max_per_instance_failures
    failed = 0
    for instance, row in update.rows.items():
        failed += row.phase is Phase.FAILED
        counted, seen = row.failures, update.exits.get(instance, 0)
        if row.phase is Phase.WORKING and counted != seen:
            yield f"{update.key}: instance {instance} exited {seen} times, {counted} counted"
        if row.phase is Phase.WORKING and counted > limit and update.status in ROLLING:
            yield f"{update.key}: instance {instance} exited {counted} times, allowed are {limit}, and goes on"
        if row.phase is Phase.FAILED and counted <= limit:
            yield f"{update.key}: instance {instance} failed after {counted} exits, allowed are {limit}"
    recorded = failures_shown(update)
    if failed != recorded:
        yield f"{update.key}: {failed} instances failed, its history says {recorded}"


def failures_shown(update: UpdateRow) -> int:
    """How many instances its history shows as failed: whose last event says so, and not that they were left out."""
    last = {event.instance_id: event for event in update.instance_events}
    action = _FAILED[update.back]
    return sum(event.action is action and not (event.message or "").startswith(LEFT_OUT) for event in last.values())
