"""Keys and other small records."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scheduler.core.records import JobKey, Metadata
from scheduler.core.updates.records import Range, UpdateKey
from scheduler.interface import aurora


def job_key(key: JobKey) -> Any:
    return aurora.JobKey(role=key.role, environment=key.environment, name=key.name)


def update_key(key: UpdateKey) -> Any:
    return aurora.JobUpdateKey(job=job_key(key.job), id=key.id)


def ranges(items: Iterable[Range]) -> list[Any]:
    return [aurora.Range(first=item.first, last=item.last) for item in items]


def metadata(items: Iterable[Metadata]) -> list[Any]:
    return [aurora.Metadata(key=item.key, value=item.value) for item in items]


def owner(user: str | None) -> Any:
    return None if user is None else aurora.Identity(user=user)
