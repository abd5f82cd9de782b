"""How a page for people is put together: the way back, then sentences and tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from itertools import chain
from typing import Final
from urllib.parse import quote

from scheduler.core.records import JobKey
from scheduler.core.updates.records import UpdateKey
from scheduler.web.pages.writing import Link, Parts, columns_and_rows, head

HOME: Final = "/scheduler"

ELSEWHERE: Final = (
    Link(HOME, "roles"),
    Link("/updates", "updates"),
    Link("/agents", "hosts"),
    Link("/maintenance", "maintenance"),
    Link("/pendingtasks", "pending tasks"),
    Link("/quotas", "quotas"),
    Link("/utilization", "utilization"),
    Link("/cron", "schedules"),
    Link("/vars", "figures"),
)
"""What leads from the first pages to the others."""


def page(title: str, trail: Iterable[Link], *sections: Parts, refresh_s: int = 0) -> Iterator[str]:
    """`trail` leads back, from everything to what holds this."""
    yield head(title, refresh_s)
    yield f"<nav>{' / '.join(link.html() for link in trail)}</nav>\n"
    for section in sections:
        yield from section


def sentence(text: str) -> Iterator[str]:
    yield f"<p>{escape(text)}</p>\n"


def section(heading: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """A table under a heading; nothing at all without rows."""
    remaining = iter(rows)
    for first in remaining:
        yield f"<h2>{escape(heading)}</h2>\n"
        yield from columns_and_rows(columns, chain((first,), remaining))


def utc(at_ms: int) -> str:
    """To the second; columns of it say UTC."""
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%d %H:%M:%S}"


def path(*parts: str) -> str:
    """The address of what is below /scheduler."""
    return "/".join((HOME, *(quote(part, safe="") for part in parts)))


def job_path(job: JobKey, *below: str) -> str:
    return path(job.role, job.environment, job.name, *below)


def update_link(key: UpdateKey, text: str | None = None) -> Link:
    return Link(job_path(key.job, "update", key.id), key.id if text is None else text)


def trail(job: JobKey | None = None, *parts: str) -> list[Link]:
    """The way to a job, or to the first of its `parts`: role, environment."""
    parts = parts if job is None else (job.role, job.environment, job.name)
    return [Link(HOME, "roles"), *(Link(path(*parts[:i]), parts[i - 1]) for i in range(1, len(parts) + 1))]
