"""What queries find, asked by Apache's client over the wire: every criterion alone, together, and in pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from scheduler.core.records import JobKey, TaskStatus
from scheduler.testing.serving import InThread, serving
from tests.wire import apache
from tests.wire.apache import api
from tests.wire.life import DATA, ERROR, INVALID_REQUEST, OK, texts

HELLO, TESTED, STORE, OTHER, HUGE = (
    ("www", "prod", "hello"),
    ("www", "test", "hello"),
    ("db", "prod", "store"),
    ("www", "prod", "other"),
    ("db", "test", "huge"),
)
SIZES = {HELLO: 3, TESTED: 2, STORE: 2, OTHER: 1, HUGE: 1}
ALL = {(*job, i) for job, size in SIZES.items() for i in range(size)}
RUNNING, PENDING, KILLED = 2, 0, 5
ENDED = {3, 4, 5, 7}
LIMITED = ("getTasksStatus", "getTasksWithoutConfigs")

Found = set[tuple[str, str, str, int]]


class House:
    """A served stage with some jobs: one that runs nowhere, one that was killed; and a client."""

    def __init__(self, inner: InThread, client: Any) -> None:
        self.inner = inner
        self.client = client
        for job, size in SIZES.items():
            assert client.createJob(description(job, size)).responseCode == OK
        inner.on_loop(self._run_all)
        assert client.killTasks(key_of(OTHER), None, None).responseCode == OK
        inner.on_loop(self._end_killed)

    def _run_all(self) -> None:
        stage = self.inner.stage
        for rows in list(stage.state.tasks.active.values()):
            for task in list(rows.values()):
                if task.host is not None:
                    stage.run(task)

    def _end_killed(self) -> None:
        stage = self.inner.stage
        for task in list(stage.state.tasks.active[JobKey(*OTHER)].values()):
            stage.report(task, TaskStatus.KILLED)

    def tasks(self, method: str = "getTasksStatus", **criteria: Any) -> list[Any]:
        response = getattr(self.client, method)(api("TaskQuery", **criteria))
        assert response.responseCode == OK, texts(response)
        found: list[Any] = response.result.scheduleStatusResult.tasks
        return found

    def found(self, method: str = "getTasksStatus", **criteria: Any) -> Found:
        tasks = self.tasks(method, **criteria)
        names = {name_of(task) for task in tasks}
        assert len(names) == len(tasks)
        return names

    def updates(self, **criteria: Any) -> list[Any]:
        response = self.client.getJobUpdateSummaries(api("JobUpdateQuery", **criteria))
        assert response.responseCode == OK, texts(response)
        found: list[Any] = response.result.getJobUpdateSummariesResult.updateSummaries
        return found

    def start(self, job: tuple[str, str, str], size: int, version: str = "v2") -> Any:
        response = self.client.startJobUpdate(request(job, size, version), None)
        assert response.responseCode == OK, texts(response)
        return response.result.startJobUpdateResult.key


def key_of(job: tuple[str, str, str]) -> Any:
    return api("JobKey", role=job[0], environment=job[1], name=job[2])


def config(job: tuple[str, str, str], version: str = "v1") -> Any:
    amounts = ({"numCpus": 2e6 if job == HUGE else 0.5}, {"ramMb": 64}, {"diskMb": 64})
    return api(
        "TaskConfig",
        job=key_of(job),
        isService=True,
        resources={api("Resource", **amount) for amount in amounts},
        executorConfig=api("ExecutorConfig", name="AuroraExecutor", data=DATA % version),
    )


def description(job: tuple[str, str, str], size: int) -> Any:
    return api("JobConfiguration", key=key_of(job), taskConfig=config(job), instanceCount=size)


def request(job: tuple[str, str, str], size: int, version: str = "v2", **settings: Any) -> Any:
    fields = {"updateGroupSize": 1, "maxFailedInstances": 0, "blockIfNoPulsesAfterMs": 60_000, **settings}
    return api(
        "JobUpdateRequest",
        taskConfig=config(job, version),
        instanceCount=size,
        settings=api("JobUpdateSettings", **fields),
    )


def name_of(task: Any) -> tuple[str, str, str, int]:
    job = task.assignedTask.task.job
    return job.role, job.environment, job.name, task.assignedTask.instanceId


def of(*jobs: tuple[str, str, str]) -> Found:
    return {name for name in ALL if name[:3] in jobs}


@pytest.fixture(scope="module", params=["http json", "raw framed"])
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    with serving() as inner:
        client = apache.client(request.param, http_port=inner.http_port, thrift_port=inner.thrift_port)
        yield House(inner, client)
        client.close()


# --- tasks

TASKS: list[tuple[dict[str, Any], Found]] = [
    ({}, ALL),
    ({"taskIds": set(), "statuses": set(), "instanceIds": set(), "slaveHosts": set(), "jobKeys": set()}, ALL),
    ({"role": ""}, ALL),
    ({"role": " \t "}, ALL),
    ({"environment": ""}, set()),
    ({"jobName": " "}, set()),
    ({"role": "www"}, of(HELLO, TESTED, OTHER)),
    ({"role": "nobody"}, set()),
    ({"environment": "prod"}, of(HELLO, STORE, OTHER)),
    ({"jobName": "hello"}, of(HELLO, TESTED)),
    ({"role": "db", "jobName": "hello"}, set()),
    ({"role": "www", "environment": "prod"}, of(HELLO, OTHER)),
    ({"role": "www", "environment": "prod", "jobName": "hello"}, of(HELLO)),
    ({"role": "www", "environment": "prod", "jobName": "gone"}, set()),
    ({"jobKeys": {STORE, TESTED}}, of(STORE, TESTED)),
    ({"jobKeys": {STORE, TESTED}, "role": "www"}, of(TESTED)),
    ({"jobKeys": {STORE}, "role": "www", "environment": "prod", "jobName": "hello"}, set()),
    ({"statuses": {RUNNING}}, of(HELLO, TESTED, STORE)),
    ({"statuses": {PENDING}}, of(HUGE)),
    ({"statuses": ENDED}, of(OTHER)),
    ({"statuses": {PENDING, KILLED}}, of(HUGE, OTHER)),
    ({"statuses": {KILLED}, "role": "db"}, set()),
    ({"instanceIds": {1}}, {name for name in ALL if name[3] == 1}),
    ({"instanceIds": {0, 2}, "jobName": "hello"}, {name for name in of(HELLO, TESTED) if name[3] in (0, 2)}),
    ({"instanceIds": {-1, 77}}, set()),
    ({"slaveHosts": {"host-1"}}, of(HELLO, TESTED, STORE, OTHER)),
    ({"slaveHosts": {"host-1", "host-2"}, "statuses": {RUNNING}, "role": "db"}, of(STORE)),
    ({"slaveHosts": {"host-2"}}, set()),
    ({"limit": 0, "offset": 0}, ALL),
    ({"limit": -1, "offset": -7}, ALL),
    ({"offset": 1000}, set()),
]


def told(criteria: dict[str, Any]) -> str:
    """Sets in the same order in every process."""
    return ", ".join(f"{name}={sorted(v) if isinstance(v, set) else v!r}" for name, v in criteria.items()) or "all"


def sent(criteria: dict[str, Any]) -> dict[str, Any]:
    keys = {key_of(job) for job in criteria["jobKeys"]} if "jobKeys" in criteria else None
    return {**criteria, "jobKeys": keys}


@pytest.mark.parametrize(("criteria", "expected"), TASKS, ids=[told(criteria) for criteria, _ in TASKS])
def test_tasks(house: House, criteria: dict[str, Any], expected: Found) -> None:
    for method in LIMITED:
        assert house.found(method, **sent(criteria)) == expected


def test_tasks_by_id(house: House) -> None:
    ids = {name_of(task): task.assignedTask.taskId for task in house.tasks()}
    one, two = ids[(*HELLO, 1)], ids[(*STORE, 0)]
    assert house.found(taskIds={one}) == {(*HELLO, 1)}
    assert house.found(taskIds={one, two, "gone"}) == {(*HELLO, 1), (*STORE, 0)}
    assert house.found(taskIds={one, two}, role="db") == {(*STORE, 0)}
    assert house.found(taskIds={one}, statuses={PENDING}) == set()
    assert house.found(taskIds={one}, instanceIds={2}) == set()
    assert house.found(taskIds={one}, jobKeys={key_of(STORE)}) == set()
    assert house.found(taskIds={"gone"}) == set()


@pytest.mark.parametrize(
    "criteria",
    [{}, {"role": "www"}, {"statuses": {RUNNING, PENDING}}, {"jobKeys": {STORE, HELLO}}, {"instanceIds": {0}}],
)
@pytest.mark.parametrize("size", [1, 2, 5])
def test_pages_do_not_overlap_and_leave_nothing_out(house: House, criteria: dict[str, Any], size: int) -> None:
    whole = house.tasks(**sent(criteria))
    pages = [house.tasks(**sent(criteria), offset=at, limit=size) for at in range(0, len(whole) + size, size)]
    assert [len(page) for page in pages[:-2]] == [size] * (len(pages) - 2)
    assert [task.assignedTask.taskId for page in pages for task in page] == [t.assignedTask.taskId for t in whole]


@pytest.mark.parametrize("criteria", [{"role": "a b"}, {"environment": "p/q"}, {"jobName": ""}, {"role": "ü"}])
def test_a_job_key_that_cannot_be_is_an_error(house: House, criteria: dict[str, str]) -> None:
    query = api("TaskQuery", **{"role": "www", "environment": "prod", "jobName": "hello", **criteria})
    for method in (*LIMITED, "getPendingReason"):
        assert getattr(house.client, method)(query).responseCode == ERROR


def test_a_query_that_is_missing_is_an_error(house: House) -> None:
    for method in (*LIMITED, "getPendingReason", "getJobUpdateSummaries"):
        assert getattr(house.client, method)(None).responseCode == ERROR


def test_pending_reasons(house: House) -> None:
    def reasons(**criteria: Any) -> list[str]:
        response = house.client.getPendingReason(api("TaskQuery", **criteria))
        assert response.responseCode == OK
        return [reason.reason for reason in response.result.getPendingReasonResult.reasons]

    (reason,) = reasons()
    assert "CPU" in reason
    assert reasons(role="db") == reasons(jobKeys={key_of(HUGE)}) == reasons(limit=1) == [reason]
    assert reasons(role="www") == reasons(offset=1) == []
    for refused in ({"slaveHosts": {"host-1"}}, {"statuses": {PENDING}}):
        assert house.client.getPendingReason(api("TaskQuery", **refused)).responseCode == INVALID_REQUEST


# --- updates


def test_updates(house: House) -> None:
    clock = house.inner.stage.clock
    keys = []
    for job, size in ((HELLO, 3), (TESTED, 2), (STORE, 2)):
        house.inner.on_loop(lambda: clock.advance(1000))
        keys.append(house.start(job, size))
    hello, tested, store = keys
    house.inner.on_loop(lambda: clock.advance(1000))
    assert house.client.pauseJobUpdate(hello, None).responseCode == OK  # the last modified

    def ids(**criteria: Any) -> list[str]:
        return [update.key.id for update in house.updates(**criteria)]

    everything = [hello.id, store.id, tested.id]
    assert ids() == ids(role="", user="", updateStatuses=set(), limit=0, offset=0) == everything
    go = {"role": "", "jobKey": api("JobKey", role="", environment="", name=""), "updateStatuses": set()}
    assert ids(**go, key=api("JobUpdateKey", job=go["jobKey"], id="")) == everything
    assert ids(role="www") == [hello.id, tested.id]
    assert ids(role="nobody") == []
    assert ids(jobKey=key_of(STORE)) == [store.id]
    assert ids(jobKey=key_of(OTHER)) == []
    assert ids(key=tested) == [tested.id]
    assert ids(key=api("JobUpdateKey", job=tested.job, id=store.id)) == []
    assert ids(user="UNSECURE") == everything
    assert ids(user="bob") == []
    paused, awaiting = 2, 9
    assert ids(updateStatuses={paused}) == [hello.id]
    assert ids(updateStatuses={awaiting}) == [store.id, tested.id]
    assert (
        ids(updateStatuses={awaiting}, role="www") == ids(updateStatuses={awaiting, paused}, key=tested) == [tested.id]
    )
    assert ids(updateStatuses={awaiting}, key=hello) == []
    assert ids(key=hello, jobKey=key_of(STORE)) == []
    assert ids(limit=1) == [hello.id]
    assert ids(offset=1) == [store.id, tested.id]
    assert ids(offset=1, limit=1) == [store.id]
    assert ids(offset=3) == ids(offset=99, limit=5) == []
    assert ids(offset=-1, limit=-1) == everything
    stamps = [update.state.lastModifiedTimestampMs for update in house.updates()]
    assert stamps == sorted(stamps, reverse=True)
    refused = house.client.getJobUpdateSummaries(api("JobUpdateQuery", updateStatuses={77}))
    assert (refused.responseCode, "updateStatuses is 77" in texts(refused)[0]) == (INVALID_REQUEST, True)
    _details(house, hello, store)


def _details(house: House, hello: Any, store: Any) -> None:
    def ask(key: Any = None, **criteria: Any) -> Any:
        query = api("JobUpdateQuery", **criteria) if criteria else None
        return house.client.getJobUpdateDetails(key, query)

    listed = ask(role="www", limit=1).result.getJobUpdateDetailsResult
    assert [details.update.summary.key.id for details in listed.detailsList] == [hello.id]
    assert listed.details is None
    both = ask(store, role="www", limit=1).result.getJobUpdateDetailsResult
    assert [details.update.summary.key.id for details in both.detailsList] == [hello.id]
    alone = ask(store)
    assert alone.result.getJobUpdateDetailsResult.details.update.summary.key == store
    assert "deprecated" in texts(alone)[0]
    for gone in ("gone", "", " "):
        unknown = ask(api("JobUpdateKey", job=store.job, id=gone))
        assert (unknown.responseCode, texts(unknown)) == (
            INVALID_REQUEST,
            [f"Invalid update: {'/'.join(STORE)}/{gone}"],
        )
    assert ask().responseCode == ERROR
    assert ask(role="nobody").result.getJobUpdateDetailsResult.detailsList == []


# --- the difference an update would make


def diff(house: House, size: int, version: str = "v2", **settings: Any) -> dict[str, list[int]]:
    response = house.client.getJobUpdateDiff(request(HELLO, size, version, **settings))
    assert response.responseCode == OK, texts(response)
    found = response.result.getJobUpdateDiffResult
    new = DATA % version
    ids: dict[str, list[int]] = {}
    for bucket in ("add", "remove", "update", "unchanged"):
        for group in getattr(found, bucket):
            wanted = new if bucket == "add" else DATA % "v1"  # all but `add` tell what is there now
            assert group.config.executorConfig.data == wanted
            ids[bucket] = sorted(i for r in group.instances for i in range(r.first, r.last + 1))
    return ids


def test_diff(house: House) -> None:
    assert diff(house, 3) == {"update": [0, 1, 2]}
    assert diff(house, 3, "v1") == {"unchanged": [0, 1, 2]}
    assert diff(house, 5) == {"add": [3, 4], "update": [0, 1, 2]}
    assert diff(house, 1, "v1") == {"remove": [1, 2], "unchanged": [0]}
    assert diff(house, 0) == {"remove": [0, 1, 2]}
    scope = {api("Range", first=1, last=1), api("Range", first=4, last=9)}
    assert diff(house, 5, updateOnlyTheseInstances=scope) == {"add": [4], "update": [1], "unchanged": [0, 2]}
    assert diff(house, 2, updateOnlyTheseInstances={api("Range", first=77, last=99)}) == {"unchanged": [0, 1, 2]}


def test_diff_of_what_cannot_be(house: House) -> None:
    ask = house.client.getJobUpdateDiff
    assert ask(None).responseCode == ERROR
    assert ask(api("JobUpdateRequest", instanceCount=1)).responseCode == ERROR
    negative = ask(request(HELLO, -1))
    assert (negative.responseCode, texts(negative)) == (
        INVALID_REQUEST,
        ["instanceCount must not be negative, it is -1"],
    )
    broken = request(HELLO, 1)
    broken.taskConfig.executorConfig.name = "nobody"
    many = ask(request(HELLO, 4001))
    assert (many.responseCode, texts(many)) == (INVALID_REQUEST, ["instanceCount must be at most 4000, it is 4001"])
    refused = ask(broken)
    assert (refused.responseCode, "executorConfig.name" in texts(refused)[0]) == (INVALID_REQUEST, True)
    without = request(HELLO, 3)
    without.settings = None
    assert ask(without).responseCode == OK
