"""How long what has ended is kept."""

from __future__ import annotations

from scheduler.app.flags.kinds import Duration, Number
from scheduler.app.flags.rows import Flag, Group

GROUP = Group(
    "History",
    (
        Flag(
            "history_prune_threshold",
            Duration(),
            "policy.history_prune_threshold_ms",
            "An ended task is forgotten so long after its last event.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "history_min_retention_threshold",
            Duration(),
            "policy.history_min_retention_ms",
            "An ended task is kept at least so long.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "history_max_per_job_threshold",
            Number(0),
            "policy.history_max_per_job",
            "The most ended tasks kept of one job.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "job_update_history_pruning_threshold",
            Duration(),
            "policy.update_history_prune_threshold_ms",
            "An ended update is forgotten after so long.",
            "as Aurora",
            differs="counts from its end; Aurora's from its start, which may drop one that has only just ended",
        ),
        Flag(
            "job_update_history_per_job_threshold",
            Number(0),
            "policy.update_history_per_job",
            "The most ended updates kept of one job.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "job_update_history_pruning_interval",
            Duration(1000),
            "prune_interval_ms",
            "How often tasks and updates that may be forgotten are looked for.",
            "a look costs little, and the memory is free sooner",
            differs="tasks are pruned at the same times; Aurora's default is 15mins",
        ),
    ),
)
