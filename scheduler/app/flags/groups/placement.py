"""Which task runs where."""

from __future__ import annotations

from scheduler.app.flags.kinds import Choice, Duration, Number, Switch
from scheduler.app.flags.rows import Flag, Group, Unused
from scheduler.core.policy import OfferOrder

NO_OFFERS = "hosts are offered as a whole and stay offered; there are no Mesos offers to hold or decline"
NO_ATTEMPTS = "a pending task is looked at when it comes, and again when something is freed; attempts are not rationed"
AT_ONCE = "what a search finds is done in the same decision, so nothing is held until then"

GROUP = Group(
    "Placement",
    (
        Flag(
            "offer_order",
            Choice(*OfferOrder),
            "policy.offer_order",
            "Of several hosts with room: any one, or the one with the least CPU, memory or disk left.",
            "as Aurora: a job's tasks come to be on many hosts",
            differs="one word, not a list; REVOCABLE_CPU is not there",
        ),
        Flag(
            "max_tasks_per_schedule_attempt",
            Number(1),
            "policy.max_tasks_per_schedule_attempt",
            "How many tasks of one configuration are placed before the next one has its turn.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "initial_schedule_penalty",
            Duration(1),
            "policy.initial_schedule_penalty_ms",
            "How long a configuration that fits nowhere backs off first; doubled each time.",
            "as Aurora",
            differs="only when more than 100 configurations wait; the others look as soon as something is freed",
        ),
        Flag(
            "max_schedule_penalty",
            Duration(1),
            "policy.max_schedule_penalty_ms",
            "How long at most.",
            "as Aurora",
            differs="as the penalty before it",
        ),
        Flag(
            "offer_static_ban_cache_max_size",
            Number(0),
            "policy.offer_static_ban_cache_max_size",
            "How many pairs of a host and a set of constraints are remembered not to go together.",
            "about 100 MB",
            differs="Aurora remembers any number by default",
        ),
        Flag(
            "offer_reservation_duration",
            Duration(1),
            "policy.offer_reservation_duration_ms",
            "How long room is kept for a task for which others made way.",
            "as Aurora",
            differs="keeps the room that is needed; Aurora keeps the whole host",
        ),
        Flag(
            "unavailability_threshold",
            Duration(),
            "policy.unavailability_threshold_ms",
            "A host that has announced to go away takes no task from so long before.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "enable_preemptor",
            Switch(),
            "policy.enable_preemptor",
            "Tasks may end others that matter less.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "preemption_delay",
            Duration(),
            "policy.preemption_delay_ms",
            "How long a task waits for a host before others make way.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "preemption_slot_search_interval",
            Duration(1),
            "policy.preemption_search_interval_ms",
            "How often is searched, at most.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "preemption_reservation_max_batch_size",
            Number(1),
            "policy.preemption_reservation_max_batch_size",
            "For how many tasks of one configuration before the next one has its turn.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "enable_update_affinity",
            Switch(),
            "policy.enable_update_affinity",
            "An instance that an update replaces comes back to its host, if there is room.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "update_affinity_reservation_hold_time",
            Duration(1),
            "policy.update_affinity_reservation_hold_ms",
            "How long room is kept there.",
            "as Aurora",
            differs="keeps the room that is needed; Aurora keeps the whole host",
        ),
        Unused("first_schedule_delay", NO_ATTEMPTS),
        Unused("max_schedule_attempts_per_sec", NO_ATTEMPTS),
        Unused("scheduling_max_batch_size", NO_ATTEMPTS),
        Unused("min_offer_hold_time", NO_OFFERS),
        Unused("offer_hold_jitter_window", NO_OFFERS),
        Unused("offer_filter_duration", NO_OFFERS),
        Unused("hold_offers_forever", NO_OFFERS, switch=True),
        Unused("offer_set_module", "Java classes cannot be loaded"),
        Unused("task_assigner_modules", "Java classes cannot be loaded"),
        Unused("preemption_slot_hold_time", AT_ONCE),
        Unused("preemption_slot_search_initial_delay", "the first search comes when somebody has waited long enough"),
        Unused("preemption_slot_finder_modules", "Java classes cannot be loaded"),
        Unused("async_slot_stat_update_interval", "figures are read when they are asked for"),
        Unused("async_task_stat_update_interval", "figures are read when they are asked for"),
    ),
)
