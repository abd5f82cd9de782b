"""What must stay up, and maintenance of hosts."""

from __future__ import annotations

from scheduler.app.flags.rows import Group, Unused

NO_SLA = "SLA-aware updates and maintenance are not served yet"

GROUP = Group(
    "SLA and maintenance",
    (
        Unused("sla_aware_action_max_batch_size", NO_SLA),
        Unused("sla_aware_kill_retry_min_delay", NO_SLA),
        Unused("sla_aware_kill_retry_max_delay", NO_SLA),
        Unused("sla_aware_kill_non_prod", NO_SLA, switch=True),
        Unused("min_required_instances_for_sla_check", NO_SLA),
        Unused("max_sla_duration_secs", NO_SLA),
        Unused("sla_coordinator_timeout", NO_SLA),
        Unused("max_parallel_coordinated_maintenance", NO_SLA),
        Unused("sla_stat_refresh_interval", NO_SLA),
        Unused("sla_prod_metrics", NO_SLA),
        Unused("sla_non_prod_metrics", NO_SLA),
        Unused("host_maintenance_polling_interval", NO_SLA),
    ),
)
