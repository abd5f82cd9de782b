"""A scheduler is killed at named places and started again: what is there then, what is not, what runs how often.

Every test is one real `thesan serve` with real processes. The first entry of a life is the one that begins its epoch,
so in a quiet cluster the second is the call's.
"""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.core.records import TaskStatus
from scheduler.core.updates.records import UpdateStatus
from scheduler.testing.asking import job
from scheduler.testing.cluster import Scheduler
from scheduler.testing.history.records import World
from tests.failover.story import OK, Story

pytestmark = pytest.mark.slow

BEFORE_DURABLE = ("after-decide", "before-append", "before-append:linger")
"""With `linger` the event loop goes on while the entry is not written: no reply and no effect may leave."""
AFTER_DURABLE = ("after-append", "after-commit")
AWAITING = UpdateStatus.ROLL_FORWARD_AWAITING_PULSE
PAUSED = UpdateStatus.ROLL_FORWARD_PAUSED
FAILED_OVER = "A new scheduler leads: waiting for a heartbeat."
HOUR_MS = 3_600_000


def in_the_call(point: str) -> str:
    """The failpoint, at the commit of the first call of a life."""
    name, _, action = point.partition(":")
    return f"{name}:2:{action or 'kill'}"


def tokens(world: World, job: str) -> list[str | None]:
    return sorted(task.token or "" for task in world.tasks if task.job == f"www/prod/{job}" and task.is_wanted)


def update_id(answer: Any) -> str:
    assert answer.responseCode == OK, answer
    return str(answer.result.startJobUpdateResult.key.id)


def history(world: World, id: str) -> list[tuple[str, str | None]]:
    """(status, token) of an update's events."""
    (row,) = [row for row in world.updates if row.id == id]
    return [(event.status.name, event.token) for event in row.events]


# --- between decide and commit, between commit and reply


@pytest.mark.parametrize("point", BEFORE_DURABLE)
def test_what_was_not_durable_did_not_happen(point: str, scheduler: Scheduler, story: Story) -> None:
    scheduler.start()
    story.create("old", 2, token="c-old")
    before = story.until_running("old", 2)
    scheduler.kill()
    calls = (
        lambda: story.create("new", 3, token="c-new"),
        lambda: story.kill_job("old", token="k-old"),
        lambda: story.start_update("old", 2, token="u-old"),
    )

    for ask in calls:
        scheduler.start(failpoint=in_the_call(point))
        story.dies_in(ask)

    scheduler.start()
    assert story.world() == before
    story.check_each_ran_once()


@pytest.mark.parametrize("point", AFTER_DURABLE)
def test_what_was_durable_happened_wholly_although_nobody_was_told(
    point: str, scheduler: Scheduler, story: Story
) -> None:
    scheduler.start()
    story.create("killed", 2, token="c-killed")
    story.create("rolled", 2, token="c-rolled")
    story.until_quiet()
    scheduler.kill()
    calls = (
        lambda: story.create("new", 3, token="c-new"),
        lambda: story.kill_job("killed", token="k-killed"),
        lambda: story.start_update("rolled", 3, token="u-rolled"),
    )

    for ask in calls:
        scheduler.start(failpoint=in_the_call(point))
        story.dies_in(ask)
        scheduler.start()
        story.until_quiet()
        scheduler.kill()

    scheduler.start()
    world = story.until(
        lambda world: tokens(world, "rolled") == ["u-rolled"] * 3 and world.updates[0].status.name == "ROLLED_FORWARD"
    )
    assert tokens(world, "new") == ["c-new"] * 3
    assert tokens(world, "killed") == []
    (update,) = world.updates
    assert (update.token, update.desired_token) == ("u-rolled", "u-rolled")
    assert history(world, update.id) == [("ROLLING_FORWARD", "u-rolled"), ("ROLLED_FORWARD", None)]
    story.check_each_ran_once()


