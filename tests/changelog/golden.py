"""What each format level looks like, kept in files so that later versions can be held to it.

``python -m tests.changelog.golden`` writes the files of the newest level anew. Do that only while no release has
written it: then begin the next one (`scheduler.core.ops.FORMAT_LEVEL` and `SINCE`), and keep the files of this.
"""

from __future__ import annotations

from pathlib import Path

from scheduler.changelog.codec import encode
from scheduler.changelog.configs import Configs
from scheduler.changelog.frame import genesis
from scheduler.contracts import Entry
from scheduler.core import ops
from scheduler.core.cron.records import CollisionPolicy, CronJob, Runs
from scheduler.core.history import History
from scheduler.core.maintenance.records import Drain, Maintenance
from scheduler.core.records import (
    Constraint,
    CountSlaPolicy,
    DockerImage,
    ExecutorConfig,
    FetcherUri,
    JobKey,
    LimitConstraint,
    MaintenanceMode,
    MesosContainer,
    Metadata,
    PartitionPolicy,
    Quota,
    Resource,
    ResourceKind,
    Task,
    TaskConfig,
    TaskEvent,
    TaskStatus,
    ValueConstraint,
    Volume,
)
from scheduler.core.updates.notes import Hold, Notes, Override, Pause, Remark
from scheduler.core.updates.records import (
    InstanceAction,
    InstanceConfigs,
    InstanceEvent,
    InstanceProgress,
    Instructions,
    JobUpdate,
    Phase,
    Range,
    UpdateEvent,
    UpdateKey,
    UpdateSettings,
    UpdateStatus,
    VariableBatchStrategy,
)
from scheduler.interface import storage

HERE = Path(__file__).parent
RECORDS = HERE / f"level_{ops.FORMAT_LEVEL}.records"
BYTES = HERE / f"level_{ops.FORMAT_LEVEL}.hex"
LINEAGE = bytes(range(16))

JOB = JobKey("www", "prod", "hello")
CONFIG = TaskConfig(
    job=JOB,
    is_service=True,
    priority=-1,
    max_task_failures=2,
    owner_user="www",
    production=False,
    tier="preferred",
    contact_email="www@example.com",
    executor=ExecutorConfig("AuroraExecutor", "{}"),
    container=MesosContainer(DockerImage("hello", "1"), (Volume("/in", "/out", 2),)),
    resources=[
        Resource(ResourceKind.CPUS, 0.5),
        Resource(ResourceKind.RAM_MB, 64),
        Resource(ResourceKind.DISK_MB, 32),
        Resource(ResourceKind.GPUS, 1),
        Resource(ResourceKind.PORT, "http"),
    ],
    constraints=[Constraint("host", LimitConstraint(1)), Constraint("rack", ValueConstraint(True, ["a", "b"]))],
    metadata=[Metadata("team", "web")],
    fetcher_uris=[FetcherUri("http://example.com/x", True, None, "x")],
    task_links=[("log", "http://%host%/")],
    partition_policy=PartitionPolicy(True, 30),
    sla_policy=CountSlaPolicy(2, 60),
)
KEY = UpdateKey(JOB, "update-1")
EVENTS = (
    TaskEvent(1000, TaskStatus.PENDING, None, "scheduler-1"),
    TaskEvent(2000, TaskStatus.RUNNING, "it is healthy", "scheduler-1"),
)
TASK = Task("task-1", 4, CONFIG, TaskStatus.RUNNING, EVENTS, 1, "task-0", 2, "host-1", "agent-1", (("http", 31000),))
SETTINGS = UpdateSettings(
    VariableBatchStrategy((1, 2), True), 1, True, 2, 3, 4000, True, (Range(0, 1), Range(4, 4)), 60_000, True
)
PARTS = InstanceConfigs(CONFIG, (Range(0, 4),))
INSTRUCTIONS = Instructions((PARTS,), PARTS, SETTINGS)
STARTED = UpdateEvent(UpdateStatus.ROLLING_FORWARD, 3000, "www", "go")
INSTANCE_EVENT = InstanceEvent(4, 3500, InstanceAction.INSTANCE_UPDATING, "starting")
PROGRESS = InstanceProgress(Phase.WORKING, 1, 7, 3)
NOTES = Notes(
    Hold("errors", "http://example.com/graph", "probe", 3100, 3200),
    Override(9000, "www", "the monitor is down"),
    Pause(8000, "www", "lunch", 3300),
    100,
    3400,
)
REMARK = Remark(3500, "www", "Heartbeat overridden for 5 s: the monitor is down")
UPDATE = JobUpdate(
    KEY, "www", INSTRUCTIONS, (Metadata("why", "new"),), History((STARTED,)), History((INSTANCE_EVENT,)), NOTES
)
CRON = CronJob(
    JOB, CONFIG, 3, "*/5 * * * *", CollisionPolicy.CANCEL_NEW, "www", Runs(300_000, 240_000, 240_001, 2, 180_000, 1)
)
ENTRY = Entry(
    7,
    3,
    bytes(range(16, 32)),
    4000,
    (
        ops.EpochBegun(3, "scheduler-1"),
        ops.SaveConfig(bytes(range(32, 48)), CONFIG),
        ops.SaveTask(TASK),
        ops.MoveTask("task-1", EVENTS[1], 1, 2, True),
        ops.AssignTask("task-1", TaskEvent(1500, TaskStatus.ASSIGNED), "host-1", "agent-1", (("http", 31000),)),
        ops.RemoveTasks(("task-1", "task-2")),
        ops.StartUpdate(KEY, "www", (Metadata("why", "new"),), INSTRUCTIONS, STARTED),
        ops.MoveUpdate(KEY, UpdateEvent(UpdateStatus.ROLLED_FORWARD, 9000)),
        ops.RecordInstance(KEY, INSTANCE_EVENT),
        ops.MoveInstance(KEY, 4, PROGRESS),
        ops.AnnotateUpdate(KEY, NOTES),
        ops.RemoveUpdates((KEY,)),
        ops.SaveUpdate(UPDATE, ((4, PROGRESS),)),
        ops.RecordRemark(KEY, REMARK),
        ops.SaveQuota("www", Quota(2.5, 1024, 4096)),
        ops.SaveCronJob(CRON),
        ops.MoveCronJob(JOB, CRON.runs, "a run begins (due): 3 instances"),
        ops.RemoveCronJob(JOB),
        ops.SaveMaintenance(Maintenance("host-1", MaintenanceMode.DRAINING, Drain(CountSlaPolicy(3, 60), 600, 3600))),
        ops.Restored("scheduler-backup-2026-11-21-10-00"),
    ),
)


def records() -> str:
    """Every record: field ids, types and names."""
    lines = [
        f"{name} {field} {spec[1]} {spec[0]}"
        for name, record in sorted(vars(storage).items())
        if isinstance(record, type) and hasattr(record, "thrift_spec")
        for field, spec in sorted(record.thrift_spec.items())
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    data, _ = encode(ENTRY, lineage=LINEAGE, previous=genesis(LINEAGE), configs=Configs())
    RECORDS.write_text(records(), encoding="utf-8")
    BYTES.write_text("\n".join(data[i : i + 50].hex() for i in range(0, len(data), 50)) + "\n", encoding="utf-8")
