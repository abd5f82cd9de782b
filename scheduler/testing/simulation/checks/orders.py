"""What the engine was made to do: each task at most once, and never two of one instance side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scheduler.contracts import TaskReport
from scheduler.core.records import ACTIVE_STATES
from scheduler.testing.simulation.broken import Broken
from scheduler.testing.simulation.checks.base import Check, Witness
from scheduler.testing.simulation.engine import EngineTask

if TYPE_CHECKING:
    from scheduler.testing.simulation.world import World


class Orders(Check):
    rule = "launched once"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._launched: set[str] = set()

    def launched(self, task: EngineTask) -> None:
        """The engine took up a task it had never seen."""
        if task.task_id in self._launched:
            raise Broken(self.rule, f"{task.task_id} was launched a second time")
        self._launched.add(task.task_id)
        for other in self.world.engine.tasks.values():
            if other is task or other.place != task.place or not other.lives:
                continue
            row = self.world.durable.tasks.get(other.task_id)
            if row is not None and row.status in ACTIVE_STATES:
                raise Broken("one task an instance", f"{task.task_id} starts beside {other.task_id}, {row.status.name}")

    def reconciles(self, witness: Witness, present: tuple[TaskReport, ...]) -> None:
        witness.present = frozenset(report.task_id for report in present)
