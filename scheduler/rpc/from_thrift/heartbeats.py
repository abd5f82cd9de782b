"""What monitors say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scheduler.core.answers import Answer, Refused
from scheduler.core.updates.verdicts import Heartbeat, MonitorVerdict
from scheduler.rpc.from_thrift.keys import update_key
from scheduler.rpc.from_thrift.values import each, enum_value, present


def heartbeat(struct: Any) -> Heartbeat:
    """A Heartbeat struct as a record. Refuses an absent one, and a verdict that is none."""
    present(struct, "heartbeat")
    verdict = enum_value(MonitorVerdict, struct.verdict or 0, "heartbeat.verdict")
    return Heartbeat(update_key(struct.key), verdict, struct.reason or "", struct.link or "", struct.source or "")


def heartbeats(structs: Iterable[Any] | None) -> tuple[Heartbeat | Answer, ...]:
    """Each for itself: in the place of one that is refused stands what it is answered."""
    return each(_heartbeat_or_answer, structs)


def _heartbeat_or_answer(struct: Any) -> Heartbeat | Answer:
    try:
        return heartbeat(struct)
    except Refused as refused:
        return refused.answer
