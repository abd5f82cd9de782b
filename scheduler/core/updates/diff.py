"""What an update would change: the job as it stands against the job as it is wanted."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping

from attrs import frozen

from scheduler.core.records import Task, TaskConfig
from scheduler.core.updates.records import InstanceConfigs, Range, instance_ids, to_ranges


@frozen
class Diff:
    """Instance ids by what becomes of them. `current` holds what each active instance runs now."""

    current: dict[int, TaskConfig]
    added: tuple[int, ...]
    removed: tuple[int, ...]
    replaced: tuple[int, ...]
    unchanged: tuple[int, ...]
    irrelevant: tuple[int, ...]
    """Asked for by the scope, but neither there nor wanted."""

    @property
    def is_noop(self) -> bool:
        return not (self.added or self.removed or self.replaced)

    def initial(self) -> tuple[InstanceConfigs, ...]:
        """What is taken away or replaced, by its present configuration."""
        return grouped((i, self.current[i]) for i in (*self.removed, *self.replaced))

    def desired(self, config: TaskConfig) -> InstanceConfigs | None:
        ids = (*self.added, *self.replaced)
        return InstanceConfigs(config, to_ranges(ids)) if ids else None


def compare(active: Mapping[int, Task], wanted: TaskConfig, instance_count: int, scope: tuple[Range, ...]) -> Diff:
    """`scope`: only these instances may change; empty: all. Work is bounded by what exists and is wanted, not by it."""
    scope = _merged(scope)
    current = {i: task.config for i, task in active.items()}
    target = range(instance_count)
    touched = [i for i in sorted(current.keys() | set(target)) if not scope or _within(i, scope)]
    added, removed, replaced = [], [], []
    for i in touched:
        if i not in current:
            added.append(i)
        elif i not in target:
            removed.append(i)
        elif current[i] is not wanted and current[i] != wanted:
            replaced.append(i)
    changed = {*added, *removed, *replaced}
    irrelevant = _outside(scope, current.keys() | set(target)) if scope else ()
    return Diff(
        current,
        tuple(added),
        tuple(removed),
        tuple(replaced),
        tuple(i for i in sorted(current) if i not in changed),
        irrelevant,
    )


def _merged(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """The same ids in ascending ranges that do not overlap: a request may name a hundred thousand that do."""
    merged: list[Range] = []
    for r in sorted(ranges):
        if merged and r.first <= merged[-1].last:
            merged[-1] = Range(merged[-1].first, max(merged[-1].last, r.last))
        else:
            merged.append(r)
    return tuple(merged)


def _within(instance: int, merged: tuple[Range, ...]) -> bool:
    at = bisect_right(merged, instance, key=_first) - 1
    return at >= 0 and instance <= merged[at].last


def _first(r: Range) -> int:
    return r.first


def _outside(merged: tuple[Range, ...], known: set[int], most: int = 20) -> tuple[int, ...]:
    """The first few ids of the scope that nobody knows. A scope may name two thousand million ids."""
    found: list[int] = []
    for r in merged:
        for i in instance_ids((r,)):
            if i not in known:
                found.append(i)
            if len(found) == most:
                return tuple(found)
    return tuple(found)


def grouped(pairs: Iterable[tuple[int, TaskConfig]]) -> tuple[InstanceConfigs, ...]:
    """Instances with equal configurations together, as ranges."""
    groups: dict[TaskConfig, list[int]] = {}
    for instance, config in pairs:
        groups.setdefault(config, []).append(instance)
    return tuple(InstanceConfigs(config, to_ranges(ids)) for config, ids in groups.items())
