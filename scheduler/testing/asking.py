"""Small jobs and updates as Thrift structs, for tests and drills that talk to a real scheduler."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from scheduler.interface import aurora

__all__ = [
    "CALL",
    "UPDATE_ID",
    "job",
    "job_key",
    "settings",
    "task_config",
    "tasks_of",
    "update_query",
    "update_request",
]

CALL: Final = "call"
"""Metadata key of the token of the call that brought a configuration in."""
UPDATE_ID: Final = "org.apache.aurora.client.update_id"
"""Metadata key by which a client recognises the update it started, as Aurora's client does."""

_EXECUTOR: Final = "AuroraExecutor"


def job_key(name: str, *, role: str = "www", environment: str = "prod") -> Any:
    return aurora.JobKey(role=role, environment=environment, name=name)


def task_config(name: str, command: str, *, token: str = "", service: bool = True) -> Any:
    """A task that runs a shell command and asks for next to nothing."""
    return aurora.TaskConfig(
        job=job_key(name),
        isService=service,
        maxTaskFailures=1,
        resources=[aurora.Resource(numCpus=0.01), aurora.Resource(ramMb=1), aurora.Resource(diskMb=1)],
        executorConfig=aurora.ExecutorConfig(name=_EXECUTOR, data=command),
        constraints=[],
        metadata=[aurora.Metadata(key=CALL, value=token)] if token else [],
    )


def job(name: str, command: str, instances: int = 1, *, token: str = "", service: bool = True) -> Any:
    """What createJob takes."""
    config = task_config(name, command, token=token, service=service)
    return aurora.JobConfiguration(key=job_key(name), taskConfig=config, instanceCount=instances)


def settings(*, pulse_timeout_ms: int = 0, watch_ms: int = 0, group_size: int = 1) -> Any:
    """A queue of `group_size`; coordinated when `pulse_timeout_ms` is above 0."""
    return aurora.JobUpdateSettings(
        updateGroupSize=group_size,
        maxPerInstanceFailures=0,
        maxFailedInstances=0,
        minWaitInInstanceRunningMs=watch_ms,
        rollbackOnFailure=True,
        updateOnlyTheseInstances=[],
        blockIfNoPulsesAfterMs=pulse_timeout_ms or None,
    )


def update_request(name: str, command: str, instances: int = 1, *, token: str = "", **how: int) -> Any:
    """What startJobUpdate takes; `how` as in `settings`."""
    return aurora.JobUpdateRequest(
        taskConfig=task_config(name, command, token=token),
        instanceCount=instances,
        settings=settings(**how),
        metadata=[aurora.Metadata(key=UPDATE_ID, value=token)] if token else [],
    )


def update_query(**criteria: Any) -> Any:
    return aurora.JobUpdateQuery(**criteria)


def tasks_of(client: Any, names: Iterable[str] = (), *, role: str = "www") -> list[Any]:
    """All tasks of these jobs, of the whole role without names, ended ones too."""
    keys = [job_key(name, role=role) for name in names]
    query = aurora.TaskQuery(jobKeys=keys) if keys else aurora.TaskQuery(role=role)
    response = client.getTasksWithoutConfigs(query)
    result = response.result
    return [] if result is None or result.scheduleStatusResult is None else list(result.scheduleStatusResult.tasks)
