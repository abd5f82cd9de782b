"""What an update would change: the job as it stands against the job as it is wanted."""

from __future__ import annotations

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


def _within(instance: int, scope: tuple[Range, ...]) -> bool:
    return any(r.first <= instance <= r.last for r in scope)


def _outside(scope: tuple[Range, ...], known: set[int], most: int = 20) -> tuple[int, ...]:
    """The first few ids of the scope that nobody knows. A scope may name two thousand million ids."""
    found: list[int] = []
    for r in scope:
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
