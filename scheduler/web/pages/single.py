"""Pages of one task or cron job: its whole record; the way to a task's port."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from scheduler.core.answers import Answer
from scheduler.core.policy import Policy
from scheduler.core.records import JobKey, TaskStatus
from scheduler.core.state import State

PORTS: Final = ("health", "http", "HTTP", "web", "admin")
"""Which of a task's ports is meant, in this order."""


def task(state: State, policy: Policy, task_id: str) -> Answer:
    """The record, or None."""
    return Answer(result=state.tasks.get(task_id))


def cron_job(state: State, policy: Policy, job: JobKey) -> Answer:
    """The job as it was described, or None."""
    found = state.cron_jobs.get(job)
    return Answer(result=None if found is None else found.as_job())


def address(state: State, policy: Policy, job: JobKey, instance: int) -> Answer:
    """`http://host:port` of the running task of an instance; None: it does not run, or has no such port."""
    found = state.tasks.active.get(job, {}).get(instance)
    if found is None or found.status is not TaskStatus.RUNNING or found.host is None:
        return Answer()
    ports = dict(found.ports)
    port = next((ports[name] for name in PORTS if name in ports), None)
    if port is None:
        return Answer()
    host = f"[{found.host}]" if ":" in found.host else quote(found.host, safe=".-_")
    return Answer(result=f"http://{host}:{port}")
