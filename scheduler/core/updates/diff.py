"""What an update would change: the job as it stands against the job as it is wanted."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from itertools import islice

from attrs import frozen

from scheduler.core.records import Task, TaskConfig
from scheduler.core.updates.records import InstanceConfigs, Range, to_ranges


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


def compare(
    active: Mapping[int, Task],
    wanted: TaskConfig,
    instance_count: int,
    scope: tuple[Range, ...],
    most_added: int | None = None,
) -> Diff:
    """`scope`: only these instances may change; empty: all. Both it and `instance_count` may name two thousand million
    ids: work is bounded by what exists and by `most_added`, beyond which what is to be created is not counted.
    """
    scope = _merged(scope)
    current = {i: task.config for i, task in active.items()}
    target = range(instance_count)
    inside = [i for i in sorted(current) if not scope or _within(i, scope)]
    removed = [i for i in inside if i not in target]
    replaced = [i for i in inside if i in target and current[i] is not wanted and current[i] != wanted]
    changed = {*removed, *replaced}
    spans = [range(max(r.first, 0), min(r.last + 1, instance_count)) for r in scope] if scope else [target]
    return Diff(
        current,
        tuple(islice((i for span in spans for i in span if i not in current), most_added)),
        tuple(removed),
        tuple(replaced),
        tuple(i for i in sorted(current) if i not in changed),
        _outside(scope, current, instance_count),
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


def _outside(
    merged: tuple[Range, ...], current: Mapping[int, TaskConfig], count: int, most: int = 20
) -> tuple[int, ...]:
    """The first few ids of the scope that are neither there nor wanted."""
    beyond = (
        part for r in merged for part in (range(r.first, min(r.last + 1, 0)), range(max(r.first, count), r.last + 1))
    )
    return tuple(islice((i for part in beyond for i in part if i not in current), most))


def grouped(pairs: Iterable[tuple[int, TaskConfig]]) -> tuple[InstanceConfigs, ...]:
    """Instances with equal configurations together, as ranges."""
    groups: dict[TaskConfig, list[int]] = {}
    for instance, config in pairs:
        groups.setdefault(config, []).append(instance)
    return tuple(InstanceConfigs(config, to_ranges(ids)) for config, ids in groups.items())
