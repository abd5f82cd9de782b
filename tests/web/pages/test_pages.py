"""Aurora's pages, asked for by an ordinary client: their form, what they refuse, and that they wait for the log."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs
import pytest
import requests

from scheduler.core import jobs, quota
from scheduler.core.maintenance import requests as maintenance
from scheduler.core.records import Host, JobConfiguration, JobKey, Quota, Resource, ResourceKind
from scheduler.testing.serving import InThread, serving
from scheduler.testing.stage import Stage, service

JOB = JobKey("www", "prod", "hello")
BIG = JobKey("www", "prod", "big")
HOST = Host(
    "host-1",
    "agent-1",
    cpus=8.0,
    ram_mb=1024,
    disk_mb=2048,
    ports=tuple(range(31000, 31010)),
    attributes=(("rack", ("a<b",)),),
)


def make_stage() -> Stage:
    stage = Stage()
    stage.offer((HOST, Host("host-2", "agent-2", 1, 1, 1)))
    stage.ask(maintenance.drain, ["host-2"], "me")
    stage.ask(quota.set_quota, "www", quota_of(100), "me")
    ports = (Resource(ResourceKind.PORT, "admin"), Resource(ResourceKind.PORT, "http"))
    config = service(JOB, "v1")
    with_ports = attrs.evolve(config, tier="preferred", resources=(*config.resources, *ports))
    assert stage.ask(jobs.create, JobConfiguration(JOB, with_ports, 2), "me").ok
    for instance in (0, 1):
        stage.run(stage.active(JOB, instance))
    big = attrs.evolve(service(BIG, "v1"), resources=(Resource(ResourceKind.CPUS, 16.0), *config.resources[1:]))
    assert stage.ask(jobs.create, JobConfiguration(BIG, big, 3), "me").ok
    return stage


def quota_of(cpus: float) -> Any:
    return tuple(zip(quota.KINDS, (cpus, 10_000, 10_000), strict=True))


@pytest.fixture(scope="module")
def house() -> Iterator[InThread]:
    with serving(make_stage()) as inner:
        yield inner


def url(house: InThread, path: str) -> str:
    return f"http://127.0.0.1:{house.http_port}{path}"


def get(house: InThread, path: str) -> requests.Response:
    return requests.get(url(house, path), timeout=10, allow_redirects=False)


def cells(page: requests.Response) -> list[list[str]]:
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    rows = re.findall(r"<tr>(.*)", page.text)
    return [[re.sub(r"<[^>]*>", "", cell) for cell in re.split(r"<t[dh]>", row)[1:]] for row in rows]


# --- the cluster ---


def test_agents(house: InThread) -> None:
    expected = [
        ["host", "agent", "mode", "attributes"],
        ["host-1", "agent-1", "NONE", "rack=a&lt;b"],
        ["host-2", "agent-2", "DRAINED", ""],
    ]
    assert cells(get(house, "/agents")) == expected
    assert cells(get(house, "/slaves")) == expected


def test_offers_say_what_is_left(house: InThread) -> None:
    offers = get(house, "/offers").json()

    assert [offer["hostname"] for offer in offers] == ["host-1", "host-2"]
    assert {r["name"]: r["value"] for r in offers[0]["resources"]} == {
        "cpus": 6.0,
        "mem": 896,
        "disk": 1920,
        "gpus": 0,
        "ports": 6,
    }
    assert offers[0]["attributes"] == [{"name": "rack", "values": ["a<b"]}]


def test_pending_tasks_stand_in_groups_with_their_reason(house: InThread) -> None:
    (group,) = get(house, "/pendingtasks").json()

    assert (group["name"], group["penaltyMs"], len(group["taskIds"])) == ("www/prod/big", 0, 3)
    assert "CPU" in group["reason"]
    assert group["reason"].startswith("[")


def test_quotas(house: InThread) -> None:
    www = {"www": {"cpu_cores": 100.0, "ram_mb": 10_000, "disk_mb": 10_000}}
    assert get(house, "/quotas").json() == www
    assert get(house, "/quotas?role=www").json() == www
    assert get(house, "/quotas?role=nobody").json() == {}


def test_tiers(house: InThread) -> None:
    found = get(house, "/tiers").json()
    assert found["default"] == "preemptible"
    assert found["tiers"]["revocable"] == {"preemptible": True, "revocable": True}


def test_state_has_each_configuration_once(house: InThread) -> None:
    found = get(house, "/state").json()

    ((name, config),) = found["taskConfigs"].items()
    assert name.startswith("www/prod/hello-")
    assert config["job"] == {"role": "www", "environment": "prod", "name": "hello"}
    assert found["agents"] == {"agent-1": [name, name]}


def test_maintenance(house: InThread) -> None:
    assert get(house, "/maintenance").json() == {"DRAINED": ["host-2"], "SCHEDULED": [], "DRAINING": {}}


def test_utilization(house: InThread) -> None:
    overview = {row[0]: row[1:] for row in cells(get(house, "/utilization"))}
    assert overview["Quota consumption"] == ["2", "128", "128"]
    assert overview["Free pool consumption"] == ["48", "192", "192"]
    assert overview["Total consumption"] == ["50", "320", "320"]
    assert overview["Dedicated consumption"] == ["0", "0", "0"]
    assert cells(get(house, "/utilization/quota_consumed"))[1:] == [["www", "2", "128", "128"]]
    assert cells(get(house, "/utilization/total_consumed/www"))[1:] == [
        ["prod/big", "48", "192", "192"],
        ["prod/hello", "2", "128", "128"],
    ]
    assert get(house, "/utilization/nothing").status_code == 400


# --- one task ---


def test_structdump_of_a_task(house: InThread) -> None:
    task_id = house.on_loop(lambda: house.stage.active(JOB, 0).task_id)

    page = get(house, f"/structdump/task/{task_id}")

    assert page.status_code == 200
    assert "&quot;status&quot;: &quot;RUNNING&quot;" in page.text
    assert get(house, "/structdump/task/nobody").status_code == 404
    assert get(house, "/structdump").status_code == 400


def test_mname_leads_to_the_port_meant_for_people(house: InThread) -> None:
    ports = house.on_loop(lambda: dict(house.stage.active(JOB, 1).ports))

    page = get(house, "/mname/www/prod/hello/1/a%2Fb/c?x=1&y=%20")

    assert page.status_code == 307
    assert page.headers["Location"] == f"http://host-1:{ports['http']}/a%2Fb/c?x=1&y=%20"
    assert get(house, "/mname/www/prod/hello/1").headers["Location"] == f"http://host-1:{ports['http']}/"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/mname", 400),
        ("/mname/www/prod/hello/x", 400),
        ("/mname/www/prod/hello/-1", 400),
        ("/mname/www/prod/hello/99999999999", 400),
        ("/mname/www/prod/hello/7", 404),
        ("/mname/www/prod/big/0", 404),
        ("/mname/www/prod/nothing/0", 404),
    ],
)
def test_mname_refuses(house: InThread, path: str, status: int) -> None:
    assert get(house, path).status_code == status


def test_cron_jobs(house: InThread) -> None:
    key = {"role": "www", "environment": "prod", "name": "nightly"}
    amounts = [{"numCpus": 1.0}, {"ramMb": 64}, {"diskMb": 64}]
    executor = {"name": "AuroraExecutor", "data": "{}"}
    config = {"job": key, "resources": amounts, "executorConfig": executor}
    description = {"key": key, "taskConfig": config, "instanceCount": 1, "cronSchedule": "15 3 * * *"}
    answer = requests.post(url(house, "/apibeta/scheduleCronJob"), json={"description": description}, timeout=10).json()
    assert answer["responseCode"] == "OK", answer

    assert get(house, "/cron").json() == {"scheduled": {"www/prod/nightly": "15 3 * * *"}}
    assert "&quot;cronSchedule&quot;: &quot;15 3 * * *&quot;" in get(house, "/structdump/cron/www/prod/nightly").text
    assert get(house, "/structdump/cron/www/prod/hello").status_code == 404


# --- the process ---


def test_threads_shows_threads_and_tasks(house: InThread) -> None:
    text = get(house, "/threads").text
    assert "Thread serving (" in text
    assert "Task http server" in text


def test_a_log_level_can_be_changed(house: InThread) -> None:
    logger = logging.getLogger("thesan")
    before = logger.level
    try:
        page = requests.post(url(house, "/logconfig"), data={"logger": "thesan", "level": "debug"}, timeout=10)
        assert page.status_code == 200
        assert logger.level == logging.DEBUG
    finally:
        logger.setLevel(before)


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"logger": "thesan", "level": "LOUD"}, 400),
        ({"logger": "no.such", "level": "INFO"}, 400),
        ({"logger": "thesan.audit", "level": "OFF"}, 400),
        ({"logger": "thesan"}, 400),
        ({"logger": "x" * 5000, "level": "INFO"}, 413),
    ],
)
def test_a_wrong_log_level_is_refused(house: InThread, form: dict[str, str], status: int) -> None:
    logging.getLogger("thesan.audit")  # exists, as in a server with an audit trail
    before = logging.getLogger("thesan").level
    assert requests.post(url(house, "/logconfig"), data=form, timeout=10).status_code == status
    assert logging.getLogger("thesan").level == before


@pytest.mark.parametrize(("path", "how"), [("/quitquitquit", "quit"), ("/abortabortabort", "abort")])
def test_the_process_is_ended_by_post_only(path: str, how: str) -> None:
    with serving() as house:
        assert get(house, path).status_code == 405
        assert house.inner.ended == []
        assert requests.post(url(house, path), timeout=10).status_code == 200
        for _ in range(100):
            if house.inner.ended:
                break
            get(house, "/health")
        assert house.inner.ended == [how]


# --- the rules ---


def test_nothing_is_seen_before_it_is_durable() -> None:
    with serving(make_stage()) as house, ThreadPoolExecutor() as pool:

        def decide() -> None:
            house.core.held = True
            house.core.write(quota.set_quota, "early", quota_of(7), "me")

        house.on_loop(decide)
        asked = pool.submit(get, house, "/quotas?role=early")
        assert get(house, "/health").status_code == 200
        assert not asked.done()
        house.on_loop(house.core.release)
        assert asked.result(10).json() == {"early": {"cpu_cores": 7.0, "ram_mb": 10_000, "disk_mb": 10_000}}


def test_names_are_escaped_and_no_script_may_run(house: InThread) -> None:
    page = get(house, "/agents")
    assert "a<b" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Content-Type-Options"] == "nosniff"


def test_a_large_page_holds_up_nobody() -> None:
    stage = Stage()
    stage.offer(())
    for number in range(30):
        job = JobKey("www", "prod", f"job{number}")
        assert stage.ask(jobs.create, JobConfiguration(job, service(job, "x"), 1000), "me").ok
    with serving(stage) as house, requests.get(url(house, "/pendingtasks"), timeout=30, stream=True) as page:
        assert get(house, "/health").elapsed.total_seconds() < 1
        assert sum(len(group["taskIds"]) for group in page.json()) == 30_000


def test_the_record_of_quota_is_the_one_that_was_set(house: InThread) -> None:
    assert house.on_loop(lambda: house.stage.state.quotas.get("www")) == Quota(100.0, 10_000, 10_000)


@pytest.mark.parametrize("path", ["/agents", "/utilization", "/utilization/total_consumed/www", "/logconfig"])
def test_every_page_for_people_begins_alike(house: InThread, path: str) -> None:
    """In UTF-8, and as wide as the window it is read in."""
    page = get(house, path).text
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n<meta name="viewport" ')
    assert page.count("<h1>") == page.count("<title>") == 1
