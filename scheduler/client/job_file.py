"""Job files: what a person writes about a job, and the Thrift structs that it stands for.

The whole form, with every key, is in `docs/job-files.md`. What is not known there is refused with its line; what the
server alone can judge (tiers, limits, what its engine can run) is left to the server.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from attrs import frozen

from scheduler.client.fields import Fields, load
from scheduler.client.keys import Job, parse_job
from scheduler.client.policies import partition_policy, sla_policy
from scheduler.client.quantities import to_ranges
from scheduler.client.thermos import TASK_KEYS, Executor
from scheduler.interface import aurora

UPDATE_ID_METADATA: Final = "org.apache.aurora.client.update_id"
"""Under this key a client marks the updates it starts, to know its own again when it has to ask twice."""

_JOB_KEYS: Final = (
    "job",
    "instances",
    "service",
    *TASK_KEYS,
    "resources",
    "tier",
    "priority",
    "max_task_failures",
    "constraints",
    "contact",
    "links",
    "metadata",
    "sla",
    "partition",
    "update",
    "cron_schedule",
    "cron_collision_policy",
)


@frozen
class JobFile:
    """A job as its file describes it. `task_config` and `settings` are Thrift structs."""

    job: Job
    instances: int
    task_config: Any
    settings: Any
    cron_schedule: str | None = None
    cron_collision_policy: int = aurora.CronCollisionPolicy.KILL_EXISTING

    def job_configuration(self) -> Any:
        """For createJob and scheduleCronJob."""
        return aurora.JobConfiguration(
            key=self.job.key(),
            taskConfig=self.task_config,
            instanceCount=self.instances,
            cronSchedule=self.cron_schedule,
            cronCollisionPolicy=self.cron_collision_policy,
        )

    def update_request(self, update_id: str, only_instances: tuple[int, ...] = ()) -> Any:
        """For startJobUpdate; `update_id` marks the request. `only_instances`: empty means all."""
        settings = aurora.JobUpdateSettings(**vars(self.settings))
        settings.updateOnlyTheseInstances = [aurora.Range(*ends) for ends in to_ranges(only_instances)]
        return aurora.JobUpdateRequest(
            taskConfig=self.task_config,
            instanceCount=self.instances,
            settings=settings,
            metadata=[aurora.Metadata(key=UPDATE_ID_METADATA, value=update_id)],
        )


def load_job_file(path: Path) -> JobFile:
    """Read a job file. Raises Usage: `file:line: field: what is wrong`."""
    fields = load(path).only(*_JOB_KEYS)
    try:
        job = parse_job(fields.text("job"))
    except ValueError as wrong:
        raise fields.complain("job", str(wrong)) from None
    executor = Executor(fields, job.name, path.resolve().parent)
    config = aurora.TaskConfig(
        job=job.key(),
        isService=fields.flag("service", "cron_schedule" not in fields),
        priority=fields.count("priority", 0),
        maxTaskFailures=fields.count("max_task_failures", 1, least=-1),
        tier=fields.text("tier") if "tier" in fields else None,
        contactEmail=fields.text("contact") if "contact" in fields else None,
        resources=_resources(fields.object("resources"), executor.ports),
        constraints=_constraints(fields.object("constraints")),
        taskLinks=_texts(fields.object("links")) or None,
        metadata=[aurora.Metadata(key=k, value=v) for k, v in _texts(fields.object("metadata")).items()],
        slaPolicy=sla_policy(fields.object("sla")) if "sla" in fields else None,
        partitionPolicy=partition_policy(fields.object("partition")) if "partition" in fields else None,
        executorConfig=aurora.ExecutorConfig(name=aurora.AURORA_EXECUTOR_NAME, data=executor.data),
    )
    policy = fields.choice("cron_collision_policy", ("kill_existing", "cancel_new"), "kill_existing")
    return JobFile(
        job,
        fields.count("instances", 1, least=1),
        config,
        _settings(fields.object("update")),
        fields.text("cron_schedule") if "cron_schedule" in fields else None,
        aurora.CronCollisionPolicy._NAMES_TO_VALUES[policy.upper()],
    )


def _resources(fields: Fields, ports: tuple[str, ...]) -> list[Any]:
    """Defaults are small, so that a first job runs anywhere."""
    fields.only("cpus", "ram", "disk", "gpus")
    resources = [
        aurora.Resource(numCpus=fields.number("cpus", 0.1)),
        aurora.Resource(ramMb=fields.size_mb("ram", 64)),
        aurora.Resource(diskMb=fields.size_mb("disk", 64)),
    ]
    if "gpus" in fields:
        resources.append(aurora.Resource(numGpus=fields.count("gpus", least=1)))
    return resources + [aurora.Resource(namedPort=port) for port in ports]


def _constraints(fields: Fields) -> list[Any]:
    """`rack: a`, `rack: [a, b]`, `rack: "!a"` (none of these), `host: limit:1` (so many tasks per value)."""
    found = []
    for name in fields.names():
        values = fields.texts(name)
        if not values or not all(values):
            raise fields.complain(name, "must have a value, or a list of values")
        found.append(aurora.Constraint(name=name, constraint=_constraint(fields, name, values)))
    return found


def _constraint(fields: Fields, name: str, values: tuple[str, ...]) -> Any:
    if values[0].startswith("limit:"):
        number = values[0].removeprefix("limit:")
        if len(values) > 1 or not number.isdecimal():
            raise fields.complain(name, f"must be limit:NUMBER, not {', '.join(values)!r}")
        return aurora.TaskConstraint(limit=aurora.LimitConstraint(limit=int(number)))
    negated = values[0].startswith("!")
    values = (values[0].removeprefix("!"), *values[1:])
    return aurora.TaskConstraint(value=aurora.ValueConstraint(negated=negated, values=list(values)))


def _texts(fields: Fields) -> dict[str, str]:
    return {name: fields.text(name) for name in fields.names()}


def _settings(fields: Fields) -> Any:
    """Defaults are those of Aurora's client: one after another, 45 s of watching, back on the first failure."""
    fields.only(
        "strategy",
        "batch_size",
        "batch_sizes",
        "pause_after_batch",
        "watch",
        "max_failures_per_instance",
        "max_failed_instances",
        "rollback",
        "pulse_timeout",
        "sla_aware",
    )
    strategy, group_size = _strategy(fields)
    return aurora.JobUpdateSettings(
        updateGroupSize=group_size,
        maxPerInstanceFailures=fields.count("max_failures_per_instance", 0),
        maxFailedInstances=fields.count("max_failed_instances", 0),
        minWaitInInstanceRunningMs=fields.duration_ms("watch", 45_000),
        rollbackOnFailure=fields.flag("rollback", True),
        waitForBatchCompletion=False,
        blockIfNoPulsesAfterMs=fields.duration_ms("pulse_timeout") if "pulse_timeout" in fields else None,
        slaAware=fields.flag("sla_aware", False) or None,
        updateStrategy=strategy,
    )


