"""Records leave as Aurora's structs: numbers, flags and containers always, unset strings and structs never."""

from typing import Any

import pytest
from thriftpy2.thrift import TType

from scheduler.core import queries, records
from scheduler.core.answers import Answer, Code, invalid
from scheduler.core.history import History
from scheduler.core.records import JobKey, Resource, ResourceKind, Task, TaskConfig, TaskEvent, TaskStatus
from scheduler.core.updates.records import (
    BatchStrategy,
    InstanceAction,
    InstanceConfigs,
    InstanceEvent,
    Instructions,
    JobUpdate,
    QueueStrategy,
    Range,
    Strategy,
    UpdateEvent,
    UpdateKey,
    UpdateSettings,
    UpdateStatus,
    VariableBatchStrategy,
)
from scheduler.interface import aurora
from scheduler.rpc import from_thrift, to_thrift
from scheduler.rpc.binary import STRICT
from scheduler.rpc.tjson import JSON
from scheduler.rpc.to_thrift import ServerInfo

KEY = JobKey("www", "prod", "hello")
SERVER = ServerInfo("test")
QUEUE = QueueStrategy(2)
FULL = TaskConfig(
    job=KEY,
    is_service=True,
    priority=7,
    max_task_failures=-1,
    owner_user="www-data",
    production=True,
    tier="preferred",
    contact_email="a@b.c",
    executor=records.ExecutorConfig("AuroraExecutor", "{}"),
    container=records.MesosContainer(records.AppcImage("n", "i"), (records.Volume("/c", "/h", 2),)),
    resources=tuple(
        Resource(kind, value)
        for kind, value in (
            (ResourceKind.CPUS, 0.5),
            (ResourceKind.RAM_MB, 64),
            (ResourceKind.DISK_MB, 65),
            (ResourceKind.PORT, "http"),
            (ResourceKind.GPUS, 1),
        )
    ),
    constraints=(
        records.Constraint("host", records.LimitConstraint(1)),
        records.Constraint("rack", records.ValueConstraint(True, ("a", "b"))),
        records.Constraint("none", None),
    ),
    metadata=(records.Metadata("k", "v"),),
    fetcher_uris=(records.FetcherUri("u", True, False, "o"),),
    task_links=(("a", "1"), ("b", "2")),
    partition_policy=records.PartitionPolicy(True, 5),
    sla_policy=records.PercentageSlaPolicy(99.5, 60),
)
OTHERS = (
    TaskConfig(job=KEY, production=False),
    TaskConfig(job=KEY, production=False, container=records.DockerContainer("i", (records.DockerParameter("a", "b"),))),
    TaskConfig(job=KEY, production=False, container=records.MesosContainer(records.DockerImage("n", "t"))),
    TaskConfig(job=KEY, production=False, sla_policy=records.CountSlaPolicy(1, 2)),
    TaskConfig(job=KEY, production=False, sla_policy=records.CoordinatorSlaPolicy("http://x", "drain")),
)
TASK = Task(
    "t-1",
    3,
    FULL,
    TaskStatus.RUNNING,
    (TaskEvent(1, TaskStatus.PENDING), TaskEvent(2, TaskStatus.RUNNING, "m", "s")),
    failure_count=2,
    ancestor_id="t-0",
    times_partitioned=1,
    host="h",
    agent_id="a",
    ports=(("http", 31000),),
)


def update(strategy: Strategy = QUEUE, **changes: Any) -> JobUpdate:
    fields: dict[str, Any] = {
        "initial": (InstanceConfigs(OTHERS[0], (Range(0, 1), Range(4, 4))),),
        "desired": InstanceConfigs(FULL, (Range(0, 2),)),
        "settings": UpdateSettings(strategy, 2, block_if_no_pulses_after_ms=1000, sla_aware=True),
    }
    return JobUpdate(
        UpdateKey(KEY, "u-1"),
        "bob",
        Instructions(**{**fields, **changes}),
        (records.Metadata("k", "v"),),
        History([UpdateEvent(UpdateStatus.ROLLING_FORWARD, 10, "bob", "go")]),
        History([InstanceEvent(0, 11, InstanceAction.INSTANCE_UPDATING)]),
    )


def absent(struct: Any, where: str = "") -> set[str]:
    """Paths of all fields that would not be written."""
    found: set[str] = set()
    for entry in struct.thrift_spec.values():
        value, path = getattr(struct, entry[1]), f"{where}.{entry[1]}".lstrip(".")
        if value is None:
            found.add(path)
        elif entry[0] == TType.STRUCT:
            found |= absent(value, path)
        elif entry[0] in (TType.LIST, TType.SET) and value and hasattr(value[0], "thrift_spec"):
            for item in value:
                found |= absent(item, path)
    return found


