"""Updates: summaries, instructions, histories."""

from __future__ import annotations

from typing import Any

from scheduler.core.queries import StartedUpdate
from scheduler.core.updates.records import (
    BatchStrategy,
    InstanceConfigs,
    InstanceEvent,
    Instructions,
    JobUpdate,
    QueueStrategy,
    Strategy,
    UpdateEvent,
    UpdateSettings,
)
from scheduler.interface import aurora
from scheduler.rpc.to_thrift.jobs import task_config
from scheduler.rpc.to_thrift.keys import metadata, ranges, update_key


def update_summary(update: JobUpdate) -> Any:
    state = aurora.JobUpdateState(
        status=update.status, createdTimestampMs=update.created_ms, lastModifiedTimestampMs=update.last_modified_ms
    )
    return aurora.JobUpdateSummary(
        key=update_key(update.key), user=update.user, state=state, metadata=metadata(update.metadata)
    )


def started_summary(started: StartedUpdate) -> Any:
    """The summary of an update that this call started has no state, as Aurora's has none."""
    if started.running is not None:
        return update_summary(started.running)
    return aurora.JobUpdateSummary(key=update_key(started.key), user=started.user, metadata=metadata(started.metadata))


def update_details(update: JobUpdate) -> Any:
    return aurora.JobUpdateDetails(
        update=aurora.JobUpdate(summary=update_summary(update), instructions=_instructions(update.instructions)),
        updateEvents=[update_event(event) for event in update.events],
        instanceEvents=[instance_event(event) for event in update.instance_events],
    )


def _instructions(instructions: Instructions) -> Any:
    desired = instructions.desired
    return aurora.JobUpdateInstructions(
        initialState=[_instance_configs(part) for part in instructions.initial],
        desiredState=None if desired is None else _instance_configs(desired),
        settings=update_settings(instructions.settings),
    )


def _instance_configs(part: InstanceConfigs) -> Any:
    struct = without_config(part)
    struct.task = task_config(part.config)
    return struct


def without_config(part: InstanceConfigs) -> Any:
    return aurora.InstanceTaskConfig(instances=ranges(part.instances))


def update_settings(settings: UpdateSettings) -> Any:
    return aurora.JobUpdateSettings(
        updateGroupSize=settings.update_group_size,
        maxPerInstanceFailures=settings.max_per_instance_failures,
        maxFailedInstances=settings.max_failed_instances,
        minWaitInInstanceRunningMs=settings.min_wait_in_instance_running_ms,
        rollbackOnFailure=settings.rollback_on_failure,
        updateOnlyTheseInstances=ranges(settings.update_only_these_instances),
        waitForBatchCompletion=settings.wait_for_batch_completion,
        blockIfNoPulsesAfterMs=settings.block_if_no_pulses_after_ms,
        slaAware=settings.sla_aware,
        updateStrategy=_strategy(settings.strategy),
    )


def _strategy(strategy: Strategy) -> Any:
    if isinstance(strategy, QueueStrategy):
        return aurora.JobUpdateStrategy(queueStrategy=aurora.QueueJobUpdateStrategy(groupSize=strategy.group_size))
    if isinstance(strategy, BatchStrategy):
        batch = aurora.BatchJobUpdateStrategy(
            groupSize=strategy.group_size, autopauseAfterBatch=strategy.autopause_after_batch
        )
        return aurora.JobUpdateStrategy(batchStrategy=batch)
    variable = aurora.VariableBatchJobUpdateStrategy(
        groupSizes=list(strategy.group_sizes), autopauseAfterBatch=strategy.autopause_after_batch
    )
    return aurora.JobUpdateStrategy(varBatchStrategy=variable)


def update_event(event: UpdateEvent) -> Any:
    return aurora.JobUpdateEvent(
        status=event.status, timestampMs=event.timestamp_ms, user=event.user, message=event.message
    )


def instance_event(event: InstanceEvent) -> Any:
    return aurora.JobInstanceUpdateEvent(
        instanceId=event.instance_id, timestampMs=event.timestamp_ms, action=event.action, message=event.message
    )
