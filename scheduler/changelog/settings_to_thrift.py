"""From an update's settings to structs of `thrift/storage.thrift`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scheduler.core.updates.records import BatchStrategy, QueueStrategy, Range, Strategy, UpdateSettings
from scheduler.interface import aurora, storage

__all__ = ["ranges_to_thrift", "settings_to_thrift"]


def ranges_to_thrift(ranges: Iterable[Range]) -> list[Any] | None:
    return [aurora.Range(r.first, r.last) for r in ranges] or None


def _strategy(strategy: Strategy) -> Any:
    if isinstance(strategy, QueueStrategy):
        return storage.Strategy(queue=storage.QueueStrategy(strategy.group_size))
    autopause = strategy.autopause_after_batch or None
    if isinstance(strategy, BatchStrategy):
        return storage.Strategy(batch=storage.BatchStrategy(strategy.group_size, autopause))
    return storage.Strategy(variableBatch=storage.VariableBatchStrategy(strategy.group_sizes, autopause))


def settings_to_thrift(settings: UpdateSettings) -> Any:
    return storage.UpdateSettings(
        strategy=_strategy(settings.strategy),
        updateGroupSize=settings.update_group_size or None,
        waitForBatchCompletion=settings.wait_for_batch_completion or None,
        maxPerInstanceFailures=settings.max_per_instance_failures or None,
        maxFailedInstances=settings.max_failed_instances or None,
        minWaitInInstanceRunningMs=settings.min_wait_in_instance_running_ms or None,
        rollbackOnFailure=settings.rollback_on_failure or None,
        updateOnlyTheseInstances=ranges_to_thrift(settings.update_only_these_instances),
        blockIfNoPulsesAfterMs=settings.block_if_no_pulses_after_ms,
        slaAware=settings.sla_aware,
    )
