"""The audit trail: a line for each call that changes something, as it ends, and none for the others."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import re
import socket
import struct
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.contracts import Outcome
from scheduler.core.answers import Code
from scheduler.interface import aurora, thesan
from scheduler.rpc import audited
from scheduler.rpc.content_types import BINARY_TYPE
from scheduler.security.audit import LOGGER, Deed, line, request_id, to_log
from scheduler.security.limits import Limits
from scheduler.security.realm import Realm
from scheduler.testing.serving import InThread, serving
from tests.rpc.calls import JOB, UPDATE, args_of, binary_call, framed, job, read_reply, update_request
from tests.rpc.test_access import FILE, OF_A_JOB, OF_THE_CLUSTER, OPEN, PASSWORDS
from tests.rpc.test_watching import wait_until
from tests.security.test_limits import Hand

AT_MS = 1_800_000_000_123


class House:
    """A server whose audit trail is a list of lines; ports and ids of ours are masked."""

    def __init__(self, inner: InThread, deeds: list[Deed]) -> None:
        self.inner = inner
        self._deeds = deeds

    def call(self, who: str, message: bytes, request: str | None = "r-1") -> tuple[int, str | None, bytes]:
        """Status, X-Request-Id and body of the answer."""
        headers = {"Content-Type": BINARY_TYPE, "Accept": BINARY_TYPE}
        if request is not None:
            headers["X-Request-Id"] = request
        if who:
            headers["Authorization"] = "Basic " + b64encode(f"{who}:{PASSWORDS[who]}".encode()).decode()
        connection = http.client.HTTPConnection("127.0.0.1", self.inner.http_port, timeout=10)
        connection.request("POST", "/api", message, headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, answer.getheader("X-Request-Id"), body

    def lines(self) -> list[str]:
        found = [line(deed, AT_MS) for deed in self._deeds]
        self._deeds.clear()
        return [re.sub(r'"127\.0\.0\.1:\d+"', '"127.0.0.1:PORT"', one) for one in found]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    path = tmp_path / "users.ini"
    path.write_text(FILE)
    path.chmod(0o600)
    deeds: list[Deed] = []
    with serving(realm=Realm(path), audit=deeds.append) as inner:
        yield House(inner, deeds)


def test_the_lines_of_an_afternoon(house: House) -> None:
    update = update_request(3, updateGroupSize=2)
    update.metadata = [aurora.Metadata(key="ticket", value="OPS-1")]
    house.call("owner", binary_call("createJob", description=job(2)))
    house.call("owner", binary_call("createJob", description=job(2)))
    house.call("owner", binary_call("startJobUpdate", request=update, message="to\nv2"))
    house.call("stranger", binary_call("killTasks", job=JOB, instances={7, 1}, message="mine now"))
    house.call("", binary_call("killTasks", job=JOB))
    house.call("admin", binary_call("killTasks", job=JOB, instances=set(range(25))))
    house.call("owner", binary_call("drainHosts", hosts=aurora.Hosts(hostNames={"b", "a"})))
    house.call("accountant", binary_call("forceTaskState", taskId="t-1", status=3))
    house.call("owner", binary_call("pauseJobUpdate", key=UPDATE))
    assert house.lines() == (Path(__file__).parent / "golden" / "audit.jsonl").read_text().splitlines()


def test_what_changes_nothing_leaves_no_line(house: House) -> None:
    for method, arguments in OPEN.items():
        house.call("admin", binary_call(method, **arguments))
    for method in ("pulseJobUpdate", "heartbeat", "heartbeatMany"):
        status, request, _ = house.call("owner", binary_call(method, **OF_A_JOB[method]))
        assert (status, request) == (200, None)
    for method in ("listBackups", "queryRecovery", "maintenanceStatus"):
        house.call("admin", binary_call(method, **OF_THE_CLUSTER[method]))
    assert house.lines() == []


def test_every_other_method_leaves_one(house: House) -> None:
    """Made from the interface: a new method is audited unless somebody says why not."""
    quiet = {"pulseJobUpdate", "heartbeat", "heartbeatMany", "listBackups", "queryRecovery", "maintenanceStatus"}
    for method in set(thesan.Scheduler.thrift_services) - set(OPEN) - quiet:
        house.call("admin", binary_call(method, **{**OF_A_JOB, **OF_THE_CLUSTER}[method]))
        (found,) = house.lines()
        assert json.loads(found)["call"] == method


def test_who_may_not_leaves_one_for_a_heartbeat_too(house: House) -> None:
    for who in ("stranger", ""):
        house.call(who, binary_call("pulseJobUpdate", key=UPDATE))
        (found,) = house.lines()
        assert json.loads(found)["result"] == "AUTH_FAILED"


def test_enums_are_told_by_their_names() -> None:
    query = aurora.TaskQuery(role="www", statuses={3, 4})
    told = audited.arguments(args_of("pruneTasks", query=query))
    assert told == {"query": {"statuses": ["FAILED", "FINISHED"], "role": "www"}}


@pytest.mark.parametrize("verdict", list(thesan.HeartbeatVerdict._VALUES_TO_NAMES))
def test_a_heartbeat_that_stops_something_is_audited(verdict: int) -> None:
    beat = thesan.Heartbeat(key=UPDATE, verdict=verdict)
    stops = thesan.HeartbeatVerdict._VALUES_TO_NAMES[verdict] not in ("PROCEED", "WAIT")
    assert audited.is_audited("heartbeat", args_of("heartbeat", heartbeat=beat)) is stops
    assert audited.is_audited("heartbeatMany", args_of("heartbeatMany", heartbeats=[beat])) is stops


@pytest.mark.parametrize(("outcome", "result"), [(Outcome.REFUSED, "ERROR_TRANSIENT"), (Outcome.UNKNOWN, "UNKNOWN")])
def test_a_line_says_what_became_of_it(house: House, outcome: Outcome, result: str) -> None:
    core = house.inner.core
    core.held = True

    asked = threading.Thread(target=lambda: house.call("owner", binary_call("createJob", description=job())))
    asked.start()
    for _ in range(1000):
        if core.calls:
            break
        time.sleep(0.01)
    assert house.lines() == []

    def end() -> None:
        house.inner.stage.controller.next_entry(b"\0" * 16)
        house.inner.stage.controller.end(outcome)

    house.inner.on_loop(end)
    asked.join(10)
    (found,) = house.lines()
    assert json.loads(found)["result"] == result


def test_what_takes_its_time_is_told_when_it_is_over(house: House) -> None:
    house.call("admin", binary_call("stageRecovery", backupId="../x"))
    house.call("admin", binary_call("performBackup"))
    refused, done = (json.loads(one) for one in house.lines())
    assert (refused["result"], refused["target"], refused["id"]) == ("ERROR", "../x", "r-1")
    assert refused["details"] == "there is no backup '../x'"
    assert (done["call"], done["result"], done["details"]) == ("performBackup", "OK", "")


def test_what_a_client_began_and_left_is_done_and_told() -> None:
    """A backup of which only the answer is given up is still written."""
    begun, may_end, over = threading.Event(), threading.Event(), threading.Event()
    deeds: list[Deed] = []

    def audit(deed: Deed) -> None:
        deeds.append(deed)
        over.set()

    with serving(audit=audit) as inner:
        archive = inner.inner.archive
        back_up = archive.back_up

        async def slow() -> None:
            begun.set()
            await asyncio.to_thread(may_end.wait, 60)
            await back_up()

        archive.back_up = slow  # type: ignore[method-assign]
        with socket.create_connection(("127.0.0.1", inner.thrift_port), timeout=10) as raw:
            raw.sendall(framed(binary_call("performBackup")))
            assert begun.wait(60)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wait_until(lambda: not inner.on_loop(lambda: inner.inner.raw.connections))
        assert not deeds
        may_end.set()
        assert over.wait(60)
    assert [deed.result for deed in deeds] == ["OK"]
    assert asyncio.run(archive.backups()) == ["scheduler-backup-0"]


def test_the_id_comes_back_and_is_ours_where_the_client_s_cannot_stand(house: House) -> None:
    message = binary_call("killTasks", job=JOB)
    assert house.call("owner", message, "deploy/42")[1] == "deploy/42"
    for bad in (None, "a b", '"', "x" * 129, "\u00e9"):
        found = house.call("owner", message, bad)[1]
        assert found is not None
        assert re.fullmatch("[0-9a-f]{16}", found)
    assert json.loads(house.lines()[0])["id"] == "deploy/42"


def test_the_raw_port_is_audited_too(house: House) -> None:

    with socket.create_connection(("127.0.0.1", house.inner.thrift_port), timeout=10) as client:
        client.sendall(framed(binary_call("killTasks", job=JOB)))
        assert client.recv(1000)
    (found,) = house.lines()
    assert json.loads(found)["user"] == "UNSECURE"
    assert json.loads(found)["result"] == "AUTH_FAILED"


def test_arguments_are_cut() -> None:
    many = aurora.JobUpdateSettings(updateOnlyTheseInstances=[aurora.Range(i, i) for i in range(30)])
    request = aurora.JobUpdateRequest(taskConfig=job().taskConfig, instanceCount=3, settings=many)
    long = "x" * 1000
    found = audited.arguments(args_of("startJobUpdate", request=request, message=long))
    assert found["message"] == "x" * 200 + "... (1000 characters)"
    assert found["request"]["settings"]["updateOnlyTheseInstances"][-1] == "and 10 more"
    assert "taskConfig" not in found["request"]
    assert len(json.dumps(found)) < 2000


def test_a_line_is_one_line_whatever_is_in_it() -> None:
    deed = Deed('a"\n', "h:1", "killTasks", "x\r\ny", "OK", "id", "\u2028", {"message": "\n\x00\x1b[31m"})
    found = line(deed, AT_MS)
    assert found.isprintable()
    assert json.loads(found)["arguments"] == {"message": "\n\x00\x1b[31m"}


@pytest.mark.parametrize("name", [LOGGER, "thesan", ""])
def test_no_level_silences_the_trail(tmp_path: Path, name: str) -> None:
    """Whoever may POST /logconfig switched it off with that, unseen."""
    path = tmp_path / "audit.log"
    turned = logging.getLogger(name)
    before = turned.level
    tell = to_log(lambda: AT_MS, path)
    deed = Deed("alice", "h:1", "setQuota", "www", "OK", "id")
    turned.setLevel(logging.CRITICAL + 10)
    try:
        tell(deed)
        assert path.read_text() == line(deed, AT_MS) + "\n"
    finally:
        turned.setLevel(before)
        logger = logging.getLogger(LOGGER)
        for handler in logger.handlers:
            handler.close()
        logger.handlers.clear()
        logger.propagate = True


def test_a_file_of_its_own_may_be_rotated(tmp_path: Path) -> None:
    logger = logging.getLogger(LOGGER)
    path = tmp_path / "audit.log"
    tell = to_log(lambda: AT_MS, path)
    deed = Deed("alice", "h:1", "killTasks", "a/b/c", "OK", "id")
    try:
        tell(deed)
        path.rename(tmp_path / "audit.log.1")
        tell(deed)
        assert path.read_text() == (tmp_path / "audit.log.1").read_text() == line(deed, AT_MS) + "\n"
    finally:
        for handler in logger.handlers:
            handler.close()
        logger.handlers.clear()
        logger.propagate = True


def test_without_a_file_it_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    to_log(lambda: AT_MS)(Deed("alice", "h:1", "killTasks", "a/b/c", "OK", "id"))
    (record,) = caplog.records
    assert record.name == LOGGER
    assert json.loads(record.getMessage())["user"] == "alice"


def test_an_id_that_is_good() -> None:
    assert request_id("a.b:c/d+e=f@g-h_1") == "a.b:c/d+e=f@g-h_1"


# --- limits of calls


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[tuple[House, Hand]]:
    path = tmp_path / "users.ini"
    path.write_text(FILE)
    path.chmod(0o600)
    clock = Hand()
    with serving(realm=Realm(path), limits=Limits(2, 3, clock)) as inner:
        yield House(inner, []), clock


def code_of(body: bytes) -> Any:
    return read_reply(body)[3].responseCode


def test_each_user_has_so_many_calls(limited: tuple[House, Hand]) -> None:
    house, clock = limited
    read = binary_call("getTierConfigs")

    def codes(who: str, count: int) -> list[Any]:
        return [code_of(house.call(who, read)[2]) for _ in range(count)]

    assert codes("owner", 4) == [Code.OK] * 3 + [Code.ERROR_TRANSIENT]
    assert codes("admin", 1) == [Code.OK]
    assert codes("", 4) == [Code.OK] * 3 + [Code.ERROR_TRANSIENT]
    clock.now += 0.5
    assert codes("owner", 2) == [Code.OK, Code.ERROR_TRANSIENT]
    sentence = read_reply(house.call("owner", read)[2])[3].details[0].message
    assert sentence == "owner makes more than 2 calls a second; again in 0.5 s."


@pytest.mark.parametrize("method", ["pulseJobUpdate", "heartbeat", "heartbeatMany", "getServerState"])
def test_a_heartbeat_is_always_heard(limited: tuple[House, Hand], method: str) -> None:
    house, _ = limited
    arguments = OF_A_JOB.get(method, {})
    found = {house.call("owner", binary_call(method, **arguments))[0] for _ in range(20)}
    assert found == {200}
    assert code_of(house.call("owner", binary_call("getTierConfigs"))[2]) == Code.OK


def test_pages_are_limited_but_health_is_not(limited: tuple[House, Hand]) -> None:
    house, clock = limited

    def get(path: str) -> tuple[int, str | None]:
        connection = http.client.HTTPConnection("127.0.0.1", house.inner.http_port, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status, answer.getheader("Retry-After")

    assert [get("/vars")[0] for _ in range(4)] == [200, 200, 200, 429]
    assert get("/vars") == (429, "1")
    assert [get("/health")[0] for _ in range(10)] == [200] * 10
    clock.now += 10
    assert get("/vars")[0] == 200
