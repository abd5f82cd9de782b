"""Is a job or a task configuration acceptable, and what it becomes when defaults are filled in.

The checks stand in the order in which they are made; the first that fails is told.
Source: Aurora's documentation, "Configuration reference" and "Scheduler configuration"; `docs/compatibility.md`.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

import attrs

from scheduler.core.answers import Refused, error, invalid
from scheduler.core.policy import Policy
from scheduler.core.records import (
    CoordinatorSlaPolicy,
    CountSlaPolicy,
    DockerContainer,
    JobConfiguration,
    JobKey,
    PercentageSlaPolicy,
    ResourceKind,
    TaskConfig,
    ValueConstraint,
)
from scheduler.core.sla.policies import mistake
from scheduler.core.updates.records import UpdateKey

_ALLOWED: Final = "allowed are 1 to 255 of A-Z, a-z, 0-9, _, - and ."
_GOOD: Final = re.compile(r"[\w\-.]+", re.ASCII)
MAX_IDENTIFIER_LENGTH: Final = 255
_LABELS: Final = {ResourceKind.CPUS: "num_cpus", ResourceKind.RAM_MB: "ram_mb", ResourceKind.DISK_MB: "disk_mb"}
_LINKS: Final = {"health": "http://%host%:%port:health%", "http": "http://%host%:%port:http%"}
DEDICATED: Final = "dedicated"
MOST_CPUS: Final = 1_000_000_000
"""More cores than there are; sums and thousandths of them stay numbers."""


def is_good_identifier(text: str | None) -> bool:
    return text is not None and len(text) <= MAX_IDENTIFIER_LENGTH and _GOOD.fullmatch(text) is not None


def is_valid_key(job: JobKey | None) -> bool:
    return job is not None and all(map(is_good_identifier, (job.role, job.environment, job.name)))


def key_mistake(job: JobKey | None) -> str | None:
    """What is wrong with a job key, in a sentence; None: nothing."""
    parts = {} if job is None else {"role": job.role, "environment": job.environment, "name": job.name}
    if not any(parts.values()):
        return "The job key is missing: role, environment and name are needed"
    for field, text in parts.items():
        if not text:
            return f"The job key has no {field}: role, environment and name are needed"
        if not is_good_identifier(text):
            return f"The job key's {field} is {_shown(text)}; {_ALLOWED}"
    return None


def _shown(text: str) -> str:
    return repr(text) if len(text) <= MAX_IDENTIFIER_LENGTH else f"{text[:20]!r}... ({len(text)} characters)"


def require_job_key(job: JobKey | None) -> JobKey:
    """The code is Aurora's, ERROR; it asserts a job key with a check that has no message."""
    mistake = key_mistake(job)
    if job is None or mistake is not None:
        raise Refused(error(mistake))
    return job


def require_update_job(key: UpdateKey | None) -> UpdateKey:
    """Aurora asserts no more of an update's key, except for a heartbeat: a blank id is that of no update."""
    if key is None:
        raise Refused(error("The update key is missing: a job key and an id are needed"))
    require_job_key(key.job)
    return key


def require_update_key(key: UpdateKey | None) -> UpdateKey:
    key = require_update_job(key)
    if not key.id.strip():
        raise Refused(error("The update key has no id"))
    return key


def _refuse(sentence: str) -> Refused:
    return Refused(invalid(sentence))


def valid_job(policy: Policy, job: JobConfiguration) -> JobConfiguration:
    """The job with its task configuration populated. Raises Refused."""
    if job.task_config is None:
        raise _refuse("Task configuration may not be null")
    if job.instance_count <= 0:
        raise _refuse(f"Instance count must be positive, not {job.instance_count}")
    wrong = key_mistake(job.key)
    if job.key is None or wrong is not None:
        raise _refuse(str(wrong))
    if re.fullmatch(policy.allowed_job_environments, job.key.environment) is None:
        allowed = policy.allowed_job_environments
        raise _refuse(f"Job environment {job.key.environment} doesn't match: {allowed}")
    if job.owner_user is not None and not is_good_identifier(job.owner_user):
        raise _refuse(f"Job user contains illegal characters: owner.user is {_shown(job.owner_user)}; {_ALLOWED}")
    config = valid_config(policy, job.task_config, job.instance_count)
    if job.cron_schedule and config.is_service:
        raise _refuse("A service task may not be run on a cron schedule")
    return attrs.evolve(job, task_config=config)


def valid_config(policy: Policy, config: TaskConfig, instance_count: int) -> TaskConfig:
    """The task configuration with tier, production and links filled in. Raises Refused."""
    tier = policy.tier(config.tier or policy.default_tier)
    names = ", ".join(known.name for known in policy.tiers)
    if config.tier is not None and not is_good_identifier(config.tier):
        raise _refuse(f"Tier contains illegal characters: {_shown(config.tier)}; there are: {names}")
    if tier is None:
        raise _refuse(f"Tier {config.tier} is unknown; there are: {names}")
    wrong = key_mistake(config.job)
    if wrong is not None:
        raise _refuse(f"taskConfig.job: {wrong}")
    _check_executor(policy, config)
    _check_dedicated(config)
    _check_container(policy, config)
    _check_resources(policy, config)
    _check_partition(config)
    if config.fetcher_uris and not policy.enable_mesos_fetcher:
        raise _refuse("Mesos fetcher URIs are not allowed here (mesosFetcherUris must be empty)")
    _check_sla(policy, config, instance_count, production=tier.production)
    objection = policy.objection(config)
    if objection is not None:
        raise _refuse(objection)
    links = config.task_links or tuple((n, _LINKS[n]) for n in sorted(_LINKS) if n in config.port_names())
    return attrs.evolve(config, tier=tier.name, production=tier.production, task_links=links)


