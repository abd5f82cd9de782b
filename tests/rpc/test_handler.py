"""Each method of the interface reaches its function with its arguments as records."""

from typing import Any

import pytest

from scheduler.contracts import Outcome, Ticket
from scheduler.core import administration, jobs, quota, views
from scheduler.core.answers import OK, Answer, Code
from scheduler.core.cron import requests as cron
from scheduler.core.maintenance import requests as maintenance
from scheduler.core.queries import UpdateQuery
from scheduler.core.records import CountSlaPolicy, JobKey, ResourceKind, TaskStatus
from scheduler.core.updates import expiring, explain, rehearsal, replay, requests, set_aside, verdicts
from scheduler.core.updates.records import UpdateKey
from scheduler.interface import aurora, thesan
from scheduler.rpc import archiving, from_thrift
from scheduler.rpc.handler import METHODS, Handler
from scheduler.rpc.to_thrift import ServerInfo, ServerState
from tests.rpc.calls import JOB, UPDATE, args_of, job, update_request

KEY = JobKey("www", "prod", "hello")
UKEY = UpdateKey(KEY, "u-1")


class Notebook:
    """A core that only writes down what it was asked."""

    durable_offset = 7

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def write(self, decide: Any, *args: Any) -> Ticket:
        self.asked.append(("write", decide, *args))
        return Ticket(8, OK)

    def read(self, view: Any, *args: Any) -> Ticket:
        self.asked.append(("read", view, *args))
        return Ticket(8, OK)

    def read_logged(self, view: Any, *args: Any) -> Ticket:
        return self.read(view, *args)

    def read_now(self, view: Any, *args: Any, logged: Any = None) -> Ticket:
        self.asked.append(("read now", view, *args))
        return Ticket(8, OK)

    def pulse(self, key: Any) -> Ticket:
        self.asked.append(("pulse", key))
        return Ticket(8, OK)

    def when_durable(self, offset: int, callback: Any) -> None:
        callback(Outcome.DURABLE)


def handler(core: Notebook) -> Handler:
    state = ServerState("1.0", "test", 1, 2, 3, "l", 4, 5)
    return Handler(core, ServerInfo("test"), lambda: state)


def test_every_method_of_the_interface_is_in_the_table() -> None:
    assert set(METHODS) | {"getServerState"} == set(thesan.Scheduler.thrift_services)


QUERY = aurora.TaskQuery(role="www")
DESCRIPTION = job(2)
DESCRIBED = from_thrift.job_configuration(DESCRIPTION)
REQUEST = update_request(2)
QUOTA = aurora.ResourceAggregate(resources=[aurora.Resource(numCpus=1.5), aurora.Resource(ramMb=64)])
TWO = ((ResourceKind.CPUS, 1.5), (ResourceKind.RAM_MB, 64))
HOSTS = {"hosts": aurora.Hosts(hostNames={"a", "b"})}
NAMES = frozenset({"a", "b"})
SLA = aurora.SlaPolicy(countSlaPolicy=aurora.CountSlaPolicy(count=5, durationSecs=60))
BATCHES = aurora.ExplicitReconciliationSettings(batchSize=7)
HEARTBEAT = thesan.Heartbeat(key=UPDATE, verdict=2, reason="r", link="l", source="s")
TOLD = verdicts.Heartbeat(UKEY, verdicts.MonitorVerdict.WAIT, "r", "l", "s")

