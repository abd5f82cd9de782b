"""What raises for one job holds up no other: it alone is taken back, noted for the log, and tried again later."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from scheduler.core.placement import assign
from scheduler.core.policy import MINUTE_MS
from scheduler.core.records import JobKey, TaskConfig, TaskStatus
from tests.core.placement.scenes import IN_ORDER, Scene, asking, host

GOOD, BAD, HIGH = JobKey("www", "prod", "good"), JobKey("www", "prod", "bad"), JobKey("www", "prod", "high")
PREFERRED: dict[str, Any] = {"tier": "preferred"}


class Fault(Exception):
    """What the job `bad` raises."""


def wait_for(config: TaskConfig) -> int:
    if config.job == BAD:
        raise Fault
    return 0


def failing(scene: Scene, by_ms: int) -> str:
    """Turn the clock until something raises. Returns what that was about."""
    with pytest.raises(Fault):
        scene.stage.advance(by_ms)
    ((what, _),) = scene.stage.controller.failures
    scene.stage.controller.failures.clear()
    return what


def preempting(scene: Scene) -> list[str]:
    return [task.job.name for task in scene.stage.state.tasks.by_status[TaskStatus.PREEMPTING].values()]


def test_a_task_that_cannot_be_asked_to_end_is_passed_over_by_who_preempts() -> None:
    scene = Scene(host("a"), policy=evolve(IN_ORDER, stop_wait_ms=wait_for))
    scene.create(asking(BAD, cpus=3.0))
    scene.create(asking(GOOD, cpus=1.0))
    scene.create(asking(HIGH, **PREFERRED))
    assert failing(scene, 3 * MINUTE_MS) == "making room on a for www/prod/high"
    scene.stage.settle()
    assert preempting(scene) == ["good"]
    assert scene.stage.state.placement.figures["tasks_preempted_non_prod"] == 1


def test_a_preemption_that_raises_leaves_the_other_groups_theirs() -> None:
    scene = Scene(host("a"), host("b", cpus=8.0), policy=evolve(IN_ORDER, stop_wait_ms=wait_for))
    scene.create(asking(BAD, cpus=4.0))
    scene.create(asking(GOOD, cpus=8.0))
    scene.create(asking(HIGH, cpus=4.0, data="1", **PREFERRED))
    scene.create(asking(HIGH, cpus=8.0, data="2", **PREFERRED))
    assert failing(scene, 3 * MINUTE_MS) == "making room on a for www/prod/high"
    scene.create(asking(GOOD, cpus=0.0, data="small"))
    assert preempting(scene) == ["good"]
    assert scene.task(1, GOOD).status is TaskStatus.ASSIGNED, "placement went on"


def test_a_group_whose_turn_raises_is_set_back_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    arm_deadlines = assign.arm_deadlines

    def armed(tx: Any, task: Any) -> None:
        wait_for(task.config)
        arm_deadlines(tx, task)

    scene = Scene(host("a"))
    with monkeypatch.context() as patched:
        patched.setattr(assign, "arm_deadlines", armed)
        with pytest.raises(Fault):
            scene.create(asking(BAD), 2)
        assert [what for what, _ in scene.stage.controller.failures] == ["placing tasks of www/prod/bad"]
        scene.stage.controller.failures.clear()
        scene.create(asking(GOOD))  # and the other one is not tried again with every pass
        assert (scene.where(GOOD), scene.where(BAD)) == ({0: "a"}, {0: None, 1: None})
        assert failing(scene, 2 * IN_ORDER.initial_schedule_penalty_ms) == "placing tasks of www/prod/bad"
    scene.stage.advance(MINUTE_MS)
    assert scene.where(BAD) == {0: "a", 1: "a"}
    assert scene.stage.state.placement.rooms.by_name["a"].milli_cpus == 1000
