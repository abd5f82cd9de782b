"""Deadlines of tasks, and tasks that keep failing."""

from __future__ import annotations

from scheduler.app.flags.kinds import Duration, Number
from scheduler.app.flags.rows import Flag, Group, Unused
from scheduler.leadership.reconciling import MOST_AT_ONCE

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
        Flag(
            "host_silence",
            Duration(1000),
            "policy.host_silence_ms",
            "A host that has not been offered for so long is silent: its tasks are PARTITIONED.",
            "as long as a Mesos master waits for an agent",
        ),
        Flag(
            "reconciliation_initial_delay",
            Duration(),
            "policy.reconciliation_initial_delay_ms",
            "How long a leader has led when state and engine are compared for the second time.",
            "as Aurora",
            differs="both comparisons are made as soon as leadership begins too",
        ),
        Flag(
            "reconciliation_explicit_interval",
            Duration(1000),
            "policy.reconciliation_explicit_interval_ms",
            "How often it is looked whether everything runs that should.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "reconciliation_implicit_interval",
            Duration(1000),
            "policy.reconciliation_implicit_interval_ms",
            "How often it is looked whether anything runs that should not.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "reconciliation_schedule_spread",
            Duration(),
            "policy.reconciliation_schedule_spread_ms",
            "How long after the other one the second of these is made first.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "reconciliation_explicit_batch_size",
            Number(1, MOST_AT_ONCE),
            "policy.reconciliation_explicit_batch_size",
            "How many tasks are compared in one decision.",
            "as Aurora",
            differs="they are compared with one list of all that the engine has",
        ),
        Unused("reconciliation_explicit_batch_interval", "an engine tells all it has in one list"),
    ),
)