ASKED: list[tuple[str, dict[str, Any], tuple[Any, ...]]] = [
    ("getRoleSummary", {}, ("read", views.role_summaries)),
    ("getJobSummary", {"role": "www"}, ("read", views.job_summaries, "www")),
    ("getJobSummary", {}, ("read", views.job_summaries, None)),
    ("getTasksStatus", {"query": QUERY}, ("read", views.tasks, from_thrift.task_query(QUERY), True)),
    ("getTasksWithoutConfigs", {"query": QUERY}, ("read", views.tasks, from_thrift.task_query(QUERY), False)),
    ("getPendingReason", {"query": QUERY}, ("read", views.pending_reasons, from_thrift.task_query(QUERY))),
    ("getConfigSummary", {"job": JOB}, ("read", views.config_summary, KEY)),
    ("getJobs", {"ownerRole": "www"}, ("read", views.jobs, "www")),
    (
        "populateJobConfig",
        {"description": DESCRIPTION},
        ("read", views.populate, from_thrift.job_configuration(DESCRIPTION)),
    ),
    (
        "getJobUpdateSummaries",
        {"jobUpdateQuery": aurora.JobUpdateQuery(user="bob")},
        ("read", views.update_summaries, UpdateQuery(user="bob")),
    ),
    ("getJobUpdateDetails", {}, ("read now", explain.details, None, None)),
    ("getJobUpdateDetails", {"key": UPDATE}, ("read now", explain.details, UKEY, None)),
    (
        "getJobUpdateDetails",
        {"query": aurora.JobUpdateQuery()},
        ("read now", explain.details, None, UpdateQuery()),
    ),
    ("getJobUpdateDiff", {"request": REQUEST}, ("read", views.update_diff, from_thrift.update_request(REQUEST))),
    ("getQuota", {"ownerRole": "www"}, ("read", quota.get_quota, "www")),
    ("setQuota", {"ownerRole": "www", "quota": QUOTA}, ("write", quota.set_quota, "www", TWO, "me")),
    ("forceTaskState", {"taskId": "t", "status": 7}, ("write", administration.force, "t", TaskStatus.LOST, "me")),
    ("pruneTasks", {"query": QUERY}, ("write", administration.prune, from_thrift.task_query(QUERY), "me")),
    (
        "triggerExplicitTaskReconciliation",
        {"settings": BATCHES},
        ("write", administration.reconcile_explicitly, 7, "me"),
    ),
    ("triggerImplicitTaskReconciliation", {}, ("write", administration.reconcile_implicitly, "me")),
    ("startMaintenance", HOSTS, ("write", maintenance.start, NAMES, "me")),
    ("drainHosts", HOSTS, ("write", maintenance.drain, NAMES, "me")),
    (
        "slaDrainHosts",
        {**HOSTS, "defaultSlaPolicy": SLA, "timeoutSecs": 9},
        ("write", maintenance.sla_drain, NAMES, CountSlaPolicy(5, 60), 9, "me"),
    ),
    ("maintenanceStatus", HOSTS, ("read", maintenance.status, NAMES)),
    ("endMaintenance", HOSTS, ("write", maintenance.end, NAMES, "me")),
    ("setQuota", {}, ("write", quota.set_quota, "", None, "me")),
    ("getTierConfigs", {}, ("read", views.tier_configs)),
    (
        "createJob",
        {"description": DESCRIPTION},
        ("write", jobs.create, from_thrift.job_configuration(DESCRIPTION), "me"),
    ),
    (
        "killTasks",
        {"job": JOB, "instances": [3, 1], "message": "m"},
        ("write", jobs.kill, KEY, (1, 3), "me", "m"),
    ),
    ("killTasks", {"job": JOB, "message": " "}, ("write", jobs.kill, KEY, (), "me", None)),
    ("scheduleCronJob", {"description": DESCRIPTION}, ("write", cron.schedule, DESCRIBED, "me")),
    ("replaceCronTemplate", {"config": DESCRIPTION}, ("write", cron.replace, DESCRIBED, "me")),
    ("descheduleCronJob", {"job": JOB}, ("write", cron.deschedule, KEY, "me")),
    ("startCronJob", {"job": JOB}, ("write", cron.start, KEY, "me")),
    ("showCronJob", {"job": JOB}, ("read", cron.show, KEY)),
    ("restartShards", {"job": JOB, "shardIds": [1]}, ("write", jobs.restart, KEY, (1,), "me")),
    (
        "addInstances",
        {"key": aurora.InstanceKey(jobKey=JOB, instanceId=2), "count": 3},
        ("write", jobs.add, KEY, 2, 3, "me"),
    ),
    ("addInstances", {}, ("write", jobs.add, JobKey("", "", ""), 0, 0, "me")),
    (
        "startJobUpdate",
        {"request": REQUEST, "message": "go"},
        ("write", requests.start, from_thrift.update_request(REQUEST), "me", "go"),
    ),
    ("pauseJobUpdate", {"key": UPDATE, "message": "m"}, ("write", requests.pause, UKEY, "me", "m")),
    ("resumeJobUpdate", {"key": UPDATE}, ("write", requests.resume, UKEY, "me", None)),
    ("abortJobUpdate", {"key": UPDATE}, ("write", requests.abort, UKEY, "me", None)),
    ("rollbackJobUpdate", {"key": UPDATE}, ("write", requests.rollback, UKEY, "me", None)),
    ("pulseJobUpdate", {"key": UPDATE}, ("pulse", UKEY)),
    ("heartbeat", {"heartbeat": HEARTBEAT}, ("write", verdicts.heartbeat, TOLD, "me")),
    ("explainUpdate", {"key": UPDATE}, ("read now", explain.explain, UKEY)),
    (
        "pauseJobUpdateFor",
        {"key": UPDATE, "durationMs": 5000, "message": "m"},
        ("write", expiring.pause_for, UKEY, 5000, "me", "m"),
    ),
    (
        "overrideHeartbeat",
        {"key": UPDATE, "durationMs": 5000, "reason": "r"},
        ("write", expiring.override, UKEY, 5000, "me", "r"),
    ),
    (
        "retryInstances",
        {"key": UPDATE, "instances": {2, 1}, "reason": "r"},
        ("write", set_aside.retry, UKEY, (1, 2), "me", "r"),
    ),
    (
        "skipInstances",
        {"key": UPDATE, "instances": {2, 1}, "reason": "r"},
        ("write", set_aside.skip, UKEY, (1, 2), "me", "r"),
    ),
    ("simulateUpdate", {"request": REQUEST}, ("write", rehearsal.rehearse, from_thrift.update_request(REQUEST), "me")),
    ("replayUpdate", {"key": UPDATE}, ("read", replay.replay, UKEY)),
    ("heartbeatMany", {"heartbeats": [HEARTBEAT]}, ("write", verdicts.heartbeats, (TOLD,), "me")),
]


