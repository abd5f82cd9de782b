"""Backup, disaster, restore on the real programs."""

from __future__ import annotations

import time
from typing import Any

import pytest

from scheduler.interface import aurora
from scheduler.testing.asking import update_query
from scheduler.testing.cluster import BROKEN, Scheduler
from tests.failover.story import OK, Story

pytestmark = pytest.mark.slow

ROLL_FORWARD_AWAITING_PULSE = aurora.JobUpdateStatus.ROLL_FORWARD_AWAITING_PULSE
ERROR = aurora.ResponseCode.ERROR
WEB = aurora.TaskQuery(role="www", environment="prod", jobName="web")


def backup(scheduler: Scheduler) -> str:
    answer = scheduler.ask("performBackup")
    assert answer.responseCode == OK, answer
    name: str = max(scheduler.ask("listBackups").result.listBackupsResult.backups)
    return name


def jobs(story: Story) -> set[str]:
    return {task.job for task in story.world().tasks if task.is_wanted}


def until_leading_in(scheduler: Scheduler, epoch: int) -> Any:
    give_up_at = time.monotonic() + 20
    while time.monotonic() < give_up_at:
        try:
            with scheduler.client(timeout_s=1) as client:
                state = client.getServerState()
            if state.epoch >= epoch:
                return state
        except BROKEN:
            pass
        time.sleep(0.02)
    raise AssertionError(f"epoch {epoch} did not begin: {scheduler.last_words()}")


def test_a_backup_becomes_the_state(scheduler: Scheduler, story: Story) -> None:
    scheduler.start()
    story.create("web", 2, token="c-web")
    story.until_running("web", 2)
    # The backup has an update too: it waits for its first heartbeat.
    assert story.start_update("web", 2, token="u-web", pulse_timeout_ms=600_000).responseCode == OK
    name = backup(scheduler)
    story.create("late", 1, token="c-late")
    story.until_running("late", 1)
    before = story.all_starts()

    assert scheduler.ask("commitRecovery").responseCode == ERROR
    assert scheduler.ask("stageRecovery", "../changelog.db").responseCode == ERROR
    assert scheduler.ask("stageRecovery", name).responseCode == OK
    assert scheduler.ask("stageRecovery", name).responseCode == ERROR
    staged = scheduler.ask("queryRecovery", aurora.TaskQuery()).result.queryRecoveryResult.tasks
    assert {task.assignedTask.task.job.name for task in staged} == {"web"}
    one = aurora.TaskQuery(role="www", environment="prod", jobName="web", instanceIds={1})
    assert scheduler.ask("deleteRecoveryTasks", one).responseCode == OK
    assert scheduler.ask("commitRecovery").responseCode == OK

    until_leading_in(scheduler, 2)  # in the same process: it stepped down and began anew
    assert scheduler.alive
    world = story.until(lambda world: not any(task.job == "www/prod/late" for task in world.tasks))
    assert [(task.job, task.instance) for task in world.tasks if task.is_wanted] == [("www/prod/web", 0)]
    # What the backup does not know and runs is ended, as in Aurora; what it knows was not touched.
    kept = {task.task_id for task in world.tasks if task.is_wanted}
    give_up_at = time.monotonic() + 30
    while set(story.living()) != kept:
        assert time.monotonic() < give_up_at, (story.living(), kept)
        time.sleep(0.05)
    assert story.all_starts() == before
    assert "the backup scheduler-backup-" in scheduler.log()
    assert scheduler.ask("queryRecovery", aurora.TaskQuery()).responseCode == ERROR

    scheduler.kill()
    scheduler.start()
    assert jobs(story) == {"www/prod/web"}
    updates = scheduler.ask("getJobUpdateSummaries", update_query(role="www")).result.getJobUpdateSummariesResult
    assert [summary.state.status for summary in updates.updateSummaries] == [ROLL_FORWARD_AWAITING_PULSE]


def test_a_snapshot_folds_now(scheduler: Scheduler, story: Story) -> None:
    scheduler.start()
    story.create("web", 1, token="c-web")
    story.until_running("web", 1)
    assert scheduler.ask("snapshot").responseCode == OK
    assert (scheduler.data_dir / "base-00000001").exists()
    assert scheduler.ask("snapshot").responseCode == OK
    scheduler.kill()
    scheduler.start()
    assert jobs(story) == {"www/prod/web"}


def test_a_folder_that_cannot_be_written_is_said(scheduler: Scheduler, story: Story) -> None:
    (scheduler.folder / "in-the-way").write_text("a file")
    scheduler.flags += ["--backup-dir", str(scheduler.folder / "in-the-way")]
    scheduler.start()
    answer = scheduler.ask("performBackup")
    assert answer.responseCode == ERROR
    assert "no backup was made in" in answer.details[0].message
    story.create("web", 1, token="c-web")
    story.until_running("web", 1)
