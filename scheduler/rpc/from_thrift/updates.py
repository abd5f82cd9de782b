"""Update requests: settings are kept as they were sent, the core checks them."""

from __future__ import annotations

from typing import Any

from scheduler.core.answers import Refused, invalid
from scheduler.core.queries import SettingsRequest, UpdateRequest
from scheduler.core.updates.records import BatchStrategy, QueueStrategy, Strategy, VariableBatchStrategy
from scheduler.rpc.from_thrift.jobs import task_config
from scheduler.rpc.from_thrift.keys import instance_range, metadata
from scheduler.rpc.from_thrift.values import branches, each, present


def update_request(request: Any) -> UpdateRequest:
    """A JobUpdateRequest struct as a record. Refuses an absent one."""
    present(request, "request")
    return UpdateRequest(
        task_config=None if request.taskConfig is None else task_config(request.taskConfig),
        instance_count=request.instanceCount or 0,
        settings=None if request.settings is None else _settings(request.settings),
        metadata=each(metadata, request.metadata),
    )


def _settings(settings: Any) -> SettingsRequest:
    found = [] if settings.updateStrategy is None else branches(settings.updateStrategy)
    if len(found) > 1:
        names = ", ".join(name for name, _ in found)
        raise Refused(invalid(f"settings.updateStrategy: {names} are all set; exactly one must be"))
    return SettingsRequest(
        update_group_size=settings.updateGroupSize or 0,
        max_per_instance_failures=settings.maxPerInstanceFailures or 0,
        max_failed_instances=settings.maxFailedInstances or 0,
        min_wait_in_instance_running_ms=settings.minWaitInInstanceRunningMs or 0,
        rollback_on_failure=bool(settings.rollbackOnFailure),
        update_only_these_instances=tuple(sorted(set(each(instance_range, settings.updateOnlyTheseInstances)))),
        wait_for_batch_completion=bool(settings.waitForBatchCompletion),
        block_if_no_pulses_after_ms=settings.blockIfNoPulsesAfterMs,
        sla_aware=settings.slaAware,
        strategy=_strategy(*found[0]) if found else None,
        strategy_unknown=settings.updateStrategy is not None and not found,
    )


def _strategy(name: str, strategy: Any) -> Strategy:
    if name == "queueStrategy":
        return QueueStrategy(strategy.groupSize or 0)
    if name == "batchStrategy":
        return BatchStrategy(strategy.groupSize or 0, bool(strategy.autopauseAfterBatch))
    return VariableBatchStrategy(tuple(strategy.groupSizes or ()), bool(strategy.autopauseAfterBatch))