@pytest.mark.parametrize(("method", "fields", "asked"), ASKED)
def test_a_method_asks_the_core(method: str, fields: dict[str, Any], asked: tuple[Any, ...]) -> None:
    core = Notebook()
    reply = handler(core).call(method, args_of(method, **fields), "me")
    assert core.asked == [asked]
    assert (reply.offset, reply.answer.code) == (8, Code.OK)


def test_every_served_method_is_tried_above() -> None:
    elsewhere = {"watchEvents", *archiving.NAMES}  # they ask others than the core: test_watching.py, test_archiving.py
    assert {method for method, _, _ in ASKED} == set(METHODS) - elsewhere


def test_a_request_that_cannot_be_a_record_never_reaches_the_core() -> None:
    core = Notebook()
    broken = aurora.TaskConfig(resources=[aurora.Resource()])
    args = args_of("createJob", description=aurora.JobConfiguration(taskConfig=broken))
    reply = handler(core).call("createJob", args, "me")
    assert core.asked == []
    assert reply.answer.code is Code.INVALID_REQUEST
    assert str(reply.answer.details[0]).startswith("resources: no known branch")


def test_the_servers_own_state() -> None:
    reply = handler(Notebook()).call("getServerState", args_of("getServerState"), "me")
    assert reply.offset == 7
    assert reply.struct == thesan.ServerState(
        version="1.0",
        clusterName="test",
        startedTimestampMs=1,
        committedOffset=2,
        epoch=3,
        lineage="l",
        activeUpdates=4,
        activeTasks=5,
    )


def test_an_answer_keeps_its_code() -> None:
    class Updating(Notebook):
        def write(self, decide: Any, *args: Any) -> Ticket:
            return Ticket(9, Answer(Code.JOB_UPDATING_ERROR, ("busy",)))

    reply = handler(Updating()).call("killTasks", args_of("killTasks", job=JOB), "me")
    assert (reply.offset, reply.answer.code) == (9, Code.JOB_UPDATING_ERROR)
