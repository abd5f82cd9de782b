"""Tasks are put on hosts that are there, never more than there is room for, and a silent host's are not given up."""

from __future__ import annotations

from scheduler.core.ops import AssignTask, MoveTask
from scheduler.core.records import ResourceKind, TaskStatus
from scheduler.testing.simulation.broken import Broken
from scheduler.testing.simulation.checks.base import Check, Witness
from scheduler.testing.simulation.engine import HOSTS
from scheduler.testing.simulation.watched import Decision

_OFFERED = {host.name: host for host in HOSTS}


class Hosts(Check):
    rule = "room on hosts"

    def decided(self, witness: Witness, decision: Decision) -> None:
        for name in {op.host for op in decision.ops if isinstance(op, AssignTask)}:
            self._must_have_room(witness, name)
        if decision.name == "reconcile":
            spoken_for = decision.args[2]
            for op in decision.ops:
                if isinstance(op, MoveTask) and op.event.status is TaskStatus.LOST:
                    host = witness.controller.state.tasks[op.task_id].host
                    if host not in spoken_for:
                        raise Broken("nothing is LOST blindly", f"{op.task_id} is LOST, and nobody speaks for {host}")

    def _must_have_room(self, witness: Witness, name: str) -> None:
        state, host = witness.controller.state, _OFFERED[name]
        if name not in state.hosts:
            raise Broken(self.rule, f"a task is put on {name}, which is not offered")
        there = [task for task in state.tasks.values() if task.host == name and task.is_active]
        for kind, whole in (
            (ResourceKind.CPUS, host.cpus),
            (ResourceKind.RAM_MB, host.ram_mb),
            (ResourceKind.DISK_MB, host.disk_mb),
        ):
            taken = sum(task.config.amount(kind) for task in there)
            if taken > whole:
                raise Broken(self.rule, f"{len(there)} tasks on {name} take {taken:g} {kind.name} of {whole:g}")