def _strategy(fields: Fields) -> tuple[Any, int]:
    """The strategy, and the size of its first group."""
    name = fields.choice("strategy", ("queue", "batch", "variable"), "variable" if "batch_sizes" in fields else "queue")
    pause = fields.flag("pause_after_batch", False)
    if (name == "variable") != ("batch_sizes" in fields):
        raise fields.complain("batch_sizes", "the strategy variable, and it alone, needs a list of batch_sizes")
    if name == "variable":
        if "batch_size" in fields:
            raise fields.complain("batch_size", "the strategy variable has batch_sizes")
        sizes = list(fields.counts("batch_sizes", least=1))
        if not sizes:
            raise fields.complain("batch_sizes", "must not be empty")
        batches = aurora.VariableBatchJobUpdateStrategy(groupSizes=sizes, autopauseAfterBatch=pause)
        return aurora.JobUpdateStrategy(varBatchStrategy=batches), sizes[0]
    size = fields.count("batch_size", 1, least=1)
    if name == "batch":
        batch = aurora.BatchJobUpdateStrategy(groupSize=size, autopauseAfterBatch=pause)
        return aurora.JobUpdateStrategy(batchStrategy=batch), size
    if pause:
        raise fields.complain("pause_after_batch", "a queue has no batches; choose strategy: batch")
    return aurora.JobUpdateStrategy(queueStrategy=aurora.QueueJobUpdateStrategy(groupSize=size)), size
