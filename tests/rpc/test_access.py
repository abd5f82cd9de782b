"""The authorisation matrix: every method of the interface, asked by everybody, on both carriers.

The rows are written here once more, by hand, and compared with the interface: a new method without a row fails.
"""

from __future__ import annotations

import http.client
import socket
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from scheduler.core.answers import Code
from scheduler.interface import aurora, thesan
from scheduler.rpc import access
from scheduler.rpc.callers import Caller
from scheduler.rpc.content_types import BINARY_TYPE
from scheduler.security import accounts
from scheduler.security.realm import Realm
from scheduler.testing.serving import InThread, serving
from tests.rpc.calls import JOB, UPDATE, args_of, binary_call, framed, job, json_call, read_reply, update_request

FILE: Final = """
[users]
reader = r
owner = o, www
stranger = s, ads
accountant = a, accounting
admin = x, admin
[roles]
www = thrift.AuroraSchedulerManager:*:www
ads = thrift.AuroraSchedulerManager:*:ads
accounting = thrift.AuroraAdmin:setQuota
admin = *
"""
PASSWORDS: Final = {"reader": "r", "owner": "o", "stranger": "s", "accountant": "a", "admin": "x"}

OPEN: Final[dict[str, dict[str, Any]]] = {
    "getRoleSummary": {},
    "getJobSummary": {},
    "getTasksStatus": {"query": aurora.TaskQuery()},
    "getTasksWithoutConfigs": {"query": aurora.TaskQuery()},
    "getPendingReason": {"query": aurora.TaskQuery()},
    "getConfigSummary": {"job": JOB},
    "getJobs": {},
    "getQuota": {"ownerRole": "www"},
    "populateJobConfig": {"description": job()},
    "getJobUpdateSummaries": {"jobUpdateQuery": aurora.JobUpdateQuery()},
    "getJobUpdateDetails": {"query": aurora.JobUpdateQuery()},
    "getJobUpdateDiff": {"request": update_request()},
    "getTierConfigs": {},
    "getServerState": {},
    "explainUpdate": {"key": UPDATE},
    "showCronJob": {"job": JOB},
    "simulateUpdate": {"request": update_request()},
    "replayUpdate": {"key": UPDATE},
    "watchEvents": {"cursor": 0, "limit": 1, "waitMs": 0},
}

OF_A_JOB: Final[dict[str, dict[str, Any]]] = {
    "createJob": {"description": job()},
    "scheduleCronJob": {"description": job()},
    "replaceCronTemplate": {"config": job()},
    "descheduleCronJob": {"job": JOB},
    "startCronJob": {"job": JOB},
    "restartShards": {"job": JOB, "shardIds": {0}},
    "killTasks": {"job": JOB},
    "addInstances": {"key": aurora.InstanceKey(jobKey=JOB, instanceId=0), "count": 1},
    "startJobUpdate": {"request": update_request()},
    "pauseJobUpdate": {"key": UPDATE},
    "resumeJobUpdate": {"key": UPDATE},
    "abortJobUpdate": {"key": UPDATE},
    "rollbackJobUpdate": {"key": UPDATE},
    "pulseJobUpdate": {"key": UPDATE},
    "heartbeat": {"heartbeat": thesan.Heartbeat(key=UPDATE, verdict=1)},
    "heartbeatMany": {"heartbeats": [thesan.Heartbeat(key=UPDATE, verdict=1)]},
    "pauseJobUpdateFor": {"key": UPDATE, "durationMs": 1000},
    "overrideHeartbeat": {"key": UPDATE, "durationMs": 1000},
    "retryInstances": {"key": UPDATE, "instances": {0}},
    "skipInstances": {"key": UPDATE, "instances": {0}},
}

OF_THE_CLUSTER: Final[dict[str, dict[str, Any]]] = {
    "setQuota": {"ownerRole": "www", "quota": aurora.ResourceAggregate()},
    "forceTaskState": {"taskId": "x", "status": 3},
    "performBackup": {},
    "listBackups": {},
    "stageRecovery": {"backupId": "x"},
    "queryRecovery": {"query": aurora.TaskQuery()},
    "deleteRecoveryTasks": {"query": aurora.TaskQuery()},
    "commitRecovery": {},
    "unloadRecovery": {},
    "startMaintenance": {"hosts": aurora.Hosts(hostNames={"h"})},
    "drainHosts": {"hosts": aurora.Hosts(hostNames={"h"})},
    "maintenanceStatus": {"hosts": aurora.Hosts(hostNames={"h"})},
    "endMaintenance": {"hosts": aurora.Hosts(hostNames={"h"})},
    "slaDrainHosts": {"hosts": aurora.Hosts(hostNames={"h"})},
    "snapshot": {},
    "triggerExplicitTaskReconciliation": {"settings": aurora.ExplicitReconciliationSettings()},
    "triggerImplicitTaskReconciliation": {},
    "pruneTasks": {"query": aurora.TaskQuery()},
}

