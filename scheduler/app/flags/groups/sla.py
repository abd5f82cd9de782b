"""What must stay up, and maintenance of hosts."""

from __future__ import annotations

from scheduler.app.flags.kinds import Duration, Number, Switch, Words
from scheduler.app.flags.places import Hosts
from scheduler.app.flags.rows import Flag, Group, Unused
from scheduler.core.sla.figures import Category

FIGURES = Words(*Category.__members__, or_none=True)

GROUP = Group(
    "SLA and maintenance",
    (
        Unused("sla_aware_action_max_batch_size", "each task that an update may or may not end is decided by itself"),
        Flag(
            "sla_aware_kill_retry_min_delay",
            Duration(1),
            "policy.sla_kill_retry_min_delay_ms",
            "An update that keeps to SLA asks again after so long whether it may end a task; twice as long each time.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "sla_aware_kill_retry_max_delay",
            Duration(1),
            "policy.sla_kill_retry_max_delay_ms",
            "And never later than this.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "sla_aware_kill_non_prod",
            Switch(),
            "policy.sla_aware_kill_non_prod",
            "Whether tasks that are not of a production tier may have an SLA policy too, and are protected by it.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "min_required_instances_for_sla_check",
            Number(1),
            "policy.min_required_instances_for_sla_check",
            "Jobs with fewer tasks are not protected by a percentage or a count, and may have no such policy.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "max_sla_duration_secs",
            Duration(1000),
            "policy.max_sla_duration_ms",
            "The longest that an SLA policy may want tasks to have been running.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "sla_coordinator_timeout",
            Duration(1),
            "sla_coordinator_timeout_ms",
            "In which a job's coordinator must have answered, from the connection to the last byte.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "sla_coordinator_hosts",
            Hosts(),
            "policy.sla_coordinator_hosts",
            "The hosts where coordinators may be, with commas between; `*.example.com` is all below example.com.",
            "any, as with Aurora",
        ),
        Flag(
            "max_parallel_coordinated_maintenance",
            Number(1, 1000),
            "max_parallel_coordinated_maintenance",
            "How many coordinators are asked at once.",
            "as Aurora",
            differs="questions of updates count too",
        ),
        Flag(
            "sla_stat_refresh_interval",
            Duration(1000),
            "sla_stat_refresh_interval_ms",
            "How often SLA figures are made, and how far back they look.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "sla_prod_metrics",
            FIGURES,
            "sla_prod_metrics",
            "Which SLA figures are made for jobs of production tiers.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "sla_non_prod_metrics",
            FIGURES,
            "sla_non_prod_metrics",
            "Which SLA figures are made for other jobs.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "host_maintenance_polling_interval",
            Duration(1),
            "policy.host_maintenance_polling_interval_ms",
            "How often a host that drains is looked at.",
            "as Aurora",
            differs="the first look comes at once",
        ),
    ),
)
