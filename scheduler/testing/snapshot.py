"""A state written out as plain values, so that two can be compared: rows and indexes.

Two things are left out. The order of rows, which undoing does not bring back. And the highest exit number an update
has given out, which only grows: a higher one orders the next exits just as well.
"""

from __future__ import annotations

from typing import Any

import attrs

from scheduler.core.state import State
from scheduler.core.tables import Table, Tally, Usage


def logged(state: State) -> dict[str, Any]:
    """What the log amounts to: equal for a leader and for whoever replays its entries."""
    tasks, updates = state.tasks, state.updates
    return {
        "epoch": state.epoch,
        "configs": _rows(state.configs),
        "digests": dict(state.configs.digests),
        "config_uses": _rows(state.config_uses),
        "tasks": {key: attrs.astuple(task, recurse=False) for key, task in tasks.items()},
        "tasks by job": {job: set(rows) for job, rows in tasks.by_job.items()},
        "active tasks": {job: {i: t.task_id for i, t in rows.items()} for job, rows in tasks.active.items()},
        "tasks by status": {status: set(rows) for status, rows in tasks.by_status.items()},
        "pending tasks": {config: set(rows) for config, rows in tasks.pending.items()},
        "spread": {job: dict(spread.hosts) for job, spread in tasks.spread.items()},
        "tasks by host": {host: _usage(usage) for host, usage in tasks.by_host.items()},
        "updates": {key: attrs.astuple(update, recurse=False) for key, update in updates.items()},
        "updates by job": {job: set(rows) for job, rows in updates.by_job.items()},
        "active updates": {job: update.key for job, update in updates.active.items()},
        "progress": _rows(state.progress),
        "maintenance": _rows(state.maintenance),
        "tallies": {key: _tally(tally) for key, tally in state.progress.tallies.items()},
    }


def everything(state: State) -> dict[str, Any]:
    """What is logged, and what only this leader knows."""
    return logged(state) | {
        "hosts": _rows(state.hosts),
        "absent hosts": _rows(state.absent_hosts),
        "reservations": _rows(state.reservations),
        "pulses": _rows(state.pulses),
        "beats": _rows(state.beats),
        "pending reasons": _rows(state.pending_reasons),
        "last ports": _rows(state.last_ports),
    }


def _rows(table: Table[Any, Any]) -> dict[Any, Any]:
    return dict(table.items())


def _usage(usage: Usage) -> tuple[Any, ...]:
    free_of_order = set(usage.tasks), dict(usage.ports)
    return usage.milli_cpus, usage.ram_mb, usage.disk_mb, usage.gpus, *free_of_order


def _tally(tally: Tally) -> tuple[Any, ...]:
    return dict(tally.rows), set(tally.working), tally.failed, tally.succeeded, tally.skipped, tally.again
