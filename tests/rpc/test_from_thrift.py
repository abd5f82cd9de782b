"""Structs as clients send them become records, in one spelling for one meaning."""

from typing import Any

import pytest

from scheduler.core import records
from scheduler.core.answers import Code, Refused
from scheduler.core.queries import SettingsRequest, TaskQuery, UpdateQuery, UpdateRequest
from scheduler.core.records import JobKey, Resource, ResourceKind, TaskConfig, TaskStatus
from scheduler.core.updates.records import (
    BatchStrategy,
    QueueStrategy,
    Range,
    UpdateKey,
    UpdateStatus,
    VariableBatchStrategy,
)
from scheduler.interface import aurora
from scheduler.rpc import from_thrift
from tests.rpc.calls import JOB, UPDATE

KEY = JobKey("www", "prod", "hello")
NOBODYS = JobKey("", "", "")


def refusal(convert: Any, struct: Any) -> str:
    with pytest.raises(Refused) as caught:
        convert(struct)
    assert caught.value.answer.code is Code.INVALID_REQUEST
    (sentence,) = caught.value.answer.details
    assert sentence is not None
    return sentence


def test_nothing_set_is_all_defaults() -> None:
    assert from_thrift.task_config(aurora.TaskConfig()) == TaskConfig(job=NOBODYS)
    assert from_thrift.task_config(aurora.TaskConfig(container=None)) == TaskConfig(job=NOBODYS)
    assert from_thrift.task_query(aurora.TaskQuery()) == TaskQuery()
    assert from_thrift.update_query(aurora.JobUpdateQuery()) == UpdateQuery()
    assert from_thrift.job_configuration(aurora.JobConfiguration()) == records.JobConfiguration(None, None, 0)
    assert from_thrift.update_request(aurora.JobUpdateRequest()) == UpdateRequest(None, 0, None)
    settings = aurora.JobUpdateRequest(settings=aurora.JobUpdateSettings())
    assert from_thrift.update_request(settings).settings == SettingsRequest()


def test_what_go_sends_for_unset_is_unset() -> None:
    """Go's library writes zeros, empty sets, empty strings, and empty structs for structs that were never set."""
    config = aurora.TaskConfig(
        job=aurora.JobKey(),
        owner=aurora.Identity(user=""),
        isService=False,
        priority=0,
        maxTaskFailures=0,
        resources=[],
        constraints=[],
        metadata=[],
        mesosFetcherUris=[],
        taskLinks={},
    )
    assert from_thrift.task_config(config) == TaskConfig(job=NOBODYS)
    query = aurora.JobUpdateQuery(jobKey=aurora.JobKey(), key=aurora.JobUpdateKey(job=aurora.JobKey()), offset=0)
    assert from_thrift.update_query(query) == UpdateQuery()
    assert from_thrift.instance_ids([]) == from_thrift.instance_ids(None) == ()
    assert from_thrift.message("") is from_thrift.message(" \n") is from_thrift.message(None) is None


def test_parts_that_are_missing_are_empty() -> None:
    assert from_thrift.job_key(None) == from_thrift.job_key(aurora.JobKey()) == NOBODYS
    assert from_thrift.job_key(aurora.JobKey(role="www")) == JobKey("www", "", "")
    assert from_thrift.update_key(None) == UpdateKey(NOBODYS, "")
    assert from_thrift.update_key(UPDATE) == UpdateKey(KEY, "u-1")


def test_instance_ids_are_sorted_by_number() -> None:
    assert from_thrift.instance_ids([10, 9, 9, 100]) == (9, 10, 100)


