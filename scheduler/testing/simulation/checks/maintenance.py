"""Hosts that go out of service are emptied in time, whoever leads; what is drained is empty; nothing new comes there.

When a host has to be empty is worked out here from what was asked and announced, on the clock that never jumps, once
for each leader: a new one begins with what the log says and with what the engine offers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from scheduler.core.maintenance.records import Maintenance as Row
from scheduler.core.ops import AssignTask, Op
from scheduler.core.records import ACTIVE_STATES, MaintenanceMode
from scheduler.testing.simulation.broken import Broken
from scheduler.testing.simulation.checks.base import Check, Witness
from scheduler.testing.simulation.fleet import has_fleet
from scheduler.testing.simulation.ledger import END_ASKED, Begun, Change, Maintained, Moved, TaskRow
from scheduler.testing.simulation.watched import Decision

if TYPE_CHECKING:
    from scheduler.testing.simulation.world import World

_CLOSED = frozenset({MaintenanceMode.DRAINING, MaintenanceMode.DRAINED})


class Maintenance(Check):
    rule = "drained is empty"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._plays = has_fleet(world.seed)
        self._drains: dict[str, int] = {}
        """When drains are over, whatever the SLA: from then on the end of everything there has been asked for."""
        self._leaves: dict[str, tuple[int, int]] = {}
        """What a host announced, and when the same has to be so because of that."""
        self._ends: dict[str, int] = {}
        """When a task whose end was asked for has ended, or is lost."""
        self._look_ms: int | None = None
        self._begun_ms = 0

    def loaded(self, witness: Witness) -> None:
        self._drains, self._leaves, self._ends = {}, {}, {}
        self._look_ms = None

    # --- what there is to keep ---

    def changed(self, witness: Witness, decision: Decision, op: Op, change: Change) -> None:
        if not self._plays:
            return
        if isinstance(change, Begun):
            self._begun_ms = decision.now_ms
            for row in witness.ledger.maintenance.values():
                self._asked(decision, row, taken_over=True)
            for task in witness.ledger.tasks.values():
                self._is_to_end(decision, task)
        elif isinstance(change, Maintained):
            self._asked(decision, change.row)
            self._tell(decision, change)
            if change.row.mode is MaintenanceMode.DRAINED:
                self._must_be_empty(witness, change.row.host)
        elif isinstance(change, Moved):
            self._is_to_end(decision, change.task)

    def _asked(self, decision: Decision, row: Row, *, taken_over: bool = False) -> None:
        self._drains.pop(row.host, None)
        if row.drain is None:
            return
        left_ms = row.drain.forced_at_ms - decision.now_ms
        if taken_over and left_ms <= 0:
            left_ms = self.world.policy.host_maintenance_polling_interval_ms
        self._drains[row.host] = self._look_at(decision, left_ms)

    def _is_to_end(self, decision: Decision, task: TaskRow) -> None:
        self._ends.pop(task.task_id, None)
        if task.status in END_ASKED:
            asked_for_ms = decision.now_ms - task.last_ms
            left_ms = self.world.policy.transient_task_state_timeout_ms - asked_for_ms
            self._ends[task.task_id] = self._look_at(decision, left_ms)

    def _look_at(self, decision: Decision, left_ms: int) -> int:
        due_ms = decision.mono_ms + max(0, left_ms)
        self._look_ms = due_ms if self._look_ms is None else min(self._look_ms, due_ms)
        return due_ms

    def _offered(self, decision: Decision) -> None:
        announced = {host.name: host.unavailable_from_ms for host in decision.args[0]}
        self._leaves = {name: told for name, told in self._leaves.items() if announced.get(name) == told[0]}
        for name, at_ms in announced.items():
            if at_ms is not None and name not in self._leaves:
                left_ms = at_ms - self.world.policy.unavailability_threshold_ms - decision.now_ms
                self._leaves[name] = at_ms, self._look_at(decision, left_ms)

    # --- what must be so ---

    def decided(self, witness: Witness, decision: Decision) -> None:
        if not self._plays:
            return
        if decision.name == "offer_hosts":
            self._offered(decision)
        for op in decision.ops:
            if isinstance(op, AssignTask):
                self._may_take(witness, decision, op.host)
        next_ms = witness.controller.deadlines.next_ms()
        if self._look_ms is None or self._look_ms > decision.mono_ms or (next_ms or 0) <= decision.mono_ms:
            return  # nothing is due, or what is due is still to be looked at
        self._look(witness, decision)

    def _may_take(self, witness: Witness, decision: Decision, host: str) -> None:
        row, leaves = witness.ledger.maintenance.get(host), self._leaves.get(host)
        if row is not None and row.mode in _CLOSED:
            raise Broken("nothing comes to what goes", f"a task is put on {host}, {row.mode.name}")
        if leaves is not None and decision.mono_ms >= leaves[1]:
            raise Broken("nothing comes to what goes", f"a task is put on {host}, which is about to go away")

    def _look(self, witness: Witness, decision: Decision) -> None:
        now_ms = decision.mono_ms
        for host, due_ms in self._drains.items():
            if due_ms <= now_ms:
                self._all_asked(witness, host, "a drain ends in time", f"its drain was over {now_ms - due_ms} ms ago")
        for host, (at_ms, due_ms) in self._leaves.items():
            if due_ms <= now_ms:
                why = f"it goes away at {at_ms}, and was to be empty {now_ms - due_ms} ms ago"
                self._all_asked(witness, host, "who goes is empty", why)
        for task_id, due_ms in self._ends.items():
            if due_ms <= now_ms:
                task = witness.ledger.tasks.get(task_id)
                if task is not None and task.status in END_ASKED:
                    raise Broken("an end that is asked for comes", f"{task_id} is {task.status.name}")
        left = (*self._drains.values(), *(due for _, due in self._leaves.values()), *self._ends.values())
        self._look_ms = min((due_ms for due_ms in left if due_ms > now_ms), default=None)

    def _all_asked(self, witness: Witness, host: str, rule: str, why: str) -> None:
        for task in _on(witness, host):
            if task.status not in END_ASKED:
                raise Broken(rule, f"{task.task_id} is {task.status.name} on {host}: {why}")

    def _must_be_empty(self, witness: Witness, host: str) -> None:
        for task in _on(witness, host):
            raise Broken(self.rule, f"{host} is DRAINED, and {task.task_id} is {task.status.name} there")

    def swept(self, witness: Witness) -> None:
        for host, row in witness.ledger.maintenance.items():
            if row.mode is MaintenanceMode.DRAINED:
                self._must_be_empty(witness, host)
            elif row.mode is MaintenanceMode.DRAINING and not any(_on(witness, host)):
                raise Broken("a drain ends in time", f"{host} is DRAINING, and nothing is left there")

    # --- what was met ---

    def _tell(self, decision: Decision, change: Maintained) -> None:
        row, old, note = change.row, change.old, self.world.coverage.note
        was_draining = old is not None and old.drain is not None
        if row.mode is MaintenanceMode.DRAINED:
            note("maintenance", "drained")
            assert old is not None and old.drain is not None
            if old.drain.created_ms <= self._begun_ms:
                note("maintenance", "drained under another leader")
        elif row.mode is MaintenanceMode.DRAINING:
            note("maintenance", f"drains: {decision.name}")
            if row.host in self._leaves:
                note("maintenance", "drains, and has announced to go")
        elif row.mode is MaintenanceMode.NONE:
            note("maintenance", "back while it drained" if was_draining else "back in service")
        else:
            note("maintenance", "scheduled")


def _on(witness: Witness, host: str) -> Iterator[TaskRow]:
    return (task for task in witness.ledger.tasks.values() if task.host == host and task.status in ACTIVE_STATES)
