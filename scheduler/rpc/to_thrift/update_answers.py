"""What was done to an update."""

from __future__ import annotations

from typing import Any

from scheduler.core.answers import Answer
from scheduler.core.updates.expiring import Until
from scheduler.interface import thesan
from scheduler.rpc.to_thrift.heartbeats import details


def update_answer(answer: Answer) -> Any:
    struct = thesan.UpdateAnswer(responseCode=answer.code, details=details(answer))
    if isinstance(answer.result, Until):
        struct.status = answer.result.status
        struct.untilTimestampMs = answer.result.until_ms
    return struct
