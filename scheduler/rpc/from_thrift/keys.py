"""Keys and other small arguments. A part that is missing is an empty string; the core judges it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scheduler.core.records import JobKey, Metadata
from scheduler.core.updates.records import Range, UpdateKey
from scheduler.rpc.from_thrift.values import not_blank, present

message = not_blank
"""What a person says about a change; blank is None."""


def job_key(key: Any) -> JobKey:
    """A JobKey struct, or None, as a record."""
    if key is None:
        return JobKey("", "", "")
    return JobKey(key.role or "", key.environment or "", key.name or "")


def update_key(key: Any) -> UpdateKey:
    """A JobUpdateKey struct, or None, as a record."""
    if key is None:
        return UpdateKey(job_key(None), "")
    return UpdateKey(job_key(key.job), key.id or "")


def instance_ids(ids: Iterable[int] | None) -> tuple[int, ...]:
    """A set of instance ids, ascending; unset is empty."""
    return tuple(sorted(set(ids or ())))


def instance_range(struct: Any) -> Range:
    return Range(struct.first or 0, struct.last or 0)


def metadata(struct: Any) -> Metadata:
    return Metadata(struct.key or "", struct.value or "")


def host_names(hosts: Any) -> frozenset[str]:
    """A Hosts struct. Refuses an absent one; one without names is about no host."""
    return frozenset(present(hosts, "hosts").hostNames or ())