def _check_executor(policy: Policy, config: TaskConfig) -> None:
    if config.executor is None:
        if not isinstance(config.container, DockerContainer):
            raise _refuse("Configuration may not be null: a task needs an executorConfig")
        return
    if not config.executor.name:
        raise _refuse("executorConfig.name may not be empty")
    if config.executor.name not in policy.executors:
        allowed = ", ".join(policy.executors)
        raise _refuse(f"Executor {config.executor.name!r} is not known; executorConfig.name may be: {allowed}")


def _check_dedicated(config: TaskConfig) -> None:
    for constraint in config.constraints:
        if constraint.constraint is None:
            raise _refuse(f"Constraint {constraint.name!r} has no known kind: it must be a value or a limit constraint")
        if constraint.name != DEDICATED:
            continue
        rule = constraint.constraint
        if not isinstance(rule, ValueConstraint):
            raise _refuse("A dedicated constraint must be of value type")
        if len(rule.values) != 1:
            raise _refuse("A dedicated constraint must have exactly one value")
        role = rule.values[0].split("/", 1)[0]
        if role not in (config.job.role, "*"):
            raise _refuse(f"Only {role} may use hosts dedicated for that role.")


def _check_container(policy: Policy, config: TaskConfig) -> None:
    if isinstance(config.container, DockerContainer):
        raise _refuse("This cluster does not support the container type docker; allowed: mesos")
    if config.container.volumes and not policy.allow_container_volumes:
        raise _refuse("Container volumes are not supported here (container.mesos.volumes must be empty)")
    if config.container.image is not None:
        raise _refuse("Container images are not supported by this engine (container.mesos.image must be unset)")


def _check_resources(policy: Policy, config: TaskConfig) -> None:
    counts = Counter(resource.kind for resource in config.resources)
    for kind, count in counts.items():
        if count > 1 and kind is not ResourceKind.PORT:
            raise _refuse(f"Multiple resource values are not supported for {kind.name}")
    for kind, label in _LABELS.items():
        if not config.amount(kind) > 0:
            what = f"it is {config.amount(kind):g}" if counts[kind] else "resources has none"
            raise _refuse(f"Task specified an invalid value for {label}: {what}; it must be greater than 0")
        if config.amount(kind) == float("inf"):
            raise _refuse(f"Task specified an invalid value for {label}: it must be finite")
    if config.amount(ResourceKind.CPUS) > MOST_CPUS:
        raise _refuse(f"Task specified an invalid value for num_cpus: it may be at most {MOST_CPUS:,}")
    if counts[ResourceKind.GPUS] and not policy.allow_gpu_resource:
        raise _refuse("GPU resources are not supported in this cluster (numGpus must be absent)")
    gpus = config.amount(ResourceKind.GPUS)
    if gpus < 0:  # it would make room for others
        raise _refuse(f"Task specified an invalid value for numGpus: it is {gpus:g}; it must be 0 or more")


def _check_partition(config: TaskConfig) -> None:
    policy = config.partition_policy
    if policy is not None and (policy.delay_secs or 0) < 0:
        raise _refuse(f"partitionPolicy.delaySecs is {policy.delay_secs}; it must be 0 or more")


def _check_sla(policy: Policy, config: TaskConfig, instance_count: int, *, production: bool) -> None:
    """A coordinator knows best itself; of the other policies at least one instance must be able to go."""
    sla = config.sla_policy
    if sla is None:
        return
    if not production and not policy.sla_aware_kill_non_prod:
        raise _refuse("Tasks with a slaPolicy must be in a production tier")
    wrong = mistake(sla, policy.sla_coordinator_hosts)
    if wrong is not None:
        raise _refuse(f"slaPolicy: {wrong}")
    if isinstance(sla, CoordinatorSlaPolicy):
        return
    fewest = policy.min_required_instances_for_sla_check
    if instance_count < fewest:
        raise _refuse(f"slaPolicy: a job of {instance_count} instances is too small for one; it needs {fewest}")
    if sla.duration_secs * 1000 > policy.max_sla_duration_ms:
        longest = policy.max_sla_duration_ms // 1000
        raise _refuse(f"slaPolicy: durationSecs is {sla.duration_secs}; it may be at most {longest}")
    if isinstance(sla, PercentageSlaPolicy) and instance_count - instance_count * sla.percentage / 100 < 1:
        raise _refuse(f"slaPolicy: {sla.percentage} % of {instance_count} instances leaves none that may be down")
    if isinstance(sla, CountSlaPolicy) and instance_count - sla.count < 1:
        raise _refuse(f"slaPolicy: {sla.count} of {instance_count} instances leaves none that may be down")
