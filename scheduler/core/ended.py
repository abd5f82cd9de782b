"""What has ended, by job and in the order in which it ended, so that forgetting it costs what is forgotten.

Kept by the tables of tasks and updates, as any index: a decision that is undone leaves no trace here either.
"""

from __future__ import annotations

from collections.abc import Iterator

from sortedcontainers import SortedList

from scheduler.core.records import JobKey


class Ended:
    """Of each job: when its records ended (wall clock, milliseconds), and their ids."""

    def __init__(self) -> None:
        self._jobs: dict[JobKey, SortedList] = {}

    def add(self, job: JobKey, at_ms: int, record_id: str) -> None:
        rows = self._jobs.get(job)
        if rows is None:
            rows = self._jobs[job] = SortedList()
        rows.add((at_ms, record_id))

    def drop(self, job: JobKey, at_ms: int, record_id: str) -> None:
        rows = self._jobs[job]
        rows.remove((at_ms, record_id))
        if not rows:
            del self._jobs[job]

    def jobs(self) -> Iterator[JobKey]:
        return iter(self._jobs)

    def rows(self) -> Iterator[tuple[JobKey, int, str]]:
        """All there is: (job, at_ms, id)."""
        return ((job, *row) for job, rows in self._jobs.items() for row in rows)

    def count(self, job: JobKey) -> int:
        rows = self._jobs.get(job)
        return 0 if rows is None else len(rows)

    def oldest_first(self, job: JobKey) -> Iterator[tuple[int, str]]:
        """(at_ms, id). Nothing may end or be forgotten meanwhile."""
        return iter(self._jobs.get(job, ()))