@pytest.mark.parametrize("config", [FULL, *OTHERS])
def test_a_task_config_comes_back_as_it_went(config: TaskConfig) -> None:
    assert from_thrift.task_config(to_thrift.task_config(config)) == config


def test_an_empty_task_config_has_all_its_containers() -> None:
    struct = to_thrift.task_config(TaskConfig(job=KEY))
    assert absent(struct) == {
        "owner",
        "tier",
        "contactEmail",
        "executorConfig",
        "partitionPolicy",
        "slaPolicy",
        "container.docker",
        "container.mesos.image",
    }
    assert struct.production is False
    assert struct.container.mesos.volumes == struct.metadata == struct.mesosFetcherUris == struct.resources == []
    assert struct.taskLinks == {}
    docker = to_thrift.task_config(TaskConfig(job=KEY, container=records.DockerContainer("i"))).container
    assert docker.mesos is None
    assert docker.docker.parameters == []


def test_a_task() -> None:
    struct = to_thrift.scheduled_task(TASK, with_data=True)
    assert struct.assignedTask == aurora.AssignedTask(
        taskId="t-1",
        slaveId="a",
        slaveHost="h",
        task=to_thrift.task_config(FULL),
        assignedPorts={"http": 31000},
        instanceId=3,
    )
    assert (struct.status, struct.failureCount, struct.ancestorId, struct.timesPartitioned) == (2, 2, "t-0", 1)
    assert struct.taskEvents == [
        aurora.TaskEvent(timestamp=1, status=0),
        aurora.TaskEvent(timestamp=2, status=2, message="m", scheduler="s"),
    ]


def test_a_new_task_has_no_host_and_all_its_containers() -> None:
    struct = to_thrift.scheduled_task(Task("t", 0, OTHERS[0], TaskStatus.PENDING), with_data=True)
    top = {path for path in absent(struct) if not path.startswith("assignedTask.task.")}
    assert top == {"assignedTask.slaveId", "assignedTask.slaveHost", "ancestorId"}
    assert struct.assignedTask.assignedPorts == {}
    assert struct.taskEvents == []


def test_without_data_only_the_executors_name_is_left() -> None:
    config = to_thrift.scheduled_task(TASK, with_data=False).assignedTask.task
    assert config.executorConfig == aurora.ExecutorConfig(name="AuroraExecutor")
    assert to_thrift.scheduled_task(Task("t", 0, OTHERS[0], TaskStatus.PENDING), with_data=False)


def test_update_details() -> None:
    struct = to_thrift.update_details(update())
    summary = struct.update.summary
    assert summary.state == aurora.JobUpdateState(status=0, createdTimestampMs=10, lastModifiedTimestampMs=11)
    assert (summary.user, summary.key.id, summary.metadata) == ("bob", "u-1", [aurora.Metadata(key="k", value="v")])
    instructions = struct.update.instructions
    assert instructions.initialState[0].instances == [aurora.Range(first=0, last=1), aurora.Range(first=4, last=4)]
    assert instructions.desiredState.task == to_thrift.task_config(FULL)
    assert instructions.settings.blockIfNoPulsesAfterMs == 1000
    assert struct.updateEvents == [aurora.JobUpdateEvent(status=0, timestampMs=10, user="bob", message="go")]
    assert struct.instanceEvents == [aurora.JobInstanceUpdateEvent(instanceId=0, timestampMs=11, action=3)]


def test_an_update_that_only_removes_has_no_desired_state() -> None:
    struct = to_thrift.update_details(update(desired=None, initial=()))
    assert struct.update.instructions.desiredState is None
    assert struct.update.instructions.initialState == []


@pytest.mark.parametrize(
    ("strategy", "branch"),
    [
        (QueueStrategy(2), {"queueStrategy": aurora.QueueJobUpdateStrategy(groupSize=2)}),
        (BatchStrategy(2), {"batchStrategy": aurora.BatchJobUpdateStrategy(groupSize=2, autopauseAfterBatch=False)}),
        (
            VariableBatchStrategy((1, 2), True),
            {"varBatchStrategy": aurora.VariableBatchJobUpdateStrategy(groupSizes=[1, 2], autopauseAfterBatch=True)},
        ),
    ],
)
def test_settings_always_have_their_strategy(strategy: Strategy, branch: dict[str, Any]) -> None:
    settings = to_thrift.update_details(update(strategy)).update.instructions.settings
    assert settings.updateStrategy == aurora.JobUpdateStrategy(**branch)
    plain = to_thrift.update_details(update(settings=UpdateSettings(strategy))).update.instructions.settings
    unset = {path for path in absent(plain) if not path.startswith("updateStrategy.")}
    assert unset == {"blockIfNoPulsesAfterMs", "slaAware"}


