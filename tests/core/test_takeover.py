"""The first decision of a leader, and what it makes of what the engine has."""

from __future__ import annotations

import pytest

from scheduler.core import ops, takeover
from scheduler.core.effects import Effect, Forget, Launch, Terminate
from scheduler.core.records import JobKey, TaskStatus
from scheduler.core.tasks import actions
from scheduler.core.tasks.lifecycle import transition
from scheduler.core.transaction import Transaction
from scheduler.testing.script import Script
from scheduler.testing.stage import Stage, service

JOB = JobKey("www", "prod", "web")


class Scene:
    """One task in some state, and the engine's complete list."""

    def __init__(self, state: str) -> None:
        self.stage = Stage()

        def create(tx: Transaction) -> None:
            actions.create(tx, service(JOB, "x"), 0)

        self.stage.ask(create)
        self.first = self.stage.active(JOB, 0)
        if state in ("STARTING", "RUNNING", "PARTITIONED", "FAILED"):
            self.stage.controller.write(self._move, TaskStatus.STARTING)
            self.stage.controller.write(self._move, TaskStatus[state])
        elif state != "ASSIGNED":
            self.stage.run(self.first)
            self.stage.controller.write(self._move, TaskStatus[state])
        self._forget_effects()
        self.missing: list[str] = []

    def _move(self, tx: Transaction, to: TaskStatus) -> None:
        transition(tx, self.first.task_id, to)

    def _forget_effects(self) -> None:
        entry = self.stage.controller.next_entry(bytes(16))
        if entry is not None:
            self.stage.log.append(entry)
            self.stage.controller.committed(entry.offset)
        self.stage.controller.take_effects()
        self.stage.effects.clear()

    def reconcile(
        self, present: dict[str, str], missing_before: tuple[str, ...] = (), hosts: tuple[str, ...] = ("host-1",)
    ) -> list[Effect]:
        """`present`: "it" is the task. `hosts`: those that the engine speaks for."""
        named = {self.first.task_id if name == "it" else name: TaskStatus[s] for name, s in present.items()}
        before = frozenset(self.first.task_id for name in missing_before if name == "it")
        ids = [*self.stage.state.tasks]
        self.stage.controller.write(takeover.reconcile, ids, named, frozenset(hosts), before, self.missing)
        self.stage.controller.write(takeover.end_unwanted, list(named.items()))
        self._forget_placement()
        self.stage.settle()
        return [effect for effect in self.stage.effects if isinstance(effect, Launch | Terminate | Forget)]

    def _forget_placement(self) -> None:
        self.stage.hosts = ()
        self.stage.controller.write(takeover.offer_hosts, ())

    @property
    def status(self) -> str:
        return self.stage.state.tasks[self.first.task_id].status.name


def test_assigned_and_absent_is_launched_again() -> None:
    scene = Scene("ASSIGNED")
    (launch,) = scene.reconcile({})
    assert isinstance(launch, Launch)
    assert launch.task.task_id == scene.first.task_id
    assert launch.task.host == scene.first.host
    assert scene.missing == []


@pytest.mark.parametrize("state", ["STARTING", "RUNNING", "KILLING", "RESTARTING", "DRAINING", "PREEMPTING"])
def test_absent_twice_is_lost(state: str) -> None:
    scene = Scene(state)
    assert scene.reconcile({}) == []
    assert scene.missing == [scene.first.task_id]
    assert scene.status == state
    scene.missing.clear()
    scene.reconcile({}, missing_before=("it",))
    assert scene.status == "LOST"
    assert scene.missing == []
    assert (JOB in scene.stage.state.tasks.active) is (state != "KILLING")


@pytest.mark.parametrize("state", ["ASSIGNED", "STARTING", "RUNNING"])
def test_present_is_left_alone(state: str) -> None:
    scene = Scene(state)
    assert scene.reconcile({"it": "RUNNING"}, missing_before=("it",)) == []
    assert scene.status == state


@pytest.mark.parametrize("state", ["KILLING", "RESTARTING", "DRAINING", "PREEMPTING"])
def test_present_and_to_be_ended_is_told_again(state: str) -> None:
    scene = Scene(state)
    assert scene.reconcile({"it": "RUNNING"}) == [Terminate(scene.first.task_id, host="host-1")]


@pytest.mark.parametrize("state", ["ASSIGNED", "STARTING", "RUNNING", "KILLING"])
def test_an_engine_that_does_not_speak_for_a_host_changes_nothing_there(state: str) -> None:
    scene = Scene(state)
    assert scene.reconcile({}, missing_before=("it",), hosts=("host-2",)) == []
    assert scene.missing == []
    assert scene.status == state


def test_present_and_ended_here_is_ended_there() -> None:
    scene = Scene("FAILED")
    assert scene.reconcile({"it": "RUNNING"})[-1] == Terminate(scene.first.task_id, hard=True)


def test_ended_here_and_there_is_forgotten_there() -> None:
    scene = Scene("FAILED")
    assert scene.reconcile({"it": "FAILED"})[-1] == Forget((scene.first.task_id,))


def test_strangers_are_ended_or_forgotten() -> None:
    scene = Scene("RUNNING")
    found = scene.reconcile({"it": "RUNNING", "alive": "STARTING", "dead": "LOST"})
    assert found == [Terminate("alive", hard=True), Forget(("dead",))]


def test_the_end_of_a_task_nobody_knows_is_forgotten() -> None:
    stage = Stage()
    stage.controller.write(takeover.take_reports, [("nobody", TaskStatus.FAILED, None, None)])
    stage.settle()
    assert Forget(("nobody",)) in stage.effects


# --- the epoch -------------------------------------------------------------------------------------------------------


def test_everything_a_take_over_causes_stands_in_the_first_entry_of_the_epoch() -> None:
    script = Script()
    for name, pulse in (("a", " pulse=10000"), ("b", " pulse=10000"), ("c", "")):
        for command in (f"job {name} 0-1 old", "wait 10", f"start new 0-1{pulse}", "pulse"):
            script.do(command)
    script.do("on b")
    script.do("rollback")
    entries = len(script.stage.log)
    script.do("restart")
    first = list(script.stage.log)[entries]
    assert isinstance(first.ops[0], ops.EpochBegun)
    moved = {op.key.job.name: op.event.status.name for op in first.ops if isinstance(op, ops.MoveUpdate)}
    assert moved == {"a": "ROLL_FORWARD_AWAITING_PULSE", "b": "ROLL_BACK_AWAITING_PULSE"}
    assert first.epoch == script.stage.state.epoch == 2


def test_deadlines_are_armed_from_what_is_recorded() -> None:
    script = Script()
    for command in ("job web 0-1 old", "wait 60s", "start new 0-1 watch=10s", "swap 0", "wait 9s", "restart"):
        script.do(command)
    assert script.stage.controller.deadlines.next_ms() == script.stage.clock.mono_ms() + 1000
