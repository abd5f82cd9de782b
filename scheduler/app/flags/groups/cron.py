"""Cron jobs."""

from __future__ import annotations

from scheduler.app.flags.kinds import Switch, TimeZone
from scheduler.app.flags.rows import Flag, Group, Unused

AT_ONCE = "a run that waits for the one before it begins as soon as that has ended"

GROUP = Group(
    "Cron",
    (
        Flag(
            "cron_timezone",
            TimeZone(),
            "cron_timezone",
            "The time zone in which schedules are meant.",
            "as Aurora",
            differs="nights when clocks change go as in Debian's cron",
        ),
        Flag(
            "cron_catch_up",
            Switch(),
            "policy.cron_catch_up",
            "A cron job that was due while no scheduler led runs once as soon as one does.",
            "Aurora drops such runs; here they are counted and told",
        ),
        Unused("cron_scheduler_num_threads", "one thread decides everything"),
        Unused("cron_scheduling_max_batch_size", "what waits together is committed together"),
        Unused("cron_start_initial_backoff", AT_ONCE),
        Unused("cron_start_max_backoff", AT_ONCE),
    ),
)
