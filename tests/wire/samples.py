"""Calls and replies to compare libraries by: told once, without any library, and built with either."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class S:
    """A struct by name and fields. A set is told as a list."""

    def __init__(self, name: str, /, **fields: Any) -> None:
        self.name = name
        self.fields = fields

    def build(self, make: Callable[[str, dict[str, Any]], Any]) -> Any:
        return make(self.name, {name: build(value, make) for name, value in self.fields.items()})


def build(value: Any, make: Callable[[str, dict[str, Any]], Any]) -> Any:
    """The value with every S made into a struct."""
    if isinstance(value, S):
        return value.build(make)
    if isinstance(value, list):
        return [build(item, make) for item in value]
    return value


JOB = S("JobKey", role="www", environment="prod", name="hello")
UPDATE = S("JobUpdateKey", job=JOB, id="5f2b1c1e-7d0a-4b5c-9c0e-000000000001")
CONFIG = S(
    "TaskConfig",
    job=JOB,
    owner=S("Identity", user="www-data"),
    isService=True,
    priority=-3,
    maxTaskFailures=2,
    production=True,
    tier="preferred",
    contactEmail="nobody@example.org",
    executorConfig=S("ExecutorConfig", name="AuroraExecutor", data='{"task": {"name": "grüße ☀ \U0001f600"}}'),
    container=S("Container", mesos=S("MesosContainer", volumes=[])),
    resources=[
        S("Resource", numCpus=0.25),
        S("Resource", ramMb=2**40),
        S("Resource", diskMb=64),
        S("Resource", namedPort="http"),
    ],
    constraints=[
        S(
            "Constraint",
            name="rack",
            constraint=S("TaskConstraint", value=S("ValueConstraint", negated=True, values=["a", "b"])),
        ),
        S("Constraint", name="host", constraint=S("TaskConstraint", limit=S("LimitConstraint", limit=1))),
    ],
    metadata=[S("Metadata", key="k", value="v"), S("Metadata", key="", value="")],
    mesosFetcherUris=[],
    taskLinks={"http": "http://%host%:%port:http%"},
    partitionPolicy=S("PartitionPolicy", reschedule=False, delaySecs=30),
    slaPolicy=S("SlaPolicy", percentageSlaPolicy=S("PercentageSlaPolicy", percentage=99.5, durationSecs=1800)),
)
DESCRIPTION = S("JobConfiguration", key=JOB, owner=S("Identity", user="www-data"), taskConfig=CONFIG, instanceCount=3)
SETTINGS = S(
    "JobUpdateSettings",
    updateGroupSize=1,
    maxPerInstanceFailures=0,
    maxFailedInstances=1,
    minWaitInInstanceRunningMs=45_000,
    rollbackOnFailure=True,
    updateOnlyTheseInstances=[S("Range", first=0, last=1), S("Range", first=5, last=5)],
    waitForBatchCompletion=False,
    blockIfNoPulsesAfterMs=60_000,
    slaAware=False,
    updateStrategy=S(
        "JobUpdateStrategy",
        varBatchStrategy=S("VariableBatchJobUpdateStrategy", groupSizes=[1, 2, 4], autopauseAfterBatch=True),
    ),
)
REQUEST = S("JobUpdateRequest", taskConfig=CONFIG, instanceCount=3, settings=SETTINGS, metadata=[])
HOSTS = S("Hosts", hostNames=["a", "b"])
QUERY = S(
    "TaskQuery",
    role="www",
    environment="prod",
    jobName="hello",
    taskIds=["t-1", "t-2"],
    statuses=[0, 2, 18],
    instanceIds=[0, 2**31 - 1, -1],
    slaveHosts=["h"],
    jobKeys=[JOB],
    offset=0,
    limit=10,
)
HEARTBEAT = S(
    "Heartbeat", key=UPDATE, verdict=2, reason="errors above 1 %", link="http://example.com/graph", source="probe"
)
UPDATE_QUERY = S("JobUpdateQuery", role="www", jobKey=JOB, user="bob", updateStatuses=[0, 9], limit=1, key=UPDATE)
# As Go's library writes a query of which nothing was set.
GO_QUERY = S("JobUpdateQuery", role="", jobKey=S("JobKey"), user="", updateStatuses=[], offset=0, limit=0)

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "getRoleSummary": ("getRoleSummary", {}),
    "getJobSummary": ("getJobSummary", {"role": "www"}),
    "getJobSummary of all": ("getJobSummary", {}),
    "getTasksStatus": ("getTasksStatus", {"query": QUERY}),
    "getTasksWithoutConfigs": ("getTasksWithoutConfigs", {"query": S("TaskQuery")}),
    "getPendingReason": ("getPendingReason", {"query": S("TaskQuery", role="www")}),
    "getConfigSummary": ("getConfigSummary", {"job": JOB}),
    "getJobs": ("getJobs", {"ownerRole": ""}),
    "getQuota": ("getQuota", {"ownerRole": "www"}),
    "populateJobConfig": ("populateJobConfig", {"description": DESCRIPTION}),
    "getJobUpdateSummaries": ("getJobUpdateSummaries", {"jobUpdateQuery": UPDATE_QUERY}),
    "getJobUpdateSummaries from Go": ("getJobUpdateSummaries", {"jobUpdateQuery": GO_QUERY}),
    "getJobUpdateDetails": ("getJobUpdateDetails", {"query": UPDATE_QUERY}),
    "getJobUpdateDetails by key": ("getJobUpdateDetails", {"key": UPDATE}),
    "getJobUpdateDiff": ("getJobUpdateDiff", {"request": REQUEST}),
    "getTierConfigs": ("getTierConfigs", {}),
    "createJob": ("createJob", {"description": DESCRIPTION}),
    "scheduleCronJob": ("scheduleCronJob", {"description": DESCRIPTION}),
    "descheduleCronJob": ("descheduleCronJob", {"job": JOB}),
    "startCronJob": ("startCronJob", {"job": JOB}),
    "restartShards": ("restartShards", {"job": JOB, "shardIds": [0, 1]}),
    "killTasks": ("killTasks", {"job": JOB, "instances": [], "message": ""}),
    "killTasks of some": ("killTasks", {"job": JOB, "instances": [4], "message": "enough"}),
    "addInstances": ("addInstances", {"key": S("InstanceKey", jobKey=JOB, instanceId=0), "count": 2}),
    "replaceCronTemplate": ("replaceCronTemplate", {"config": DESCRIPTION}),
    "startJobUpdate": ("startJobUpdate", {"request": REQUEST, "message": "go"}),
    "pauseJobUpdate": ("pauseJobUpdate", {"key": UPDATE, "message": "wait"}),
    "resumeJobUpdate": ("resumeJobUpdate", {"key": UPDATE, "message": ""}),
    "abortJobUpdate": ("abortJobUpdate", {"key": UPDATE}),
    "rollbackJobUpdate": ("rollbackJobUpdate", {"key": UPDATE, "message": "back"}),
    "pulseJobUpdate": ("pulseJobUpdate", {"key": UPDATE}),
    "setQuota": (
        "setQuota",
        {"ownerRole": "www", "quota": S("ResourceAggregate", resources=[S("Resource", numCpus=1.0)])},
    ),
    "forceTaskState": ("forceTaskState", {"taskId": "t-1", "status": 7}),
    "performBackup": ("performBackup", {}),
    "listBackups": ("listBackups", {}),
    "stageRecovery": ("stageRecovery", {"backupId": "b"}),
    "queryRecovery": ("queryRecovery", {"query": S("TaskQuery")}),
    "deleteRecoveryTasks": ("deleteRecoveryTasks", {"query": S("TaskQuery")}),
    "commitRecovery": ("commitRecovery", {}),
    "unloadRecovery": ("unloadRecovery", {}),
    "startMaintenance": ("startMaintenance", {"hosts": HOSTS}),
    "drainHosts": ("drainHosts", {"hosts": HOSTS}),
    "maintenanceStatus": ("maintenanceStatus", {"hosts": HOSTS}),
    "endMaintenance": ("endMaintenance", {"hosts": HOSTS}),
    "slaDrainHosts": (
        "slaDrainHosts",
        {
            "hosts": HOSTS,
            "defaultSlaPolicy": S("SlaPolicy", countSlaPolicy=S("CountSlaPolicy", count=5, durationSecs=60)),
            "timeoutSecs": 2**33,
        },
    ),
    "snapshot": ("snapshot", {}),
    "triggerExplicitTaskReconciliation": (
        "triggerExplicitTaskReconciliation",
        {"settings": S("ExplicitReconciliationSettings", batchSize=10)},
    ),
    "triggerImplicitTaskReconciliation": ("triggerImplicitTaskReconciliation", {}),
    "pruneTasks": ("pruneTasks", {"query": S("TaskQuery", statuses=[3])}),
    "getServerState": ("getServerState", {}),
    "heartbeat": ("heartbeat", {"heartbeat": HEARTBEAT}),
    "explainUpdate": ("explainUpdate", {"key": UPDATE}),
    "pauseJobUpdateFor": ("pauseJobUpdateFor", {"key": UPDATE, "durationMs": 2**33, "message": "lunch"}),
    "overrideHeartbeat": ("overrideHeartbeat", {"key": UPDATE, "durationMs": 60_000, "reason": "the monitor is down"}),
    "retryInstances": ("retryInstances", {"key": UPDATE, "instances": [3], "reason": "again"}),
    "skipInstances": ("skipInstances", {"key": UPDATE, "instances": [0, 2], "reason": "broken host"}),
    "simulateUpdate": ("simulateUpdate", {"request": REQUEST}),
    "showCronJob": ("showCronJob", {"job": JOB}),
    "replayUpdate": ("replayUpdate", {"key": UPDATE}),
    "watchEvents": ("watchEvents", {"cursor": 2**40, "limit": 500, "waitMs": 30_000}),
    "heartbeatMany": ("heartbeatMany", {"heartbeats": [HEARTBEAT, S("Heartbeat", key=UPDATE, verdict=1)]}),
}
"""Each method of the interface at least once: name of the sample, method, arguments."""

SUMMARY = S(
    "JobUpdateSummary",
    key=UPDATE,
    user="bob",
    state=S("JobUpdateState", status=9, createdTimestampMs=1_700_000_000_000, lastModifiedTimestampMs=2**53 + 1),
    metadata=[],
)
INSTANCES = S("InstanceTaskConfig", task=CONFIG, instances=[S("Range", first=0, last=2)])
DETAILS = S(
    "JobUpdateDetails",
    update=S(
        "JobUpdate",
        summary=SUMMARY,
        instructions=S("JobUpdateInstructions", initialState=[INSTANCES], desiredState=INSTANCES, settings=SETTINGS),
    ),
    updateEvents=[S("JobUpdateEvent", status=0, timestampMs=1, user="bob", message="go")],
    instanceEvents=[S("JobInstanceUpdateEvent", instanceId=0, timestampMs=2, action=3)],
)
TASK = S(
    "ScheduledTask",
    assignedTask=S(
        "AssignedTask",
        taskId="t-1",
        slaveId="a",
        slaveHost="h",
        task=CONFIG,
        assignedPorts={"http": 31000},
        instanceId=0,
    ),
    status=2,
    failureCount=1,
    taskEvents=[S("TaskEvent", timestamp=2, status=0), S("TaskEvent", timestamp=1, status=2, message="m")],
    ancestorId="t-0",
    timesPartitioned=0,
)
SERVER = S("ServerInfo", clusterName="local", statsUrlPrefix="")


def _ok(**branch: S) -> S:
    return S("Response", responseCode=1, serverInfo=SERVER, result=S("Result", **branch), details=[])


REPLIES: dict[str, tuple[str, S]] = {
    "tasks": ("getTasksStatus", _ok(scheduleStatusResult=S("ScheduleStatusResult", tasks=[TASK, TASK]))),
    "no tasks": ("getTasksStatus", _ok(scheduleStatusResult=S("ScheduleStatusResult", tasks=[]))),
    "jobs": ("getJobs", _ok(getJobsResult=S("GetJobsResult", configs=[DESCRIPTION]))),
    "details": (
        "getJobUpdateDetails",
        _ok(getJobUpdateDetailsResult=S("GetJobUpdateDetailsResult", detailsList=[DETAILS])),
    ),
    "pulse": ("pulseJobUpdate", _ok(pulseJobUpdateResult=S("PulseJobUpdateResult", status=2))),
    "in the way": (
        "startJobUpdate",
        S(
            "Response",
            responseCode=0,
            serverInfo=SERVER,
            result=S("Result", startJobUpdateResult=S("StartJobUpdateResult", key=UPDATE, updateSummary=SUMMARY)),
            details=[S("ResponseDetail", message="busy")],
        ),
    ),
    "a detail without text": (
        "killTasks",
        S("Response", responseCode=2, serverInfo=SERVER, details=[S("ResponseDetail")]),
    ),
    "tiers": (
        "getTierConfigs",
        _ok(
            getTierConfigResult=S(
                "GetTierConfigResult",
                defaultTierName="preemptible",
                tiers=[S("TierConfig", name="a", settings={"preemptible": "true"})],
            )
        ),
    ),
}
"""Replies of many shapes: name of the sample, method, response."""
