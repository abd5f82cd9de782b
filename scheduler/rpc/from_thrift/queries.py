"""Task and update queries. A criterion that is unset or empty restricts nothing."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, TypeVar

from scheduler.core.queries import TaskQuery, UpdateQuery
from scheduler.core.records import TaskStatus
from scheduler.core.updates.records import UpdateStatus
from scheduler.rpc.from_thrift.keys import job_key, update_key
from scheduler.rpc.from_thrift.values import enum_value, present

E = TypeVar("E", bound=IntEnum)
K = TypeVar("K")

_NO_JOB = job_key(None)
_NO_UPDATE = update_key(None)


def task_query(query: Any) -> TaskQuery:
    """A TaskQuery struct as a record. Refuses an absent one and unknown statuses."""
    present(query, "query")
    return TaskQuery(
        role=query.role,
        environment=query.environment,
        job_name=query.jobName,
        task_ids=frozenset(query.taskIds or ()),
        statuses=_statuses(TaskStatus, query.statuses, "statuses"),
        instance_ids=frozenset(query.instanceIds or ()),
        hosts=frozenset(query.slaveHosts or ()),
        job_keys=frozenset(job_key(key) for key in query.jobKeys or ()),
        offset=query.offset or 0,
        limit=query.limit or 0,
    )


def update_query(query: Any) -> UpdateQuery:
    """A JobUpdateQuery struct as a record. Refuses an absent one and unknown statuses."""
    present(query, "jobUpdateQuery")
    return UpdateQuery(
        role=query.role,
        job=_unless_empty(job_key(query.jobKey), _NO_JOB),
        key=_unless_empty(update_key(query.key), _NO_UPDATE),
        user=query.user,
        statuses=_statuses(UpdateStatus, query.updateStatuses, "updateStatuses"),
        offset=query.offset or 0,
        limit=query.limit or 0,
    )


def _unless_empty(key: K, empty: K) -> K | None:
    """Go's library sends a key that was never set as one without parts."""
    return None if key == empty else key


def _statuses(enum: type[E], values: Iterable[int] | None, field: str) -> frozenset[E]:
    return frozenset(enum_value(enum, value, field) for value in values or ())
