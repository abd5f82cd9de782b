"""Cron jobs."""

from __future__ import annotations

from scheduler.app.flags.rows import Group, Unused

NOT_YET = "cron jobs are not served yet"

GROUP = Group(
    "Cron",
    (
        Unused("cron_timezone", NOT_YET),
        Unused("cron_scheduler_num_threads", "one thread decides everything"),
        Unused("cron_scheduling_max_batch_size", "what waits together is committed together"),
        Unused("cron_start_initial_backoff", NOT_YET),
        Unused("cron_start_max_backoff", NOT_YET),
    ),
)
