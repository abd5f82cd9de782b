"""The checks of an update's settings, in the order in which Aurora makes them, with its messages."""

from __future__ import annotations

from scheduler.core.answers import Refused, invalid
from scheduler.core.policy import Policy
from scheduler.core.queries import SettingsRequest
from scheduler.core.records import TaskConfig
from scheduler.core.updates.records import BatchStrategy, QueueStrategy, Strategy, UpdateSettings, VariableBatchStrategy
from scheduler.core.updates.strategies import group_sizes


def strategy_of(asked: SettingsRequest) -> Strategy:
    """The strategy asked for, or the one the deprecated fields stand for."""
    if asked.strategy is not None:
        return asked.strategy
    if asked.wait_for_batch_completion:
        return BatchStrategy(asked.update_group_size)
    return QueueStrategy(asked.update_group_size)


def checked(policy: Policy, asked: SettingsRequest, config: TaskConfig, instance_count: int) -> UpdateSettings:
    """Raises Refused with the first thing that is wrong; where Aurora's message names no field, one of ours follows."""
    strategy = strategy_of(asked)
    sizes = group_sizes(strategy)
    limit = policy.max_update_instance_failures
    field = "settings.updateGroupSize" if asked.strategy is None else "settings.updateStrategy"
    told = f"{field}: group sizes are {list(sizes)}; each must be above 0"
    failures = asked.max_per_instance_failures * instance_count
    checks: tuple[tuple[bool, str] | tuple[bool, str, str], ...] = (
        (
            isinstance(strategy, VariableBatchStrategy) and any(size <= 0 for size in sizes),
            "All update group sizes must be positive.",
            told,
        ),
        (
            asked.strategy_unknown,
            "Update strategy provided is unknown.",
            "settings.updateStrategy must be one of queueStrategy, batchStrategy, varBatchStrategy",
        ),
        (sum(sizes) <= 0, "Update results in no instance being modified.", told),
        (asked.max_per_instance_failures < 0, "maxPerInstanceFailures must be non-negative."),
        (asked.max_failed_instances < 0, "maxFailedInstances must be non-negative."),
        (
            failures > limit,
            "Your update allows too many failures to occur, consider decreasing the per-instance failures or "
            "maxFailedInstances.",
            f"settings.maxPerInstanceFailures times instanceCount is {failures}; it may be at most {limit}",
        ),
        (asked.min_wait_in_instance_running_ms < 0, "minWaitInInstanceRunningMs must be non-negative."),
        ((asked.block_if_no_pulses_after_ms or 0) < 0, "blockIfNoPulsesAfterMs must be positive."),
        (
            bool(asked.sla_aware) and config.sla_policy is None,
            "slaAware is true, but no task slaPolicy is specified.",
        ),
    )
    for wrong, *sentences in checks:
        if wrong:
            raise Refused(invalid(*sentences))
    for scope in asked.update_only_these_instances:
        if scope.first < 0 or scope.last < scope.first:
            raise Refused(invalid(f"updateOnlyTheseInstances: {scope.first}-{scope.last} is no range of instance ids"))
    return UpdateSettings(
        strategy=strategy,
        update_group_size=asked.update_group_size,
        wait_for_batch_completion=asked.wait_for_batch_completion,
        max_per_instance_failures=asked.max_per_instance_failures,
        max_failed_instances=asked.max_failed_instances,
        min_wait_in_instance_running_ms=asked.min_wait_in_instance_running_ms,
        rollback_on_failure=asked.rollback_on_failure,
        update_only_these_instances=asked.update_only_these_instances,
        block_if_no_pulses_after_ms=asked.block_if_no_pulses_after_ms,
        sla_aware=asked.sla_aware,
    )