def test_a_whole_task_config() -> None:
    config = aurora.TaskConfig(
        job=JOB,
        owner=aurora.Identity(user="www-data"),
        isService=True,
        priority=7,
        maxTaskFailures=-1,
        production=True,
        tier="preferred",
        contactEmail="a@b.c",
        executorConfig=aurora.ExecutorConfig(name="AuroraExecutor", data="{}"),
        container=aurora.Container(
            mesos=aurora.MesosContainer(
                image=aurora.Image(docker=aurora.DockerImage(name="n", tag="t")),
                volumes=[aurora.Volume(containerPath="/c", hostPath="/h", mode=2)],
            )
        ),
        resources=[aurora.Resource(ramMb=64), aurora.Resource(numCpus=0.5), aurora.Resource(namedPort="http")],
        constraints=[
            aurora.Constraint(name="host", constraint=aurora.TaskConstraint(limit=aurora.LimitConstraint(limit=1))),
            aurora.Constraint(
                name="rack",
                constraint=aurora.TaskConstraint(value=aurora.ValueConstraint(negated=True, values=["b", "a", "b"])),
            ),
        ],
        metadata=[aurora.Metadata(key="k", value="v")] * 2,
        mesosFetcherUris=[aurora.MesosFetcherURI(value="u", extract=True)],
        taskLinks={"b": "2", "a": "1"},
        partitionPolicy=aurora.PartitionPolicy(reschedule=True, delaySecs=5),
        slaPolicy=aurora.SlaPolicy(countSlaPolicy=aurora.CountSlaPolicy(count=3, durationSecs=60)),
    )
    found = from_thrift.task_config(config)
    assert found == TaskConfig(
        job=KEY,
        is_service=True,
        priority=7,
        max_task_failures=-1,
        owner_user="www-data",
        production=True,
        tier="preferred",
        contact_email="a@b.c",
        executor=records.ExecutorConfig("AuroraExecutor", "{}"),
        container=records.MesosContainer(records.DockerImage("n", "t"), (records.Volume("/c", "/h", 2),)),
        resources=(
            Resource(ResourceKind.CPUS, 0.5),
            Resource(ResourceKind.RAM_MB, 64),
            Resource(ResourceKind.PORT, "http"),
        ),
        constraints=(
            records.Constraint("host", records.LimitConstraint(1)),
            records.Constraint("rack", records.ValueConstraint(True, ("a", "b"))),
        ),
        metadata=(records.Metadata("k", "v"),),
        fetcher_uris=(records.FetcherUri("u", True),),
        task_links=(("a", "1"), ("b", "2")),
        partition_policy=records.PartitionPolicy(True, 5),
        sla_policy=records.CountSlaPolicy(3, 60),
    )
    assert hash(found)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (
            {"resources": [aurora.Resource()]},
            "resources: no known branch is set; exactly one of numCpus, ramMb, diskMb, namedPort, numGpus must be",
        ),
        ({"resources": [aurora.Resource(ramMb=1, diskMb=2)]}, "resources: ramMb, diskMb are all set; exactly one of"),
        ({"resources": [aurora.Resource(numCpus=float("nan"))]}, "resources.numCpus is nan; it must be a finite"),
        ({"resources": [aurora.Resource(numCpus=float("inf"))]}, "resources.numCpus is inf; it must be a finite"),
        ({"container": aurora.Container(mesos=None)}, "container: no known branch is set; exactly one of mesos,"),
        (
            {"container": aurora.Container(mesos=aurora.MesosContainer(image=aurora.Image()))},
            "container.mesos.image: no known branch",
        ),
        (
            {"container": aurora.Container(mesos=aurora.MesosContainer(volumes=[aurora.Volume(mode=3)]))},
            "container.mesos.volumes.mode is 3, which is not one of RW 1, RO 2",
        ),
        ({"slaPolicy": aurora.SlaPolicy()}, "slaPolicy: no known branch"),
        (
            {
                "slaPolicy": aurora.SlaPolicy(
                    percentageSlaPolicy=aurora.PercentageSlaPolicy(percentage=float("inf"), durationSecs=1)
                )
            },
            "slaPolicy.percentageSlaPolicy.percentage is inf",
        ),
        (
            {"constraints": [aurora.Constraint(name="rack", constraint=aurora.TaskConstraint())]},
            "constraint 'rack': no known branch",
        ),
    ],
)
def test_what_cannot_be_a_record_is_refused_by_name(config: dict[str, Any], sentence: str) -> None:
    assert refusal(from_thrift.task_config, aurora.TaskConfig(**config)).startswith(sentence)


