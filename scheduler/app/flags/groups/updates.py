"""Updates and their heartbeats."""

from __future__ import annotations

from scheduler.app.flags.kinds import Choice, Duration, Number, Switch
from scheduler.app.flags.rows import Flag, Group
from scheduler.settings import PULSE_AFTER_FAILOVER

GROUP = Group(
    "Updates",
    (
        Flag(
            "max_update_instance_failures",
            Number(1),
            "policy.max_update_instance_failures",
            "The most failures an update may allow, over all its instances.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "pulse_record_grace_ms",
            Duration(bare=True),
            "policy.pulse_record_grace_ms",
            "How long after its timeout a missing heartbeat is recorded. Nothing starts in that time either.",
            "a monitor that beats just in time does not flap",
            default="5 % of the timeout, 1 to 5 s",
            aliases=("pulse_record_grace",),
        ),
        Flag(
            "pulse_after_failover",
            Choice(*PULSE_AFTER_FAILOVER),
            "pulse_after_failover",
            "Wait for a heartbeat, or infer the last one from the history, for monitors that beat rarely.",
            "a heartbeat that nobody heard is not made up",
        ),
        Flag(
            "autopause_after_last_batch",
            Switch(),
            "policy.autopause_after_last_batch",
            "Does autopauseAfterBatch pause after the last batch too?",
            "release 0.22 did and clients expect it",
        ),
    ),
)
