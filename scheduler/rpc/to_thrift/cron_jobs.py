"""A cron job and where its runs stand."""

from __future__ import annotations

from typing import Any

from scheduler.core.answers import Answer
from scheduler.core.queries import CronReport
from scheduler.interface import thesan
from scheduler.rpc.to_thrift.heartbeats import details
from scheduler.rpc.to_thrift.jobs import job_configuration


def cron_job(answer: Answer) -> Any:
    struct = thesan.CronJobAnswer(responseCode=answer.code, details=details(answer))
    if isinstance(answer.result, CronReport):
        runs = answer.result.runs
        struct.job = job_configuration(answer.result.job)
        struct.nextRunMs = answer.result.next_run_ms
        struct.lastRunMs = runs.last_run_ms or None
        struct.waitingSinceMs = runs.waiting_ms or None
        struct.missedRuns = runs.missed
        struct.lastMissedMs = runs.last_missed_ms or None
        struct.heldBackRuns = runs.held_back
    return struct