@pytest.mark.parametrize(
    ("point", "happened"), [*((p, False) for p in BEFORE_DURABLE), *((p, True) for p in AFTER_DURABLE)]
)
def test_a_pause_is_in_the_history_wholly_or_not_at_all(
    point: str, happened: bool, scheduler: Scheduler, story: Story
) -> None:
    scheduler.start()
    story.create("board", token="c")
    story.until_quiet()
    id = update_id(story.start_update("board", token="u", pulse_timeout_ms=HOUR_MS))
    scheduler.kill()

    scheduler.start(failpoint=in_the_call(point))
    story.dies_in(lambda: story.move("pauseJobUpdate", "board", id, token="p"))

    scheduler.start()
    expected = [(AWAITING.name, "u")] + [(PAUSED.name, "p")] * happened
    assert history(story.world(), id) == expected


# --- between commit and effect, and inside the engine


def test_acknowledged_and_not_yet_launched_is_launched_once(scheduler: Scheduler, story: Story) -> None:
    scheduler.start(failpoint="before-effect:2")
    assert story.create("web", 3, token="c").responseCode == OK
    assert scheduler.wait_for_end() == -9
    assert len(story.all_starts()) <= 1

    scheduler.start()
    world = story.until_running("web", 3)

    assert len(world.tasks) == 3, "the ids that were assigned are those that run"
    story.check_each_ran_once()


def test_a_kill_that_was_acknowledged_and_not_sent_is_sent(scheduler: Scheduler, story: Story) -> None:
    scheduler.start()
    story.create("web", 2, token="c")
    story.until_quiet()
    scheduler.kill()
    scheduler.start(failpoint="before-effect:2")  # the first asks the engine for the tasks there are
    assert story.kill_job("web", token="k").responseCode == OK
    assert scheduler.wait_for_end() == -9
    assert len(story.living()) == 2

    scheduler.start()
    world = story.until_quiet()

    assert {task.status for task in world.tasks} == {TaskStatus.KILLED}
    assert story.living() == {}


def test_a_task_whose_folder_was_made_and_nothing_more_is_replaced(scheduler: Scheduler, story: Story) -> None:
    scheduler.start(failpoint="engine-made:1")
    assert story.create("web", token="c").responseCode == OK
    assert scheduler.wait_for_end() == -9

    scheduler.start()
    world = story.until_running("web", 1)

    first, second = sorted(world.tasks, key=lambda task: task.events[0].timestamp_ms)
    assert (first.status, first.events[-1].message) == (TaskStatus.LOST, "its start was cut off before anything ran")
    assert story.starts(first.task_id) == []
    assert len(story.starts(second.task_id)) == 1
    story.check_each_ran_once()


def test_a_task_that_was_started_and_not_yet_known_is_adopted(scheduler: Scheduler, story: Story) -> None:
    scheduler.start(failpoint="engine-spawned:1")
    assert story.create("web", token="c").responseCode == OK
    assert scheduler.wait_for_end() == -9

    scheduler.start()
    world = story.until_running("web", 1)

    (task,) = world.tasks
    names = [event.status.name for event in task.events if event.status is not TaskStatus.STARTING]
    assert names == ["PENDING", "ASSIGNED", "RUNNING"]
    story.check_each_ran_once()


def test_running_tasks_are_adopted_with_their_pid(scheduler: Scheduler, story: Story) -> None:
    scheduler.start()
    story.create("web", 3, token="c")
    before = story.until_quiet()
    living = story.living()

    for _ in range(2):
        scheduler.kill()
        scheduler.start()

    assert story.living() == living and len(living) == 3
    assert story.world() == before, "adoption leaves no mark in a task's history"
    story.kill_job("web", token="k")
    story.until(lambda world: {task.status for task in world.tasks} == {TaskStatus.KILLED})
    assert story.living() == {}


def test_an_end_while_nobody_looked_is_known_afterwards(scheduler: Scheduler, story: Story) -> None:
    scheduler.start()
    for name, status in (("good", 0), ("bad", 3)):
        command = f"{story.command.removesuffix('exec sleep 600')} sleep 0.4; exit {status}"
        scheduler.ask("createJob", job(name, command, token=f"c-{name}", service=False))
    story.until(lambda world: len(world.tasks) == 2 and all(task.status is TaskStatus.RUNNING for task in world.tasks))
    scheduler.kill()
    story.until_nothing_lives()

    scheduler.start()
    world = story.until(lambda world: all(task.status is not TaskStatus.RUNNING for task in world.tasks))

    ends = {task.job: task.status for task in world.tasks}
    assert ends == {"www/prod/good": TaskStatus.FINISHED, "www/prod/bad": TaskStatus.FAILED}
    assert all(len(pids) == 1 for pids in story.all_starts().values())


