"""Cron jobs in the second fold of the log (`ledger.py`)."""

from __future__ import annotations

from attrs import define, frozen

from scheduler.core import ops
from scheduler.core.cron.records import CollisionPolicy, Runs
from scheduler.core.records import JobKey

Rows = dict[JobKey, "CronRow"]


@define(eq=False)
class CronRow:
    key: JobKey
    count: int
    schedule: str
    policy: CollisionPolicy
    runs: Runs


@frozen
class CronSaved:
    """A template is new, or another one took its place."""

    cron: CronRow
    old: CronRow | None


@frozen
class CronMoved:
    """Its runs stand elsewhere."""

    cron: CronRow
    old: Runs


@frozen
class CronGone:
    cron: CronRow


CronChange = CronSaved | CronMoved | CronGone


def saved(rows: Rows, op: ops.SaveCronJob) -> CronSaved:
    told = op.cron
    row = CronRow(told.key, told.instance_count, told.schedule, told.collision_policy, told.runs)
    old, rows[told.key] = rows.get(told.key), row
    return CronSaved(row, old)


def moved(rows: Rows, op: ops.MoveCronJob) -> CronMoved:
    row = rows[op.key]
    change = CronMoved(row, row.runs)
    row.runs = op.runs
    return change


def removed(rows: Rows, op: ops.RemoveCronJob) -> CronGone:
    return CronGone(rows.pop(op.key))