def test_the_summary_of_a_started_update_has_no_state() -> None:
    key = UpdateKey(KEY, "u-1")
    started = to_thrift.response(Answer(result=queries.StartedUpdate(key, "bob", ())), SERVER)
    summary = started.result.startJobUpdateResult.updateSummary
    assert absent(summary) == {"state"}
    in_the_way = to_thrift.response(
        Answer(Code.INVALID_REQUEST, ("busy",), queries.StartedUpdate(key, "bob", (), update())), SERVER
    )
    assert in_the_way.result.startJobUpdateResult.updateSummary.state.status == 0


def test_the_envelope_is_always_whole() -> None:
    empty = to_thrift.response(Answer(), SERVER)
    assert absent(empty) == {"result"}
    assert empty.details == []
    assert empty.serverInfo == aurora.ServerInfo(clusterName="test", statsUrlPrefix="")
    refused = to_thrift.response(invalid("one", "two"), SERVER)
    assert refused.responseCode == aurora.ResponseCode.INVALID_REQUEST
    assert [detail.message for detail in refused.details] == ["one", "two"]
    assert to_thrift.response(Answer(Code.ERROR, (None,)), SERVER).details == [aurora.ResponseDetail()]


GROUP = queries.ConfigGroup(FULL, (Range(0, 2),))
JOB_RECORD = records.JobConfiguration(KEY, FULL, 2, "bob", "* * * * *", 1)
RESULTS: dict[str, tuple[Any, Any]] = {
    "scheduleStatusResult": (queries.Tasks(()), queries.Tasks((TASK,))),
    "getJobsResult": (queries.Jobs(()), queries.Jobs((JOB_RECORD,))),
    "jobSummaryResult": (
        queries.JobSummaries(()),
        queries.JobSummaries((queries.JobSummary(JOB_RECORD, queries.JobStats(1, 2, 3, 4), 5),)),
    ),
    "roleSummaryResult": (queries.RoleSummaries(()), queries.RoleSummaries((queries.RoleSummary("r", 1, 2),))),
    "configSummaryResult": (queries.ConfigSummary(KEY, ()), queries.ConfigSummary(KEY, (GROUP,))),
    "getPendingReasonResult": (
        queries.PendingReasons(()),
        queries.PendingReasons((queries.PendingReason("t", ""),)),
    ),
    "populateJobResult": (queries.PopulatedConfig(OTHERS[0]), queries.PopulatedConfig(FULL)),
    "getTierConfigResult": (queries.TierConfigs("a", ()), queries.TierConfigs("a", (("a", True, False),))),
    "getJobUpdateSummariesResult": (queries.UpdateSummaries(()), queries.UpdateSummaries((update(),))),
    "getJobUpdateDetailsResult": (queries.UpdateDetails(()), queries.UpdateDetails((update(),))),
    "getJobUpdateDiffResult": (
        queries.UpdateDiff((), (), (), ()),
        queries.UpdateDiff((GROUP,), (GROUP,), (GROUP,), (GROUP,)),
    ),
    "pulseJobUpdateResult": (queries.PulseAnswer(False), queries.PulseAnswer(True)),
}


@pytest.mark.parametrize("branch", RESULTS)
@pytest.mark.parametrize("which", [0, 1])
def test_every_result_has_its_branch_and_can_be_written(branch: str, which: int) -> None:
    response = to_thrift.response(Answer(result=RESULTS[branch][which]), SERVER)
    set_branches = [entry[1] for entry in aurora.Result.thrift_spec.values() if getattr(response.result, entry[1])]
    assert set_branches == [branch]
    result = aurora.__thrift_meta__["services"][0].getJobs_result(success=response)
    assert STRICT.write("getJobs", 2, 1, result)
    assert JSON.write("getJobs", 2, 1, result)


def test_empty_results_have_empty_lists() -> None:
    for branch, (empty, _) in RESULTS.items():
        struct = getattr(to_thrift.response(Answer(result=empty), SERVER).result, branch)
        unset = {path for path in absent(struct) if "." not in path}
        assert unset <= {"details"}, branch


def test_a_single_update_goes_into_the_deprecated_field() -> None:
    answer = Answer(result=queries.UpdateDetails((update(),), single=True))
    result = to_thrift.response(answer, SERVER).result.getJobUpdateDetailsResult
    assert result.details == to_thrift.update_details(update())
    assert result.detailsList == []


def test_tiers_are_told_in_words() -> None:
    answer = Answer(result=queries.TierConfigs("a", (("a", True, False),)))
    (tier,) = to_thrift.response(answer, SERVER).result.getTierConfigResult.tiers
    assert tier.settings == {"preemptible": "true", "revocable": "false"}
