"""Which task runs where."""

from __future__ import annotations

from scheduler.app.flags.rows import Group, Unused

NO_OFFERS = "hosts are offered as a whole and stay offered; there are no Mesos offers to hold or decline"
NO_ATTEMPTS = "every pending task is looked at when something changes; attempts are not rationed"
NO_PREEMPTION = "no task is preempted yet"
NO_AFFINITY = "instances do not keep their host in an update yet"

GROUP = Group(
    "Placement",
    (
        Unused("first_schedule_delay", NO_ATTEMPTS),
        Unused("initial_schedule_penalty", NO_ATTEMPTS),
        Unused("max_schedule_penalty", NO_ATTEMPTS),
        Unused("max_schedule_attempts_per_sec", NO_ATTEMPTS),
        Unused("max_tasks_per_schedule_attempt", NO_ATTEMPTS),
        Unused("scheduling_max_batch_size", NO_ATTEMPTS),
        Unused("offer_order", NO_OFFERS),
        Unused("min_offer_hold_time", NO_OFFERS),
        Unused("offer_hold_jitter_window", NO_OFFERS),
        Unused("offer_filter_duration", NO_OFFERS),
        Unused("hold_offers_forever", NO_OFFERS, switch=True),
        Unused("offer_reservation_duration", NO_OFFERS),
        Unused("offer_static_ban_cache_max_size", NO_OFFERS),
        Unused("offer_set_module", "Java classes cannot be loaded"),
        Unused("task_assigner_modules", "Java classes cannot be loaded"),
        Unused("enable_preemptor", NO_PREEMPTION, switch=True),
        Unused("preemption_delay", NO_PREEMPTION),
        Unused("preemption_slot_hold_time", NO_PREEMPTION),
        Unused("preemption_slot_search_initial_delay", NO_PREEMPTION),
        Unused("preemption_slot_search_interval", NO_PREEMPTION),
        Unused("preemption_reservation_max_batch_size", NO_PREEMPTION),
        Unused("preemption_slot_finder_modules", "Java classes cannot be loaded"),
        Unused("enable_update_affinity", NO_AFFINITY, switch=True),
        Unused("update_affinity_reservation_hold_time", NO_AFFINITY),
        Unused("async_slot_stat_update_interval", "figures are read when they are asked for"),
        Unused("async_task_stat_update_interval", "figures are read when they are asked for"),
    ),
)
