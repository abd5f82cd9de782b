"""A backup in place of the state: all of it, undone as a whole, and the same for whoever replays the log."""

from __future__ import annotations

from scheduler.core import invariants, jobs, ops, quota, recovery
from scheduler.core.effects import StepDown
from scheduler.core.policy import Policy
from scheduler.core.queries import TaskQuery
from scheduler.core.records import JobConfiguration, JobKey, ResourceKind
from scheduler.core.state import State, apply, dump
from scheduler.core.transaction import Transaction
from scheduler.testing.snapshot import logged
from scheduler.testing.stage import Stage, replayed, service

WEB, LATE = JobKey("www", "prod", "web"), JobKey("www", "prod", "late")


def amounts(cpus: float) -> tuple[tuple[ResourceKind, float], ...]:
    return (ResourceKind.CPUS, cpus), (ResourceKind.RAM_MB, 2), (ResourceKind.DISK_MB, 3)


def copy(state: State) -> State:
    made = State()
    for op in dump(state):
        apply(made, op)
    return made


def in_place() -> tuple[Stage, State]:
    """A stage with two jobs, and a copy from when there was one."""
    stage = Stage(through_codec=True)
    stage.ask(jobs.create, JobConfiguration(WEB, service(WEB, "x"), 3), "me")
    stage.ask(quota.set_quota, "www", amounts(1.0), "me")
    staged = copy(stage.state)
    stage.ask(jobs.create, JobConfiguration(LATE, service(LATE, "y"), 2), "me")
    stage.ask(quota.set_quota, "www", amounts(7.0), "me")
    return stage, staged


def test_what_is_restored_is_the_state_in_the_backup() -> None:
    stage, staged = in_place()
    expected = logged(staged) | {"epoch": stage.state.epoch}
    assert stage.ask(recovery.restore, "backup-1", staged).ok
    assert logged(stage.state) == expected
    assert logged(replayed(stage.log)) == expected
    (step,) = [effect for effect in stage.effects if isinstance(effect, StepDown)]
    assert step.why == "the backup backup-1 was restored: 3 tasks and 0 updates, in place of 5 and 0"
    stage.restart()
    assert {task.config.job for task in stage.state.tasks.values()} == {WEB}


def test_the_epoch_never_goes_back() -> None:
    stage, staged = in_place()
    stage.restart()
    stage.ask(recovery.restore, "backup-1", staged)
    assert stage.state.epoch == 2
    assert staged.epoch == 1


def test_it_is_undone_as_a_whole() -> None:
    stage, staged = in_place()
    before = logged(stage.state)
    tx = Transaction(stage.state, stage.controller.world, (0, 0))  # type: ignore[arg-type]
    recovery.restore(tx, "backup-1", staged)
    assert logged(stage.state) != before
    tx.undo()
    assert logged(stage.state) == before
    assert not invariants.broken(stage.state)


def test_every_logged_table_is_emptied() -> None:
    stage, _ = in_place()
    apply(stage.state, ops.Restored("nothing"))
    empty = State()
    empty.epoch = stage.state.epoch
    assert logged(stage.state) == logged(empty)
    assert [op for op in dump(stage.state) if not isinstance(op, ops.EpochBegun)] == []


def test_tasks_are_left_out() -> None:
    _, staged = in_place()
    wanted = TaskQuery(job_name="web", role="www", environment="prod", instance_ids=frozenset({1}))
    assert recovery.delete_tasks(State(), Policy(), staged, wanted).ok
    assert sorted(task.instance_id for task in staged.tasks.values()) == [0, 2]
    assert not invariants.broken(staged)
    assert recovery.delete_tasks(State(), Policy(), staged, wanted).ok  # nothing left to leave out
    found = recovery.query(State(), Policy(), staged, TaskQuery(role="www"))
    assert len(found.result.tasks) == 2
