"""Explanations."""

from __future__ import annotations

from typing import Any

from scheduler.core.answers import Answer, Code
from scheduler.core.updates.explain import Explanation, HeldBy, WaitingInstance
from scheduler.interface import thesan
from scheduler.rpc.to_thrift.heartbeats import details
from scheduler.rpc.to_thrift.keys import update_key


def explanation(answer: Answer) -> Any:
    """Without a leader, or when the store took nothing, that is what holds the update."""
    struct = thesan.Explanation(responseCode=answer.code, details=details(answer))
    found = answer.result
    if isinstance(found, Explanation):
        _fill(struct, found)
    elif answer.code is Code.ERROR_TRANSIENT:
        struct.heldBy = HeldBy.STORE
        struct.sentence = " ".join(struct.details)
        struct.whatNext = "Ask again"
    return struct


def _fill(struct: Any, found: Explanation) -> None:
    holder = found.holder
    struct.key = update_key(found.key)
    struct.status = found.status
    struct.sentence = found.sentence
    struct.heldBy = holder.held_by
    struct.who = holder.who
    struct.why = holder.why
    struct.sinceTimestampMs = holder.since_ms
    struct.untilTimestampMs = holder.until_ms
    struct.whatNext = holder.next
    struct.heartbeatAgeMs = found.heartbeat_age_ms
    struct.heartbeatSource = found.heartbeat_source
    struct.heartbeatLink = found.heartbeat_link
    struct.monitorUrl = found.monitor_url
    struct.waitingInstances = [_waiting(one) for one in found.waiting]
    struct.remarks = [
        thesan.Remark(timestampMs=one.timestamp_ms, user=one.user or None, message=one.message) for one in found.remarks
    ]


def _waiting(one: WaitingInstance) -> Any:
    return thesan.WaitingInstance(
        instanceId=one.instance, status=one.status, sinceTimestampMs=one.since_ms, reason=one.reason
    )
