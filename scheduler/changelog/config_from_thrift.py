"""From the record of `thrift/storage.thrift` to a TaskConfig of the core."""

from __future__ import annotations

from typing import Any, Final

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
    JobKey,
    LimitConstraint,
    MesosContainer,
    Metadata,
    PartitionPolicy,
    PercentageSlaPolicy,
    Resource,
    ResourceKind,
    SlaPolicy,
    TaskConfig,
    ValueConstraint,
    Volume,
)

__all__ = ["UnknownBranch", "config_from_thrift", "metadata_from_thrift"]


class UnknownBranch(ValueError):
    """A union without any branch we know, or a number without a name: written by a newer version."""


def config_from_thrift(config: Any) -> TaskConfig:
    """Raises UnknownBranch."""
    job, executor, partition = config.job, config.executor, config.partitionPolicy
    return TaskConfig(
        job=JobKey(job.role, job.environment, job.name),
        is_service=bool(config.isService),
        priority=config.priority or 0,
        max_task_failures=config.maxTaskFailures or 0,
        owner_user=config.ownerUser,
        production=config.production,
        tier=config.tier,
        contact_email=config.contactEmail,
        executor=None if executor is None else ExecutorConfig(executor.name, executor.data),
        container=_container(config.container),
        resources=[_resource(resource) for resource in config.resources or ()],
        constraints=[_constraint(constraint) for constraint in config.constraints or ()],
        metadata=metadata_from_thrift(config.metadata),
        fetcher_uris=[FetcherUri(u.value, u.extract, u.cache, u.outputFile) for u in config.fetcherUris or ()],
        task_links=[(link.label, link.url) for link in config.taskLinks or ()],
        partition_policy=None if partition is None else PartitionPolicy(partition.reschedule, partition.delaySecs),
        sla_policy=None if config.slaPolicy is None else sla_policy_from_thrift(config.slaPolicy),
    )


def metadata_from_thrift(metadata: Any) -> tuple[Metadata, ...]:
    return tuple(Metadata(item.key, item.value) for item in metadata or ())


_RESOURCE_KINDS: Final = (
    (ResourceKind.CPUS, "numCpus"),
    (ResourceKind.RAM_MB, "ramMb"),
    (ResourceKind.DISK_MB, "diskMb"),
    (ResourceKind.PORT, "namedPort"),
    (ResourceKind.GPUS, "numGpus"),
)


def _resource(resource: Any) -> Resource:
    for kind, name in _RESOURCE_KINDS:
        value = getattr(resource, name)
        if value is not None:
            return Resource(kind, value)
    raise UnknownBranch("a resource of unknown kind")


def _constraint(constraint: Any) -> Constraint:
    inner = constraint.constraint
    if inner is None:
        return Constraint(constraint.name, None)
    if inner.value is not None:
        return Constraint(constraint.name, ValueConstraint(inner.value.negated, inner.value.values or ()))
    if inner.limit is not None:
        return Constraint(constraint.name, LimitConstraint(inner.limit.limit))
    raise UnknownBranch("a constraint of unknown kind")


def _container(container: Any) -> MesosContainer | DockerContainer:
    mesos, docker = container.mesos, container.docker
    if docker is not None:
        parameters = (DockerParameter(p.name, p.value) for p in docker.parameters or ())
        return DockerContainer(docker.image, tuple(parameters))
    if mesos is not None:
        volumes = (Volume(v.containerPath, v.hostPath, v.mode) for v in mesos.volumes or ())
        return MesosContainer(None if mesos.image is None else _image(mesos.image), tuple(volumes))
    raise UnknownBranch("a container of unknown kind")


def _image(image: Any) -> DockerImage | AppcImage:
    if image.docker is not None:
        return DockerImage(image.docker.name, image.docker.tag)
    if image.appc is not None:
        return AppcImage(image.appc.name, image.appc.imageId)
    raise UnknownBranch("an image of unknown kind")


def sla_policy_from_thrift(policy: Any) -> SlaPolicy:
    percentage, count, coordinator = policy.percentageSlaPolicy, policy.countSlaPolicy, policy.coordinatorSlaPolicy
    if percentage is not None:
        return PercentageSlaPolicy(percentage.percentage, percentage.durationSecs)
    if count is not None:
        return CountSlaPolicy(count.count, count.durationSecs)
    if coordinator is not None:
        return CoordinatorSlaPolicy(coordinator.coordinatorUrl, coordinator.statusKey)
    raise UnknownBranch("an SLA policy of unknown kind")
