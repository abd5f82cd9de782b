"""What monitors say."""

from __future__ import annotations

from typing import Any

from scheduler.core.updates.verdicts import Heartbeat, MonitorVerdict
from scheduler.rpc.from_thrift.keys import update_key
from scheduler.rpc.from_thrift.values import enum_value, present


def heartbeat(struct: Any) -> Heartbeat:
    """A Heartbeat struct as a record. Refuses an absent one, and a verdict that is none."""
    present(struct, "heartbeat")
    verdict = enum_value(MonitorVerdict, struct.verdict or 0, "heartbeat.verdict")
    return Heartbeat(update_key(struct.key), verdict, struct.reason or "", struct.link or "", struct.source or "")