# --- updates


def test_an_update_goes_on_where_it_stood_with_its_history(scheduler: Scheduler, story: Story) -> None:
    scheduler.start()
    story.create("web", 4, token="c")
    story.until_running("web", 4)
    id = update_id(story.start_update("web", 4, token="u", watch_ms=300))
    seen = story.until(lambda world: tokens(world, "web").count("u") >= 1)
    scheduler.kill()
    assert history(seen, id) == [("ROLLING_FORWARD", "u")]

    scheduler.start()
    world = story.until(lambda world: world.updates[0].status is UpdateStatus.ROLLED_FORWARD)

    assert history(world, id) == [("ROLLING_FORWARD", "u"), ("ROLLED_FORWARD", None)]
    assert tokens(world, "web") == ["u"] * 4
    assert set(seen.updates[0].events) <= set(world.updates[0].events)
    story.check_each_ran_once()


def test_a_coordinated_update_waits_for_a_pulse_of_the_new_scheduler(scheduler: Scheduler, story: Story) -> None:
    scheduler.start()
    story.create("web", 3, token="c")
    story.until_running("web", 3)
    id = update_id(story.start_update("web", 3, token="u", pulse_timeout_ms=HOUR_MS, watch_ms=300))
    story.pulse("web", id)
    story.until(lambda world: tokens(world, "web").count("u") >= 1)
    scheduler.kill()

    scheduler.start()
    world = story.world()
    assert world.updates[0].status is AWAITING
    last = world.updates[0].events[-1]
    assert (last.status, last.message) == (AWAITING, FAILED_OVER)
    begun = {task.task_id for task in story.until_quiet().tasks}
    scheduler.kill()
    scheduler.start()
    assert [event.message for event in story.world().updates[0].events].count(FAILED_OVER) == 1
    assert {task.task_id for task in story.world().tasks} == begun, "nothing starts without a heartbeat"

    assert story.pulse("web", id).responseCode == OK
    world = story.until(lambda world: world.updates[0].status is UpdateStatus.ROLLED_FORWARD)
    assert tokens(world, "web") == ["u"] * 3
    story.check_each_ran_once()


def test_a_pause_by_a_person_stays_until_a_person_lifts_it(scheduler: Scheduler, story: Story) -> None:
    scheduler.start()
    story.create("web", 2, token="c")
    story.until_running("web", 2)
    id = update_id(story.start_update("web", 2, token="u", pulse_timeout_ms=HOUR_MS))
    story.move("pauseJobUpdate", "web", id, token="p")
    before = story.world()
    scheduler.kill()

    scheduler.start()
    assert story.world() == before
    story.pulse("web", id)
    assert story.world() == before, "a heartbeat does not lift it"
    scheduler.kill()
    scheduler.start()
    assert story.move("resumeJobUpdate", "web", id, token="r").responseCode == OK
    assert story.world().updates[0].status is AWAITING
    story.pulse("web", id)

    world = story.until(lambda world: world.updates[0].status is UpdateStatus.ROLLED_FORWARD)
    names = [(AWAITING.name, "u"), (PAUSED.name, "p"), (AWAITING.name, "r")]
    assert history(world, id) == [*names, ("ROLLING_FORWARD", None), ("ROLLED_FORWARD", None)]
    story.check_each_ran_once()


# --- the life of the server itself


def test_dying_while_it_takes_over_loses_nothing(scheduler: Scheduler, story: Story) -> None:
    scheduler.start()
    story.create("web", 2, token="c")
    before = story.until_quiet()
    scheduler.kill()

    for point in (*BEFORE_DURABLE, *AFTER_DURABLE):
        scheduler.start(failpoint=point, wait=False)
        assert scheduler.wait_for_end() == -9

    scheduler.start()
    assert story.world() == before
    story.check_each_ran_once()


def test_a_clean_stop_leaves_tasks_alone_and_says_so_with_its_status(scheduler: Scheduler, story: Story) -> None:
    scheduler.start()
    story.create("web", 2, token="c")
    before = story.until_quiet()
    living = story.living()

    assert scheduler.stop() == 0
    assert story.living() == living
    scheduler.start()

    assert story.world() == before
    story.check_each_ran_once()