ROWS: Final = {**OPEN, **OF_A_JOB, **OF_THE_CLUSTER}
WHO: Final = ("anonymous", "wrong password", *PASSWORDS)


def expected(method: str, who: str) -> str:
    """`in`: the method itself answers."""
    if who == "wrong password":
        return "401"
    if method in OPEN or who == "admin":
        return "in"
    if who == "anonymous":
        return "401"
    if method in OF_A_JOB:
        return "in" if who == "owner" else "AUTH_FAILED"
    return "in" if (who, method) == ("accountant", "setQuota") else "AUTH_FAILED"


def test_every_method_has_a_row() -> None:
    assert set(ROWS) == set(thesan.Scheduler.thrift_services)
    assert len(ROWS) == len(OPEN) + len(OF_A_JOB) + len(OF_THE_CLUSTER)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InThread]:
    path: Path = tmp_path_factory.mktemp("realm") / "users.ini"
    path.write_text(FILE)
    path.chmod(0o600)
    with serving(realm=Realm(path)) as found:
        yield found


def headers(who: str) -> dict[str, str]:
    if who == "anonymous":
        return {}
    user, password = ("admin", "wrong") if who == "wrong password" else (who, PASSWORDS[who])
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


def over_http(house: InThread, method: str, who: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", house.http_port, timeout=10)
    kinds = {"Content-Type": BINARY_TYPE, "Accept": BINARY_TYPE}
    connection.request("POST", "/api", binary_call(method, **ROWS[method]), {**kinds, **headers(who)})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        assert answer.getheader("WWW-Authenticate") == 'Basic realm="Apache Aurora Scheduler"'
        assert body.strip()
        return str(answer.status)
    return verdict(method, body)


def over_raw(house: InThread, method: str) -> str:
    with socket.create_connection(("127.0.0.1", house.thrift_port), timeout=10) as client:
        client.sendall(framed(binary_call(method, **ROWS[method])))
        stream = client.makefile("rb")
        return verdict(method, stream.read(int.from_bytes(stream.read(4), "big")))


def verdict(method: str, reply: bytes) -> str:
    name, kind, _, found = read_reply(reply)
    assert (name, kind) == (method, 2)
    if getattr(found, "responseCode", None) != Code.AUTH_FAILED:
        return "in"
    (detail,) = found.details
    text = detail if isinstance(detail, str) else detail.message
    words = "lacks permission thrift.AuroraAdmin:" if method in OF_THE_CLUSTER else "is not permitted to thrift."
    assert words in text or "wants a user" in text
    return "AUTH_FAILED"


@pytest.mark.parametrize("method", ROWS)
def test_the_matrix(house: InThread, method: str) -> None:
    for who in WHO:
        house.core.calls.clear()
        outcome = over_http(house, method, who)
        assert (who, outcome) == (who, expected(method, who))
        assert outcome == "in" or not house.core.calls, "what was refused was done"


@pytest.mark.parametrize("method", ROWS)
def test_the_raw_port_is_no_way_round(house: InThread, method: str) -> None:
    house.core.calls.clear()
    outcome = over_raw(house, method)
    assert outcome == ("in" if method in OPEN else "AUTH_FAILED")
    assert outcome == "in" or not house.core.calls


def test_a_pulse_whose_bytes_are_known_is_asked_again(tmp_path: Path) -> None:
    """The short way recognises arguments by their bytes, whoever sends them."""
    path = tmp_path / "users.ini"
    path.write_text(FILE)
    path.chmod(0o600)
    with serving(realm=Realm(path)) as house:
        request = update_request(1, blockIfNoPulsesAfterMs=60_000)
        reply = over(house, binary_call("startJobUpdate", request=request), "owner")
        pulse = binary_call("pulseJobUpdate", key=reply.result.startJobUpdateResult.key)
        for _ in range(2):
            assert over(house, pulse, "owner").responseCode == Code.OK
        assert len(house.inner.processor.pulses) == 1, "its bytes are known"
        assert over(house, pulse, "admin").responseCode == Code.OK
        assert over(house, pulse, "stranger").responseCode == Code.AUTH_FAILED
        assert over(house, pulse, "anonymous") is None
        for message in (framed(pulse), pulse):
            with socket.create_connection(("127.0.0.1", house.thrift_port), timeout=10) as client:
                for _ in range(3):  # the first one tells whether there are frames
                    client.sendall(message)
                    assert b"wants a user" in client.recv(4000)
        assert house.core.calls.count("pulse") == 3


def over(house: InThread, message: bytes, who: str) -> Any:
    """What the method returned; None: 401."""
    connection = http.client.HTTPConnection("127.0.0.1", house.http_port, timeout=10)
    connection.request("POST", "/api", message, {"Content-Type": BINARY_TYPE, "Accept": BINARY_TYPE, **headers(who)})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return None if answer.status == 401 else read_reply(body)[3]


NO_KEY: Final = [
    {},
    {"job": aurora.JobKey()},
    {"job": aurora.JobKey(role="www", environment="prod", name="a/b")},
    {"job": aurora.JobKey(role="www", environment="prod", name="a:*")},
]


@pytest.mark.parametrize("arguments", NO_KEY, ids=str)
@pytest.mark.parametrize("user", ["admin", "owner", "reader"])
def test_without_a_key_it_is_an_invalid_request(arguments: dict[str, Any], user: str) -> None:
    rules = access.Access(grants)
    answer = rules.refusal("killTasks", args_of("killTasks", **arguments), Caller(user))
    assert answer is not None
    assert answer.code is Code.INVALID_REQUEST
    assert (rules.bad_requests, rules.failures) == (1, 0)


def test_without_a_key_somebody_unknown_is_asked_for_a_name_first() -> None:
    with pytest.raises(access.Unauthenticated):
        access.Access(grants).refusal("killTasks", args_of("killTasks"), Caller())


@pytest.mark.parametrize("method", ["createJob", "scheduleCronJob", "replaceCronTemplate"])
def test_a_task_of_one_job_does_not_run_as_another(method: str) -> None:
    other = aurora.JobKey(role="ads", environment="prod", name="hello")
    description = job()
    description.taskConfig.job = other
    field = "config" if method == "replaceCronTemplate" else "description"
    answer = access.Access(grants).refusal(method, args_of(method, **{field: description}), Caller("owner"))
    assert answer is not None
    assert answer.details == (
        f"Subject owner is not permitted to thrift.AuroraSchedulerManager:{method}:ads:prod:hello.",
    )


def test_one_heartbeat_that_may_not_be_refuses_all() -> None:
    other = aurora.JobUpdateKey(job=aurora.JobKey(role="ads", environment="prod", name="hello"), id="u")
    beats = [thesan.Heartbeat(key=UPDATE), thesan.Heartbeat(key=other)]
    rules = access.Access(grants)
    assert rules.refusal("heartbeatMany", args_of("heartbeatMany", heartbeats=beats[:1]), Caller("owner")) is None
    answer = rules.refusal("heartbeatMany", args_of("heartbeatMany", heartbeats=beats), Caller("owner"))
    assert answer is not None
    assert answer.code is Code.AUTH_FAILED
    assert rules.failures == 1


def grants(user: str) -> Any:
    return accounts.parse(FILE, "x")[user].grants


def test_the_user_s_name_stands_where_aurora_has_it(house: InThread) -> None:
    assert over_http(house, "createJob", "owner") == "in"
    assert over_http(house, "startJobUpdate", "owner") == "in"
    updates = house.on_loop(lambda: [update.user for update in house.stage.state.updates.values()])
    events = house.on_loop(
        lambda: [event.user for update in house.stage.state.updates.values() for event in update.events[:1]]
    )
    assert updates == ["owner"] == events


def test_the_way_in_json_asks_too(house: InThread) -> None:
    def status(who: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", house.http_port, timeout=10)
        connection.request("POST", "/api", json_call("killTasks", job=JOB), headers(who))
        found = connection.getresponse().status
        connection.close()
        return found

    assert [status(who) for who in ("anonymous", "wrong password", "owner")] == [401, 401, 200]
