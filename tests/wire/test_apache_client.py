"""Every method that is served, called by Apache's own client over every carrier, against the real core."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from scheduler.interface import thesan
from scheduler.rpc.unserved import UNSERVED
from scheduler.testing.serving import InThread, serving
from tests.wire import apache
from tests.wire.apache import api

ROLE, ENVIRONMENT, NAME = "www", "prod", "hello"
OK, INVALID_REQUEST, ERROR, JOB_UPDATING = 1, 0, 2, 5


class Recorder:
    """Passes calls on and keeps their names."""

    def __init__(self, client: Any) -> None:
        self.called: set[str] = set()
        self._client = client

    def __getattr__(self, method: str) -> Any:
        self.called.add(method)
        return getattr(self._client, method)


@pytest.fixture(params=apache.CARRIERS)
def house(request: pytest.FixtureRequest) -> Iterator[tuple[InThread, Recorder]]:
    with serving() as inner:
        client = apache.client(request.param, http_port=inner.http_port, thrift_port=inner.thrift_port)
        yield inner, Recorder(client)
        client.close()


def job_key() -> Any:
    return api("JobKey", role=ROLE, environment=ENVIRONMENT, name=NAME)


def config(version: str = "v1") -> Any:
    amounts = ({"numCpus": 0.5}, {"ramMb": 64}, {"diskMb": 64}, {"namedPort": "http"})
    return api(
        "TaskConfig",
        job=job_key(),
        isService=True,
        resources={api("Resource", **amount) for amount in amounts},
        executorConfig=api("ExecutorConfig", name="AuroraExecutor", data=version),
        metadata={api("Metadata", key="version", value=version)},
    )


def description(count: int) -> Any:
    return api("JobConfiguration", key=job_key(), taskConfig=config(), instanceCount=count)


def update_request(version: str, pulse_ms: int = 60_000) -> Any:
    settings = api(
        "JobUpdateSettings",
        updateGroupSize=1,
        maxFailedInstances=0,
        minWaitInInstanceRunningMs=0,
        rollbackOnFailure=True,
        blockIfNoPulsesAfterMs=pulse_ms,
    )
    return api("JobUpdateRequest", taskConfig=config(version), instanceCount=3, settings=settings)


def texts(response: Any) -> list[str]:
    return [detail.message for detail in response.details]


def test_a_whole_life_with_every_served_method(house: tuple[InThread, Recorder]) -> None:
    inner, client = house
    _jobs(inner, client)
    _updates(client)
    _ends(client)
    served = set(thesan.Scheduler.thrift_services) - set(UNSERVED)
    assert client.called == served


def _jobs(inner: InThread, client: Any) -> None:
    tiers = client.getTierConfigs().result.getTierConfigResult
    assert "preemptible" in {tier.name for tier in tiers.tiers}
    populated = client.populateJobConfig(description(3)).result.populateJobResult.taskConfig
    assert populated.tier == tiers.defaultTierName
    assert populated.resources == config().resources

    response = client.createJob(description(3))
    assert (response.responseCode, texts(response), response.result) == (OK, [], None)
    assert response.serverInfo.clusterName == "test"
    again = client.createJob(description(3))
    assert (again.responseCode, texts(again)) == (INVALID_REQUEST, ["Job already exists: www/prod/hello"])

    query = api("TaskQuery", role=ROLE, statuses={0, 2, 9})
    tasks = client.getTasksStatus(query).result.scheduleStatusResult.tasks
    assert sorted(task.assignedTask.instanceId for task in tasks) == [0, 1, 2]
    assert {task.assignedTask.task.executorConfig.data for task in tasks} == {"v1"}
    assert all(31000 <= task.assignedTask.assignedPorts["http"] < 32000 for task in tasks)
    bare = client.getTasksWithoutConfigs(query).result.scheduleStatusResult.tasks
    assert {task.assignedTask.task.executorConfig.data for task in bare} == {None}
    assert client.getPendingReason(api("TaskQuery", role=ROLE)).result.getPendingReasonResult.reasons == set()

    (group,) = client.getConfigSummary(job_key()).result.configSummaryResult.summary.groups
    assert group.instances == {api("Range", first=0, last=2)}
    (role,) = client.getRoleSummary().result.roleSummaryResult.summaries
    assert (role.role, role.jobCount, role.cronJobCount) == (ROLE, 1, 0)
    (summary,) = client.getJobSummary(ROLE).result.jobSummaryResult.summaries
    assert (summary.job.key, summary.stats.activeTaskCount) == (job_key(), 3)
    (job,) = client.getJobs(None).result.getJobsResult.configs
    assert (job.key, job.instanceCount) == (job_key(), 3)

    inner.on_loop(lambda: _run_all(inner))
    assert client.restartShards(job_key(), {0}).responseCode == OK
    missing = client.restartShards(job_key(), {7})
    assert missing.responseCode == INVALID_REQUEST
    assert client.addInstances(api("InstanceKey", jobKey=job_key(), instanceId=1), 2).responseCode == OK
    assert client.getServerState().activeTasks == 5


def _run_all(inner: InThread) -> None:
    for rows in list(inner.stage.state.tasks.active.values()):
        for task in list(rows.values()):
            inner.stage.run(task)


def _updates(client: Any) -> None:
    diff = client.getJobUpdateDiff(update_request("v2")).result.getJobUpdateDiffResult
    assert [len(bucket) for bucket in (diff.add, diff.remove, diff.update, diff.unchanged)] == [0, 1, 1, 0]
    started = client.startJobUpdate(update_request("v2"), "go")
    key = started.result.startJobUpdateResult.key
    assert (started.responseCode, key.job) == (OK, job_key())
    assert started.result.startJobUpdateResult.updateSummary.state is None
    second = client.startJobUpdate(update_request("v3"), None)
    assert second.responseCode == INVALID_REQUEST
    assert second.result.startJobUpdateResult.key == key
    assert client.killTasks(job_key(), None, None).responseCode == JOB_UPDATING

    query = api("JobUpdateQuery", jobKey=job_key())

    def status() -> str:
        (summary,) = client.getJobUpdateSummaries(query).result.getJobUpdateSummariesResult.updateSummaries
        name: str = apache.ttypes().JobUpdateStatus._VALUES_TO_NAMES[summary.state.status]
        return name

    assert status() == "ROLL_FORWARD_AWAITING_PULSE"
    assert client.pulseJobUpdate(key).result.pulseJobUpdateResult.status == 1
    assert status() == "ROLLING_FORWARD"
    assert client.pauseJobUpdate(key, "lunch").responseCode == OK
    assert status() == "ROLL_FORWARD_PAUSED"
    assert client.resumeJobUpdate(key, None).responseCode == OK
    assert status() == "ROLLING_FORWARD"
    assert client.rollbackJobUpdate(key, "back").responseCode == OK
    assert status() == "ROLLING_BACK"
    (details,) = client.getJobUpdateDetails(None, query).result.getJobUpdateDetailsResult.detailsList
    assert details.update.instructions.settings.updateStrategy.queueStrategy.groupSize == 1
    assert details.updateEvents[0].message == "go"
    by_key = client.getJobUpdateDetails(key, None)
    assert by_key.result.getJobUpdateDetailsResult.details == details
    assert "deprecated" in texts(by_key)[0]
    assert client.abortJobUpdate(key, "enough").responseCode == OK
    assert status() == "ABORTED"
    assert client.pulseJobUpdate(key).result.pulseJobUpdateResult.status == 2


def _ends(client: Any) -> None:
    killed = client.killTasks(job_key(), {3, 4}, "too many")
    assert (killed.responseCode, texts(killed)) == (OK, [])
    none = client.killTasks(job_key(), {99}, None)
    assert (none.responseCode, texts(none)) == (OK, ["No tasks to kill."])
    bad = client.killTasks(api("JobKey", role="a b", environment="c", name="d"), None, None)
    assert (bad.responseCode, texts(bad)) == (ERROR, [None])


def test_what_is_not_served_says_so(house: tuple[InThread, Recorder]) -> None:
    _, client = house
    response = client.getQuota(ROLE)
    assert (response.responseCode, texts(response)) == (ERROR, ["not served yet: getQuota"])


def test_an_unknown_method_raises_what_apache_expects(house: tuple[InThread, Recorder]) -> None:
    _, client = house
    raw = client._client
    args_class = apache.method_class("getTierConfigs", "args")
    raw._oprot.writeMessageBegin("noSuchMethod", 1, 1)
    args_class().write(raw._oprot)
    raw._oprot.writeMessageEnd()
    raw._oprot.trans.flush()
    name, kind, _ = raw._iprot.readMessageBegin()
    assert (name, kind) == ("noSuchMethod", 3)
    exception = apache.TApplicationException()
    exception.read(raw._iprot)
    raw._iprot.readMessageEnd()
    assert exception.type == apache.TApplicationException.UNKNOWN_METHOD
    assert "noSuchMethod" in exception.message
    assert client.getTierConfigs().responseCode == OK
