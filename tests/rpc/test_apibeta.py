"""/apibeta/{method}: JSON by name, the same answers as Thrift's, and refusals that say which name or value is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from hypothesis import given, settings, strategies as st

from scheduler.interface import thesan
from scheduler.rpc.messages import BadMessage, Call
from scheduler.rpc.plain_json import PLAIN, read_call
from scheduler.rpc.shapes import ARGS
from scheduler.testing.serving import InThread, serving
from tests.rpc.calls import args_of

KEY = {"role": "www", "environment": "prod", "name": "hello"}
CONFIG = {
    "job": KEY,
    "isService": True,
    "resources": [{"numCpus": 1.0}, {"ramMb": 64}, {"diskMb": 64}],
    "executorConfig": {"name": "AuroraExecutor", "data": '{"v": 1}'},
}
DESCRIPTION = {"key": KEY, "taskConfig": CONFIG, "instanceCount": 3}


@pytest.fixture
def house() -> Iterator[InThread]:
    with serving() as inner:
        yield inner


def post(house: InThread, method: str, body: Any = None, **more: Any) -> requests.Response:
    url = f"http://127.0.0.1:{house.http_port}/apibeta/{method}"
    data = body if isinstance(body, (bytes, str)) else json.dumps(body) if body is not None else None
    return requests.post(url, data=data, timeout=10, **more)


def test_a_job_is_created_looked_at_and_killed(house: InThread) -> None:
    created = post(house, "createJob", {"description": DESCRIPTION})
    assert (created.status_code, created.headers["Content-Type"]) == (200, "application/json")
    assert created.json() == {
        "responseCode": "OK",
        "serverInfo": {"clusterName": "test", "statsUrlPrefix": ""},
        "details": [],
    }

    tasks = post(house, "getTasksStatus", {"query": {"statuses": ["ASSIGNED", "PENDING"]}}).json()
    found = tasks["result"]["scheduleStatusResult"]["tasks"]
    assert [task["status"] for task in found] == ["ASSIGNED"] * 3
    assert {json.dumps(task["assignedTask"]["task"]["job"]) for task in found} == {json.dumps(KEY)}

    killed = post(house, "killTasks", {"job": KEY, "instances": [0, 2]}).json()
    assert killed["responseCode"] == "OK"
    (job,) = post(house, "getJobs").json()["result"]["getJobsResult"]["configs"]
    assert job["key"] == KEY


def test_an_update_is_one_object_all_the_way_down(house: InThread) -> None:
    post(house, "createJob", {"description": DESCRIPTION})
    wanted = {**CONFIG, "executorConfig": {"name": "AuroraExecutor", "data": '{"v": 2}'}}
    queue = {"updateStrategy": {"queueStrategy": {"groupSize": 1}}, "minWaitInInstanceRunningMs": 0}
    started = post(house, "startJobUpdate", {"request": {"taskConfig": wanted, "instanceCount": 3, "settings": queue}})
    key = started.json()["result"]["startJobUpdateResult"]["key"]

    for query in ({"key": key}, {"query": {"role": "www"}}):
        result = post(house, "getJobUpdateDetails", query).json()["result"]["getJobUpdateDetailsResult"]
        details = result["details"] if "key" in query else result["detailsList"][0]
        assert details["update"]["summary"]["key"] == key
        assert details["update"]["instructions"]["settings"]["updateStrategy"] == {"queueStrategy": {"groupSize": 1}}
        assert details["updateEvents"][0]["status"] == "ROLLING_FORWARD"


def test_methods_of_ours_are_there_too(house: InThread) -> None:
    assert post(house, "getServerState").json()["clusterName"] == "test"
    assert post(house, "explainUpdate", {"key": {"job": KEY, "id": "x"}}).status_code == 200


@pytest.mark.parametrize(
    ("method", "body", "status", "said"),
    [
        ("noSuchMethod", {}, 404, "there is no method 'noSuchMethod' here"),
        ("getJobs/more", {}, 404, "there is no method"),
        ("", {}, 404, "there is no method ''"),
        ("getJobs", "[1]", 400, "the body is not a JSON object"),
        ("getJobs", "{", 400, "the message is not JSON"),
        ("getJobs", b"\xff", 400, "not UTF-8"),
        ("getJobs", {"ownerRol": "x"}, 400, "getJobs has no field 'ownerRol'; did you mean ownerRole?"),
        ("getJobs", {"ownerRole": 1}, 400, "getJobs.ownerRole is not a string"),
        ("killTasks", {"job": KEY, "instances": ["0"]}, 400, "killTasks.instances[0] is not a whole number"),
        ("killTasks", {"job": KEY, "instances": [True]}, 400, "killTasks.instances[0] is not a whole number"),
        ("killTasks", {"job": "www/prod/hello"}, 400, "killTasks.job is not an object"),
        ("getTasksStatus", {"query": {"statuses": ["RUNING"]}}, 400, "is 'RUNING'; it must be one of PENDING, "),
        ("createJob", {"description": {"taskConfig": {"isService": 1}}}, 400, "is neither true nor false"),
        ("getJobs", "[" * 5000 + "]" * 5000, 400, "nested more than"),
        ("getJobs", '{"ownerRole": NaN}', 400, "NaN is not a JSON number"),
    ],
)
def test_refusals_name_what_is_wrong(house: InThread, method: str, body: Any, status: int, said: str) -> None:
    before = len(house.stage.log)

    answer = post(house, method, body)

    assert answer.status_code == status
    assert answer.json()["responseCode"] == "ERROR"
    assert said in answer.json()["details"][0]["message"]
    assert len(house.stage.log) == before


def test_another_method_than_post(house: InThread) -> None:
    answer = requests.get(f"http://127.0.0.1:{house.http_port}/apibeta/getJobs", timeout=10)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST, OPTIONS")


def test_pages_of_other_sites_may_not_call(house: InThread) -> None:
    assert post(house, "getJobs", {}, headers={"Origin": "http://evil.example"}).status_code == 403


# --- both ways ---

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=200)
@given(method=st.sampled_from(sorted(ARGS)), value=_VALUES)
def test_any_json_is_a_call_or_refused(method: str, value: Any) -> None:
    try:
        call = read_call(method, json.dumps(value).encode())
    except BadMessage:
        return
    assert isinstance(call, Call)


def test_what_is_written_is_read_again() -> None:
    description = read_call("createJob", json.dumps({"description": DESCRIPTION}).encode()).args.description
    written = json.loads(PLAIN.write_struct(description))
    assert DESCRIPTION.items() <= {**written, "taskConfig": CONFIG}.items()
    assert CONFIG.items() <= written["taskConfig"].items()
    assert read_call("createJob", json.dumps({"description": written}).encode()).args == args_of(
        "createJob", description=description
    )


def test_every_method_can_be_called_without_arguments() -> None:
    for method in thesan.Scheduler.thrift_services:
        assert read_call(method, b"").args is not None
