"""Everything an entry of the log can hold, for hypothesis."""

from __future__ import annotations

from typing import TypeVar

from hypothesis import strategies as st

from scheduler.contracts import Entry
from scheduler.core import ops
from scheduler.core.cron.records import CollisionPolicy, CronJob, Runs
from scheduler.core.history import History
from scheduler.core.maintenance.records import Drain, Maintenance
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
    MaintenanceMode,
    MesosContainer,
    Metadata,
    PartitionPolicy,
    PercentageSlaPolicy,
    Quota,
    Resource,
    ResourceKind,
    Task,
    TaskConfig,
    TaskEvent,
    TaskStatus,
    ValueConstraint,
    Volume,
    content_hash,
)
from scheduler.core.updates.notes import Hold, Notes, Override, Pause, Remark
from scheduler.core.updates.records import (
    BatchStrategy,
    InstanceAction,
    InstanceConfigs,
    InstanceEvent,
    InstanceProgress,
    Instructions,
    JobUpdate,
    Phase,
    QueueStrategy,
    Range,
    UpdateEvent,
    UpdateKey,
    UpdateSettings,
    UpdateStatus,
    VariableBatchStrategy,
)

T = TypeVar("T")


def briefly(strategy: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """The same: a failing example spells out all of its strategies, and would be too long to be shown."""

    @st.composite
    def brief(draw: st.DrawFn) -> T:
        return draw(strategy)

    return brief()


i32 = st.integers(-(2**31), 2**31 - 1)
i64 = st.integers(-(2**63), 2**63 - 1)
count = st.integers(0, 2**31 - 1)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.sampled_from(["www", "prod", "hello", "ü-ö", "a", ""])
maybe_text = st.none() | text
maybe_bool = st.none() | st.booleans()
doubles = st.floats(allow_nan=False)


def tuples_of(items: st.SearchStrategy, most: int = 3) -> st.SearchStrategy:
    return st.lists(items, max_size=most).map(tuple)


jobs = st.builds(JobKey, names, names, names)
metadata = st.builds(Metadata, text, text)
resources = st.one_of(
    st.builds(Resource, st.just(ResourceKind.CPUS), doubles),
    st.builds(Resource, st.sampled_from([ResourceKind.RAM_MB, ResourceKind.DISK_MB, ResourceKind.GPUS]), i64),
    st.builds(Resource, st.just(ResourceKind.PORT), text),
)
constraints = st.builds(
    Constraint,
    text,
    st.none() | st.builds(ValueConstraint, st.booleans(), tuples_of(text)) | st.builds(LimitConstraint, i32),
)
images = st.builds(DockerImage, text, text) | st.builds(AppcImage, text, text)
volumes = st.builds(Volume, text, text, st.none() | st.sampled_from([1, 2]))
containers = st.builds(MesosContainer, st.none() | images, tuples_of(volumes)) | st.builds(
    DockerContainer, text, tuples_of(st.builds(DockerParameter, text, text))
)
sla_policies = (
    st.builds(PercentageSlaPolicy, doubles, i64)
    | st.builds(CountSlaPolicy, i64, i64)
    | st.builds(CoordinatorSlaPolicy, text, text)
)
configs = st.builds(
    TaskConfig,
    job=jobs,
    is_service=st.booleans(),
    priority=i32,
    max_task_failures=i32,
    owner_user=maybe_text,
    production=maybe_bool,
    tier=maybe_text,
    contact_email=maybe_text,
    executor=st.none() | st.builds(ExecutorConfig, text, text),
    container=containers,
    resources=tuples_of(resources),
    constraints=tuples_of(constraints),
    metadata=tuples_of(metadata),
    fetcher_uris=tuples_of(st.builds(FetcherUri, text, maybe_bool, maybe_bool, maybe_text)),
    task_links=tuples_of(st.tuples(text, text)),
    partition_policy=st.none() | st.builds(PartitionPolicy, st.booleans(), st.none() | i64),
    sla_policy=st.none() | sla_policies,
)

task_statuses = st.sampled_from(TaskStatus)
task_events = st.builds(TaskEvent, i64, task_statuses, maybe_text, maybe_text)
ports = tuples_of(st.tuples(text, count))
tasks = st.builds(
    Task,
    task_id=text,
    instance_id=count,
    config=configs,
    status=task_statuses,
    events=tuples_of(task_events),
    failure_count=count,
    ancestor_id=maybe_text,
    times_partitioned=count,
    host=maybe_text,
    agent_id=maybe_text,
    ports=ports,
)

keys = st.builds(UpdateKey, jobs, text)
ranges = st.builds(Range, count, count)
strategies = (
    st.builds(QueueStrategy, i32)
    | st.builds(BatchStrategy, i32, st.booleans())
    | st.builds(VariableBatchStrategy, tuples_of(i32), st.booleans())
)
settings = st.builds(
    UpdateSettings,
    strategy=strategies,
    update_group_size=i32,
    wait_for_batch_completion=st.booleans(),
    max_per_instance_failures=i32,
    max_failed_instances=i32,
    min_wait_in_instance_running_ms=i32,
    rollback_on_failure=st.booleans(),
    update_only_these_instances=tuples_of(ranges),
    block_if_no_pulses_after_ms=st.none() | i32,
    sla_aware=maybe_bool,
)
configs = briefly(configs)
instance_configs = st.builds(InstanceConfigs, configs, tuples_of(ranges))
instructions = st.builds(Instructions, tuples_of(instance_configs, 2), st.none() | instance_configs, settings)
update_events = st.builds(UpdateEvent, st.sampled_from(UpdateStatus), i64, maybe_text, maybe_text)
instance_events = st.builds(InstanceEvent, count, i64, st.sampled_from(InstanceAction), maybe_text)
progress = st.builds(InstanceProgress, st.sampled_from(Phase), count, st.integers(0, 2**63 - 1), count)
notes = st.builds(
    Notes,
    st.none() | st.builds(Hold, text, text, text, i64, i64),
    st.none() | st.builds(Override, i64, text, text),
    st.none() | st.builds(Pause, i64, text, text, i64),
    i64,
    i64,
)
notes = briefly(notes)
remarks = st.builds(Remark, i64, text, text)
job_updates = st.builds(
    JobUpdate,
    keys,
    text,
    instructions,
    tuples_of(metadata),
    st.lists(update_events, min_size=1, max_size=3).map(History),
    st.lists(instance_events, max_size=3).map(History),
    notes,
)

runs = st.builds(Runs, i64, i64, i64, count, i64, count)
cron_jobs = st.builds(CronJob, jobs, configs, count, text, st.sampled_from(CollisionPolicy), maybe_text, runs)

drains = st.builds(Drain, sla_policies, i64, i64)
maintenance = st.builds(Maintenance, text, st.sampled_from(MaintenanceMode), st.none() | drains)

transitions = st.one_of(
    st.builds(ops.MoveTask, text, task_events, count, count, st.booleans()),
    st.builds(ops.AssignTask, text, task_events, text, text, ports),
    st.builds(ops.MoveUpdate, keys, update_events),
    st.builds(ops.RecordInstance, keys, instance_events),
    st.builds(ops.MoveInstance, keys, count, progress),
)
small_ops = st.one_of(
    transitions,
    st.builds(ops.EpochBegun, i64, text),
    st.builds(ops.RemoveTasks, tuples_of(text)),
    st.builds(ops.AnnotateUpdate, keys, notes),
    st.builds(ops.RecordRemark, keys, remarks),
    st.builds(ops.RemoveUpdates, tuples_of(keys)),
    st.builds(ops.MoveCronJob, jobs, runs, text),
    st.builds(ops.RemoveCronJob, jobs),
    st.builds(ops.SaveMaintenance, maintenance),
    st.builds(ops.Restored, text),
    st.builds(ops.SaveQuota, text, st.builds(Quota, doubles, i64, i64)),
)
config_ops = st.one_of(
    st.builds(ops.SaveTask, tasks),
    st.builds(ops.SaveCronJob, cron_jobs),
    st.builds(ops.StartUpdate, keys, text, tuples_of(metadata), instructions, update_events),
    st.builds(ops.SaveUpdate, job_updates, tuples_of(st.tuples(count, progress))),
)
any_op = small_ops | config_ops


def configs_of(op: ops.Op) -> list[TaskConfig]:
    match op:
        case ops.SaveTask(task):
            return [task.config]
        case ops.SaveCronJob(cron):
            return [cron.config]
        case ops.StartUpdate(instructions=told) | ops.SaveUpdate(update=JobUpdate(instructions=told)):
            return [part.config for part in (*told.initial, told.desired) if part is not None]
        case _:
            return []


def saved_first(found: list[ops.Op]) -> tuple[ops.Op, ...]:
    """The ops with a SaveConfig before the first use of each configuration, as the core writes them."""
    known: set[TaskConfig] = set()
    result: list[ops.Op] = []
    for op in found:
        for config in configs_of(op):
            if config not in known:
                known.add(config)
                result.append(ops.SaveConfig(content_hash(config), config))
        result.append(op)
    return tuple(result)


entries = st.builds(
    Entry,
    offset=st.integers(1, 2**63),
    epoch=st.integers(0, 2**63),
    uuid=st.binary(min_size=16, max_size=16),
    timestamp_ms=i64,
    ops=st.lists(any_op, max_size=6).map(saved_first),
)
