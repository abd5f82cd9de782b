"""Jobs and task configurations."""

from __future__ import annotations

from math import isfinite
from typing import Any

from scheduler.core.answers import Refused, invalid
from scheduler.core.records import (
    AppcImage,
    Constraint,
    CoordinatorSlaPolicy,
    CountSlaPolicy,
    DockerContainer,
    DockerImage,
    DockerParameter,
    ExecutorConfig,
    FetcherUri,
    JobConfiguration,
    LimitConstraint,
    MesosContainer,
    PartitionPolicy,
    PercentageSlaPolicy,
    Resource,
    ResourceKind,
    SlaPolicy,
    TaskConfig,
    ValueConstraint,
    Volume,
)
from scheduler.interface import aurora
from scheduler.rpc.from_thrift.keys import job_key, metadata
from scheduler.rpc.from_thrift.values import branch, each, enum_number, not_blank, present

_RESOURCES = {entry[1]: ResourceKind(number) for number, entry in aurora.Resource.thrift_spec.items()}


def job_configuration(job: Any) -> JobConfiguration:
    """A JobConfiguration struct as a record. Refuses an absent one."""
    present(job, "description")
    collision = job.cronCollisionPolicy
    if collision is not None:
        collision = enum_number(aurora.CronCollisionPolicy._VALUES_TO_NAMES, collision, "cronCollisionPolicy")
    return JobConfiguration(
        key=None if job.key is None else job_key(job.key),
        task_config=None if job.taskConfig is None else task_config(job.taskConfig),
        instance_count=job.instanceCount or 0,
        owner_user=_owner(job.owner),
        cron_schedule=job.cronSchedule,
        cron_collision_policy=collision,
    )


def task_config(config: Any) -> TaskConfig:
    """A TaskConfig struct as a record. Refuses broken unions, unknown enum values and amounts that are no numbers."""
    return TaskConfig(
        job=job_key(config.job),
        is_service=bool(config.isService),
        priority=config.priority or 0,
        max_task_failures=config.maxTaskFailures or 0,
        owner_user=_owner(config.owner),
        production=config.production,
        tier=config.tier,
        contact_email=config.contactEmail,
        executor=_executor(config.executorConfig),
        container=_container(config.container),
        resources=each(_resource, config.resources),
        constraints=each(_constraint, config.constraints),
        metadata=each(metadata, config.metadata),
        fetcher_uris=each(_fetcher_uri, config.mesosFetcherUris),
        task_links=tuple((config.taskLinks or {}).items()),
        partition_policy=_partition_policy(config.partitionPolicy),
        sla_policy=None if config.slaPolicy is None else sla_policy(config.slaPolicy, "slaPolicy"),
    )


def quota_resources(quota: Any) -> tuple[tuple[ResourceKind, float], ...] | None:
    """The amounts of a ResourceAggregate, as they were sent; None: there is no aggregate."""
    if quota is None:
        return None
    found = each(_resource, quota.resources)
    return tuple((r.kind, 0.0 if isinstance(r.value, str) else r.value) for r in found)


def sla_policy(union: Any, field: str) -> SlaPolicy:
    name, policy = branch(union, field)
    if name == "percentageSlaPolicy":
        percentage = _finite(policy.percentage or 0.0, f"{field}.percentageSlaPolicy.percentage")
        return PercentageSlaPolicy(percentage, policy.durationSecs or 0)
    if name == "countSlaPolicy":
        return CountSlaPolicy(policy.count or 0, policy.durationSecs or 0)
    return CoordinatorSlaPolicy(policy.coordinatorUrl or "", policy.statusKey or "")


def _owner(identity: Any) -> str | None:
    return None if identity is None else not_blank(identity.user)


def _executor(config: Any) -> ExecutorConfig | None:
    return None if config is None else ExecutorConfig(config.name or "", config.data or "")


def _container(union: Any) -> MesosContainer | DockerContainer:
    if union is None:
        return MesosContainer()
    name, container = branch(union, "container")
    if name == "docker":
        return DockerContainer(container.image or "", each(_parameter, container.parameters))
    image = None if container.image is None else _image(container.image)
    return MesosContainer(image, each(_volume, container.volumes))


def _image(union: Any) -> DockerImage | AppcImage:
    name, image = branch(union, "container.mesos.image")
    if name == "docker":
        return DockerImage(image.name or "", image.tag or "")
    return AppcImage(image.name or "", image.imageId or "")


def _volume(volume: Any) -> Volume:
    mode = volume.mode
    if mode is not None:
        mode = enum_number(aurora.Mode._VALUES_TO_NAMES, mode, "container.mesos.volumes.mode")
    return Volume(volume.containerPath or "", volume.hostPath or "", mode)


def _parameter(parameter: Any) -> DockerParameter:
    return DockerParameter(parameter.name or "", parameter.value or "")


def _resource(union: Any) -> Resource:
    name, value = branch(union, "resources")
    kind = _RESOURCES[name]
    return Resource(kind, _finite(value, f"resources.{name}") if kind is ResourceKind.CPUS else value)


def _finite(value: float, field: str) -> float:
    if not isfinite(value):
        raise Refused(invalid(f"{field} is {value}; it must be a finite number"))
    return float(value)


def _constraint(constraint: Any) -> Constraint:
    name = constraint.name or ""
    if constraint.constraint is None:
        return Constraint(name, None)
    which, value = branch(constraint.constraint, f"constraint {name!r}")
    if which == "limit":
        return Constraint(name, LimitConstraint(value.limit or 0))
    return Constraint(name, ValueConstraint(bool(value.negated), value.values or ()))


def _fetcher_uri(uri: Any) -> FetcherUri:
    return FetcherUri(uri.value or "", uri.extract, uri.cache, uri.outputFile)


def _partition_policy(policy: Any) -> PartitionPolicy | None:
    return None if policy is None else PartitionPolicy(bool(policy.reschedule), policy.delaySecs)
