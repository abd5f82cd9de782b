"""Events of the stream."""

from __future__ import annotations

from typing import Any

from scheduler.contracts import Event, Events
from scheduler.core.answers import Answer
from scheduler.interface import thesan
from scheduler.rpc.to_thrift.heartbeats import details
from scheduler.rpc.to_thrift.keys import job_key


def event_batch(answer: Answer) -> Any:
    struct = thesan.EventBatch(responseCode=answer.code, details=details(answer), events=[])
    if isinstance(answer.result, Events):
        struct.events = [event(one) for one in answer.result.events]
        struct.nextCursor = answer.result.upto
    return struct


def event(one: Event) -> Any:
    return thesan.Event(
        cursor=one.cursor,
        index=one.index,
        kind=one.kind.value,
        timestampMs=one.timestamp_ms,
        job=None if one.job is None else job_key(one.job),
        instanceId=one.instance_id,
        taskId=one.task_id,
        taskStatus=one.task_status,
        host=one.host,
        updateId=one.update_id,
        updateStatus=one.update_status,
        action=one.action,
        user=one.user,
        message=one.message,
        epoch=one.epoch,
    )
