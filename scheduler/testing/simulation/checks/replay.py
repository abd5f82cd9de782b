"""Memory is what the log says: the live state, the log replayed, and nothing in between differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scheduler.core.state import State
from scheduler.testing.simulation.broken import Broken
from scheduler.testing.simulation.checks.base import Check, Witness


def difference(one: State, other: State) -> str | None:
    """The first thing in which two states differ in what is logged; None: they do not."""
    for (name, left), (_, right) in zip(_parts(one), _parts(other), strict=True):
        if left != right:
            if isinstance(left, dict):
                odd = [key for key in left.keys() | right.keys() if left.get(key) != right.get(key)]
                shown = sorted(map(str, odd))[0]
                key = next(key for key in odd if str(key) == shown)
                return f"{name} {shown}: {left.get(key)} and {right.get(key)}"
            return f"{name}: {left} and {right}"
    return None


def _parts(state: State) -> Iterator[tuple[str, Any]]:
    yield "epoch", state.epoch
    yield "configuration", dict(state.configs.items())
    yield "uses of configuration", dict(state.config_uses.items())
    yield "task", {task_id: _task(task) for task_id, task in state.tasks.items()}
    yield "update", {key: _update(update) for key, update in state.updates.items()}
    yield "remarks on", dict(state.remarks.items())
    yield "progress of", dict(state.progress.items())
    yield (
        "active tasks of",
        {job: {instance: task.task_id for instance, task in rows.items()} for job, rows in state.tasks.active.items()},
    )
    yield "active update of", {job: update.key for job, update in state.updates.active.items()}
    yield "cron job", dict(state.cron_jobs.items())
    yield "quota of", dict(state.quotas.items())
    yield "maintenance of", dict(state.maintenance.items())


def _task(task: Any) -> tuple[Any, ...]:
    return (
        task.instance_id,
        task.config,
        task.status,
        task.events,
        task.failure_count,
        task.ancestor_id,
        task.times_partitioned,
        task.host,
        task.agent_id,
        task.ports,
    )


def _update(update: Any) -> tuple[Any, ...]:
    return (
        update.user,
        update.instructions,
        update.metadata,
        list(update.events),
        list(update.instance_events),
        update.notes,
    )


class Replay(Check):
    rule = "replay"

    def swept(self, witness: Witness) -> None:
        wrong = difference(self.world.store.mirror, witness.controller.state)
        if wrong:
            raise Broken(self.rule, f"the log replayed differs from memory: {wrong}")
