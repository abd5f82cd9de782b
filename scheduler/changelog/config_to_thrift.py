"""From a TaskConfig of the core to its record in `thrift/storage.thrift`. Absent means 0, false or empty on disk."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from scheduler.core.records import (
    Constraint,
    CountSlaPolicy,
    DockerContainer,
    DockerImage,
    FetcherUri,
    LimitConstraint,
    MesosContainer,
    Metadata,
    PercentageSlaPolicy,
    Resource,
    ResourceKind,
    SlaPolicy,
    TaskConfig,
    Volume,
)
from scheduler.interface import aurora, storage

__all__ = ["config_to_thrift", "metadata_to_thrift"]

_RESOURCE_FIELD: Final = {
    ResourceKind.CPUS: "numCpus",
    ResourceKind.RAM_MB: "ramMb",
    ResourceKind.DISK_MB: "diskMb",
    ResourceKind.PORT: "namedPort",
    ResourceKind.GPUS: "numGpus",
}


def config_to_thrift(config: TaskConfig) -> Any:
    job, executor, partition = config.job, config.executor, config.partition_policy
    return storage.TaskConfig(
        job=aurora.JobKey(job.role, job.environment, job.name),
        isService=config.is_service or None,
        priority=config.priority or None,
        maxTaskFailures=config.max_task_failures or None,
        ownerUser=config.owner_user,
        production=config.production,
        tier=config.tier,
        contactEmail=config.contact_email,
        executor=None if executor is None else aurora.ExecutorConfig(executor.name, executor.data),
        container=_container(config.container),
        resources=[_resource(resource) for resource in config.resources] or None,
        constraints=[_constraint(constraint) for constraint in config.constraints] or None,
        metadata=metadata_to_thrift(config.metadata),
        fetcherUris=[_fetcher_uri(uri) for uri in config.fetcher_uris] or None,
        taskLinks=[storage.TaskLink(label, url) for label, url in config.task_links] or None,
        partitionPolicy=None
        if partition is None
        else aurora.PartitionPolicy(partition.reschedule, partition.delay_secs),
        slaPolicy=None if config.sla_policy is None else sla_policy_to_thrift(config.sla_policy),
    )


def metadata_to_thrift(metadata: Iterable[Metadata]) -> list[Any] | None:
    return [aurora.Metadata(item.key, item.value) for item in metadata] or None


def _resource(resource: Resource) -> Any:
    return aurora.Resource(**{_RESOURCE_FIELD[resource.kind]: resource.value})


def _constraint(constraint: Constraint) -> Any:
    inner = constraint.constraint
    if inner is None:
        return aurora.Constraint(constraint.name)
    if isinstance(inner, LimitConstraint):
        return aurora.Constraint(constraint.name, aurora.TaskConstraint(limit=aurora.LimitConstraint(inner.limit)))
    value = aurora.ValueConstraint(inner.negated, inner.values)
    return aurora.Constraint(constraint.name, aurora.TaskConstraint(value=value))


def _fetcher_uri(uri: FetcherUri) -> Any:
    return aurora.MesosFetcherURI(uri.value, uri.extract, uri.cache, uri.output_file)


def _volume(volume: Volume) -> Any:
    return aurora.Volume(volume.container_path, volume.host_path, volume.mode)


def _container(container: MesosContainer | DockerContainer) -> Any:
    if isinstance(container, DockerContainer):
        parameters = [aurora.DockerParameter(p.name, p.value) for p in container.parameters]
        return aurora.Container(docker=aurora.DockerContainer(container.image, parameters or None))
    image = container.image
    if image is None:
        found = None
    elif isinstance(image, DockerImage):
        found = aurora.Image(docker=aurora.DockerImage(image.name, image.tag))
    else:
        found = aurora.Image(appc=aurora.AppcImage(image.name, image.image_id))
    volumes = [_volume(volume) for volume in container.volumes]
    return aurora.Container(mesos=aurora.MesosContainer(found, volumes or None))


def sla_policy_to_thrift(policy: SlaPolicy) -> Any:
    if isinstance(policy, PercentageSlaPolicy):
        return aurora.SlaPolicy(percentageSlaPolicy=aurora.PercentageSlaPolicy(policy.percentage, policy.duration_secs))
    if isinstance(policy, CountSlaPolicy):
        return aurora.SlaPolicy(countSlaPolicy=aurora.CountSlaPolicy(policy.count, policy.duration_secs))
    return aurora.SlaPolicy(coordinatorSlaPolicy=aurora.CoordinatorSlaPolicy(policy.coordinator_url, policy.status_key))
