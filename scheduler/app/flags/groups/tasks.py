"""Deadlines of tasks, and tasks that keep failing."""

from __future__ import annotations

from scheduler.app.flags.kinds import Duration
from scheduler.app.flags.rows import Flag, Group, Unused

RECONCILED = "an engine is asked what runs as soon as leadership begins; what is not there is looked for once more"
ONE_LIST = "an engine's list is both of Aurora's comparisons: the shorter of the two intervals holds"
AS_LONG = "as Aurora; it is also done when leadership begins, and when somebody asks"

GROUP = Group(
    "Tasks",
    (
        Flag(
            "transient_task_state_timeout",
            Duration(1),
            "policy.transient_task_state_timeout_ms",
            "A task that stays ASSIGNED, KILLING or on its way otherwise for so long is LOST.",
            "as Aurora",
            differs="goes on across a failover; Aurora starts it again",
        ),
        Flag(
            "initial_task_kill_retry_interval",
            Duration(bare=True),
            "policy.kill_grace_ms",
            "From TERM to KILL, unless the task's own steps to end take longer.",
            "as Aurora",
            differs="the repeated kill is a KILL; Aurora leaves that to the executor",
            aliases=("kill_grace_ms",),
        ),
        Flag(
            "flapping_task_threshold",
            Duration(),
            "policy.flapping_task_threshold_ms",
            "A task that ends within this time is held back before it is started again.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "initial_flapping_task_delay",
            Duration(1),
            "policy.initial_flapping_task_delay_ms",
            "How long it is held back the first time; twice as long each next time.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "max_flapping_task_delay",
            Duration(1),
            "policy.max_flapping_task_delay_ms",
            "The longest it is held back.",
            "as Aurora",
            differs="",
        ),
        Unused("max_reschedule_task_delay_on_startup", "pending tasks are placed as soon as a leader leads"),
        Unused("partition_aware", "the engines here tell when a host is lost and when it comes back", switch=True),
        Unused("reconciliation_initial_delay", RECONCILED),
        Flag(
            "reconciliation_explicit_interval",
            Duration(1000),
            "reconciliation_explicit_interval_ms",
            "How often engine and state are compared.",
            AS_LONG,
            differs=ONE_LIST,
        ),
        Flag(
            "reconciliation_implicit_interval",
            Duration(1000),
            "reconciliation_implicit_interval_ms",
            "The same.",
            AS_LONG,
            differs=ONE_LIST,
        ),
        Unused("reconciliation_schedule_spread", ONE_LIST),
        Unused("reconciliation_explicit_batch_size", "an engine tells all it has in one list"),
        Unused("reconciliation_explicit_batch_interval", "an engine tells all it has in one list"),
    ),
)
