"""A cron job: its template, and where its runs stand."""

from __future__ import annotations

from enum import IntEnum

from attrs import frozen

from scheduler.core.records import JobConfiguration, JobKey, TaskConfig


class CollisionPolicy(IntEnum):
    """What a run does that finds the one before it alive; names and numbers are Aurora's `CronCollisionPolicy`."""

    KILL_EXISTING = 0
    CANCEL_NEW = 1
    RUN_OVERLAP = 2
    """Refused since long ago; where it is found it is taken for CANCEL_NEW."""


@frozen
class Runs:
    """Where the runs of a cron job stand. Instants are milliseconds since 1970; 0 is never.

    `followed_to_ms`: every instant of the schedule up to here was begun, held back or missed, and will not come again.
    """

    followed_to_ms: int
    last_run_ms: int = 0
    waiting_ms: int = 0
    """Since when a run waits for the tasks of the one before it to end."""
    missed: int = 0
    """Instants of the schedule at which nobody led, or the leader could not act."""
    last_missed_ms: int = 0
    held_back: int = 0
    """Runs that were not begun because another one was alive or waiting."""


@frozen
class CronJob:
    """A template and its runs."""

    key: JobKey
    config: TaskConfig
    instance_count: int
    schedule: str
    collision_policy: CollisionPolicy
    owner_user: str | None
    runs: Runs

    def as_job(self) -> JobConfiguration:
        """As clients know it."""
        return JobConfiguration(
            self.key, self.config, self.instance_count, self.owner_user, self.schedule, self.collision_policy
        )
