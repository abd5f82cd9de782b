"""The parts of a job file that say what must stay up, and what becomes of tasks on silent hosts."""

from __future__ import annotations

from typing import Any

from scheduler.client.fields import Fields
from scheduler.interface import aurora

_KINDS = ("percentage", "count", "coordinator")


def sla_policy(fields: Fields) -> Any:
    """`percentage` or `count` with `duration`, or `coordinator` with `status_key`. Raises Usage for none or several."""
    fields.only(*_KINDS, "duration", "status_key")
    given = [kind for kind in _KINDS if kind in fields]
    if len(given) != 1:
        at = given[1] if given else _KINDS[0]
        raise fields.complain(at, f"exactly one of {', '.join(_KINDS)} must be given")
    for other, kinds in (("duration", _KINDS[:2]), ("status_key", _KINDS[2:])):
        if other in fields and given[0] not in kinds:
            raise fields.complain(other, f"goes with {' or '.join(kinds)}, not with {given[0]}")
    duration = fields.duration_ms("duration", 0) // 1000
    if given == ["percentage"]:
        percentage = fields.number("percentage")
        return aurora.SlaPolicy(
            percentageSlaPolicy=aurora.PercentageSlaPolicy(percentage=percentage, durationSecs=duration)
        )
    if given == ["count"]:
        return aurora.SlaPolicy(
            countSlaPolicy=aurora.CountSlaPolicy(count=fields.count("count"), durationSecs=duration)
        )
    url, key = fields.text("coordinator"), fields.text("status_key", "drain")
    return aurora.SlaPolicy(coordinatorSlaPolicy=aurora.CoordinatorSlaPolicy(coordinatorUrl=url, statusKey=key))


def partition_policy(fields: Fields) -> Any:
    """`reschedule`, and with it `delay`."""
    fields.only("reschedule", "delay")
    return aurora.PartitionPolicy(
        reschedule=fields.flag("reschedule", True), delaySecs=fields.duration_ms("delay", 0) // 1000
    )
