"""Task configurations, jobs and their summaries."""

from __future__ import annotations

from typing import Any

from scheduler.core.queries import ConfigGroup, JobStats, JobSummary, PendingReason, RoleSummary
from scheduler.core.records import (
    Constraint,
    CountSlaPolicy,
    DockerContainer,
    DockerImage,
    FetcherUri,
    JobConfiguration,
    LimitConstraint,
    MesosContainer,
    PercentageSlaPolicy,
    Quota,
    Resource,
    SlaPolicy,
    TaskConfig,
)
from scheduler.interface import aurora
from scheduler.rpc.to_thrift.keys import job_key, metadata, owner, ranges

_BRANCHES = {number: entry[1] for number, entry in aurora.Resource.thrift_spec.items()}


def task_config(config: TaskConfig, *, with_data: bool = True) -> Any:
    """`with_data` False leaves out what the executor is told, as getTasksWithoutConfigs does."""
    return aurora.TaskConfig(
        job=job_key(config.job),
        owner=owner(config.owner_user),
        isService=config.is_service,
        priority=config.priority,
        maxTaskFailures=config.max_task_failures,
        production=bool(config.production),
        tier=config.tier,
        contactEmail=config.contact_email,
        executorConfig=_executor(config, with_data),
        container=_container(config.container),
        resources=[_resource(resource) for resource in config.resources],
        constraints=[_constraint(constraint) for constraint in config.constraints],
        metadata=metadata(config.metadata),
        mesosFetcherUris=[_fetcher_uri(uri) for uri in config.fetcher_uris],
        taskLinks=dict(config.task_links),
        partitionPolicy=_partition_policy(config),
        slaPolicy=None if config.sla_policy is None else sla_policy(config.sla_policy),
    )


def sla_policy(policy: SlaPolicy) -> Any:
    if isinstance(policy, PercentageSlaPolicy):
        inner = aurora.PercentageSlaPolicy(percentage=policy.percentage, durationSecs=policy.duration_secs)
        return aurora.SlaPolicy(percentageSlaPolicy=inner)
    if isinstance(policy, CountSlaPolicy):
        inner = aurora.CountSlaPolicy(count=policy.count, durationSecs=policy.duration_secs)
        return aurora.SlaPolicy(countSlaPolicy=inner)
    inner = aurora.CoordinatorSlaPolicy(coordinatorUrl=policy.coordinator_url, statusKey=policy.status_key)
    return aurora.SlaPolicy(coordinatorSlaPolicy=inner)


def job_configuration(job: JobConfiguration) -> Any:
    struct = without_config(job)
    if job.task_config is not None:
        struct.taskConfig = task_config(job.task_config)
    return struct


def without_config(job: JobConfiguration) -> Any:
    return aurora.JobConfiguration(
        key=None if job.key is None else job_key(job.key),
        owner=owner(job.owner_user),
        cronSchedule=job.cron_schedule,
        cronCollisionPolicy=job.cron_collision_policy,
        instanceCount=job.instance_count,
    )


def job_summary(summary: JobSummary) -> Any:
    struct = without_job(summary)
    struct.job = job_configuration(summary.job)
    return struct


def without_job(summary: JobSummary) -> Any:
    return aurora.JobSummary(stats=_job_stats(summary.stats), nextCronRunMs=summary.next_cron_run_ms)


def role_summary(summary: RoleSummary) -> Any:
    return aurora.RoleSummary(role=summary.role, jobCount=summary.job_count, cronJobCount=summary.cron_job_count)


def pending_reason(reason: PendingReason) -> Any:
    return aurora.PendingReason(taskId=reason.task_id, reason=reason.reason)


def config_group(group: ConfigGroup) -> Any:
    return aurora.ConfigGroup(config=task_config(group.config), instances=ranges(group.instances))


def quota(quota: Quota) -> Any:
    """Exactly one of each of the three kinds that count."""
    amounts = ({"numCpus": quota.cpus}, {"ramMb": quota.ram_mb}, {"diskMb": quota.disk_mb})
    return aurora.ResourceAggregate(resources=[aurora.Resource(**amount) for amount in amounts])


def tier_config(tier: tuple[str, bool, bool]) -> Any:
    name, preemptible, revocable = tier
    settings = {"preemptible": str(preemptible).lower(), "revocable": str(revocable).lower()}
    return aurora.TierConfig(name=name, settings=settings)


def _job_stats(stats: JobStats) -> Any:
    return aurora.JobStats(
        activeTaskCount=stats.active,
        finishedTaskCount=stats.finished,
        failedTaskCount=stats.failed,
        pendingTaskCount=stats.pending,
    )


def _executor(config: TaskConfig, with_data: bool) -> Any:
    if config.executor is None:
        return None
    return aurora.ExecutorConfig(name=config.executor.name, data=config.executor.data if with_data else None)


def _container(container: MesosContainer | DockerContainer) -> Any:
    if isinstance(container, DockerContainer):
        parameters = [aurora.DockerParameter(name=p.name, value=p.value) for p in container.parameters]
        docker = aurora.DockerContainer(image=container.image, parameters=parameters)
        return aurora.Container(mesos=None, docker=docker)
    volumes = [
        aurora.Volume(containerPath=v.container_path, hostPath=v.host_path, mode=v.mode) for v in container.volumes
    ]
    return aurora.Container(mesos=aurora.MesosContainer(image=_image(container), volumes=volumes))


def _image(container: MesosContainer) -> Any:
    image = container.image
    if image is None:
        return None
    if isinstance(image, DockerImage):
        return aurora.Image(docker=aurora.DockerImage(name=image.name, tag=image.tag))
    return aurora.Image(appc=aurora.AppcImage(name=image.name, imageId=image.image_id))


def _resource(resource: Resource) -> Any:
    return aurora.Resource(**{_BRANCHES[resource.kind]: resource.value})


def _constraint(constraint: Constraint) -> Any:
    inner = constraint.constraint
    if inner is None:
        return aurora.Constraint(name=constraint.name)
    if isinstance(inner, LimitConstraint):
        union = aurora.TaskConstraint(limit=aurora.LimitConstraint(limit=inner.limit))
    else:
        value = aurora.ValueConstraint(negated=inner.negated, values=list(inner.values))
        union = aurora.TaskConstraint(value=value)
    return aurora.Constraint(name=constraint.name, constraint=union)


def _fetcher_uri(uri: FetcherUri) -> Any:
    return aurora.MesosFetcherURI(value=uri.value, extract=uri.extract, cache=uri.cache, outputFile=uri.output_file)


def _partition_policy(config: TaskConfig) -> Any:
    policy = config.partition_policy
    if policy is None:
        return None
    return aurora.PartitionPolicy(reschedule=policy.reschedule, delaySecs=policy.delay_secs)
