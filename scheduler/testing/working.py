"""Commands of a script by which the engine works, and people put their hands in: tasks come to states."""

from __future__ import annotations

from scheduler.core.records import JobKey, Task, TaskStatus
from scheduler.core.tasks.lifecycle import transition
from scheduler.core.tasks.table import END_ASKED_STATES
from scheduler.core.transaction import Transaction
from scheduler.testing.stage import Stage
from scheduler.testing.words import ScriptError, ids


class Working:
    """A part of `script.Script`."""

    job: JobKey

    @property
    def stage(self) -> Stage:
        raise NotImplementedError

    def task(self, instance: int) -> Task:
        """The active task of an instance."""
        raise NotImplementedError

    def do_run(self, instances: str) -> None:
        for instance in ids(instances):
            task = self.task(instance)
            if task.status not in (TaskStatus.ASSIGNED, TaskStatus.STARTING):
                raise ScriptError(f"instance {instance} is {task.status.name} and cannot be run")
            self.stage.run(task)

    def do_swap(self, instances: str) -> None:
        for instance in ids(instances):
            task = self.task(instance)
            if task.status not in END_ASKED_STATES:
                raise ScriptError(f"instance {instance} is {task.status.name}: nobody asked for its end")
            self.stage.report(task, TaskStatus.KILLED)
            self.do_run(str(instance))

    def do_exit(self, instance: str, status: str, why: str | None = None) -> None:
        self.stage.report(self.task(int(instance)), TaskStatus[status], why)

    do_report = do_exit

    def do_move(self, instance: str, status: str) -> None:
        task = self.task(int(instance))

        def by_hand(tx: Transaction) -> None:
            transition(tx, task.task_id, TaskStatus[status], "by hand")

        self.stage.ask(by_hand)

    def do_obey(self) -> None:
        while self.obey_once():
            pass

    def obey_once(self) -> bool:
        """The engine does one thing that it was told; False: there is nothing."""
        for task in list(self.stage.state.tasks.active.get(self.job, {}).values()):
            if task.status in (TaskStatus.ASSIGNED, TaskStatus.STARTING):
                self.stage.run(task)
                return True
            if task.status in END_ASKED_STATES:
                self.stage.report(task, TaskStatus.KILLED)
                return True
        return False