def test_statuses_nobody_knows_are_refused() -> None:
    sentence = refusal(from_thrift.task_query, aurora.TaskQuery(statuses=[2, 8]))
    assert sentence.startswith("statuses is 8, which is not one of PENDING 0, STARTING 1")
    assert "updateStatuses is 11" in refusal(from_thrift.update_query, aurora.JobUpdateQuery(updateStatuses=[11]))
    job = aurora.JobConfiguration(cronCollisionPolicy=3)
    assert "cronCollisionPolicy is 3" in refusal(from_thrift.job_configuration, job)


@pytest.mark.parametrize(
    "convert",
    [from_thrift.task_query, from_thrift.update_query, from_thrift.job_configuration, from_thrift.update_request],
)
def test_an_absent_argument_is_an_error(convert: Any) -> None:
    with pytest.raises(Refused, match="is missing") as caught:
        convert(None)
    assert caught.value.answer.code is Code.ERROR


def test_queries() -> None:
    query = aurora.TaskQuery(
        role="www",
        environment="",
        jobName="hello",
        taskIds=["a", "b"],
        statuses=[2, 0],
        instanceIds=[1, 1],
        slaveHosts=["h"],
        jobKeys=[JOB, JOB],
        offset=-1,
        limit=5,
    )
    assert from_thrift.task_query(query) == TaskQuery(
        role="www",
        environment="",
        job_name="hello",
        task_ids=frozenset({"a", "b"}),
        statuses=frozenset({TaskStatus.RUNNING, TaskStatus.PENDING}),
        instance_ids=frozenset({1}),
        hosts=frozenset({"h"}),
        job_keys=frozenset({KEY}),
        offset=-1,
        limit=5,
    )
    update_query = aurora.JobUpdateQuery(role="r", jobKey=JOB, key=UPDATE, user="u", updateStatuses=[4], limit=1)
    assert from_thrift.update_query(update_query) == UpdateQuery(
        "r", KEY, UpdateKey(KEY, "u-1"), "u", frozenset({UpdateStatus.ROLLED_FORWARD}), 0, 1
    )


def test_update_settings_and_strategies() -> None:
    def converted(**fields: Any) -> SettingsRequest | None:
        return from_thrift.update_request(aurora.JobUpdateRequest(settings=aurora.JobUpdateSettings(**fields))).settings

    assert converted(
        updateGroupSize=3,
        maxPerInstanceFailures=1,
        maxFailedInstances=2,
        minWaitInInstanceRunningMs=1000,
        rollbackOnFailure=True,
        updateOnlyTheseInstances=[aurora.Range(first=5, last=6), aurora.Range(first=0)],
        waitForBatchCompletion=True,
        blockIfNoPulsesAfterMs=0,
        slaAware=False,
    ) == SettingsRequest(3, 1, 2, 1000, True, (Range(0, 0), Range(5, 6)), True, 0, False)
    for union, strategy in (
        ({"queueStrategy": aurora.QueueJobUpdateStrategy(groupSize=2)}, QueueStrategy(2)),
        ({"batchStrategy": aurora.BatchJobUpdateStrategy(autopauseAfterBatch=True)}, BatchStrategy(0, True)),
        (
            {"varBatchStrategy": aurora.VariableBatchJobUpdateStrategy(groupSizes=[1, 2, 2])},
            VariableBatchStrategy((1, 2, 2)),
        ),
    ):
        settings = converted(updateStrategy=aurora.JobUpdateStrategy(**union))
        assert settings == SettingsRequest(strategy=strategy)
    assert converted(updateStrategy=aurora.JobUpdateStrategy()) == SettingsRequest(strategy_unknown=True)
    both = aurora.JobUpdateStrategy(
        queueStrategy=aurora.QueueJobUpdateStrategy(), batchStrategy=aurora.BatchJobUpdateStrategy()
    )
    with pytest.raises(Refused, match=r"settings\.updateStrategy: queueStrategy, batchStrategy are all set"):
        converted(updateStrategy=both)
