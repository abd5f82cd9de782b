"""Pages for people, asked for by an ordinary client: every link leads somewhere, and each page says why."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from scheduler.core.records import JobKey
from scheduler.core.updates.records import UpdateKey, UpdateStatus
from scheduler.testing.script import Script, commands
from scheduler.testing.serving import InThread, serving
from scheduler.testing.stage import Stage
from scheduler.web.pages.people import job, layout, roles, updates

TRANSCRIPTS = sorted((Path(__file__).parents[3] / "scenarios").glob("*.txt"))

STORY = (
    "job api 0-1 old",
    "on nightly",
    'cron "*/5 * * * *" 2 first',
    "job web 0-2 old",
    'start new 0-2 queue=1 watch=20000 pulse=60000 note=thesan.monitor_url:https://graphs.example/web "<b>go</b>"',
    "pulse",
    "swap 0",
    'heartbeat WAIT source=probe "p99 <high>"',
)
WEB = JobKey("www", "prod", "web")


def the_update(stage: Stage) -> UpdateKey:
    (key,) = stage.state.updates
    return key


def told(*story: str) -> Script:
    script = Script()
    for command in story:
        script.do(command)
    return script


@pytest.fixture(scope="module")
def house() -> Iterator[InThread]:
    with serving(told(*STORY).stage) as inner:
        yield inner


def get(house: InThread, path: str) -> requests.Response:
    return requests.get(f"http://127.0.0.1:{house.http_port}{path}", timeout=10, allow_redirects=False)


def lines(page: requests.Response) -> list[str]:
    """What a reader sees; cells with | between."""
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    body = re.sub(r"<t[dh]>", "|", re.sub(r"<tr><t[dh]>", "", page.text.partition("<h1>")[2]))
    return [line for line in html.unescape(re.sub(r"<[^>]*>", "", body)).splitlines() if line]


def links(page: requests.Response) -> set[str]:
    return {html.unescape(found) for found in re.findall(r'href="([^"]*)"', page.text)}


# --- over HTTP ---


def test_the_first_page_leads_to_everything_and_no_link_leads_nowhere(house: InThread) -> None:
    first = get(house, "/")
    assert (first.status_code, first.headers["Location"]) == (302, "/scheduler")
    waiting, seen = {"/scheduler"}, set[str]()
    while waiting:
        path = waiting.pop()
        assert urlsplit(path)[:2] == ("", ""), path
        seen.add(path)
        page = get(house, path)
        assert page.status_code == 200, (path, page.text)
        if path.startswith(("/scheduler", "/updates")):
            assert "<script" not in page.text
            assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
            waiting |= links(page) - seen
    tasks = {layout.job_path(WEB, "task", task_id) for task_id in house.stage.state.tasks.by_job[WEB]}
    pages = {layout.job_path(WEB, *below) for below in ((), ("2",), ("update", the_update(house.stage).id))}
    assert {*tasks, *pages, "/scheduler/www", "/scheduler/www/prod", "/updates", "/agents", "/vars"} <= seen


def test_roles_and_jobs(house: InThread) -> None:
    assert "www|2|1|1" in lines(get(house, "/scheduler"))
    jobs = lines(get(house, "/scheduler/www"))
    assert jobs[0] == "www"
    assert "prod/api|2|0|0|0|" in jobs
    assert "prod/web|3|0|0|1|ROLL_FORWARD_AWAITING_PULSE" in jobs
    assert any(line.startswith("prod/nightly|*/5 * * * *|1970-01-01 00:") for line in jobs)
    assert lines(get(house, "/scheduler/www/prod"))[2:] == jobs[2:]


def test_a_job_says_why_its_update_stands_still(house: InThread) -> None:
    found = lines(get(house, "/scheduler/www/prod/web"))
    assert any(line.startswith(f"Update {the_update(house.stage).id}: Probe has said wait for") for line in found)
    assert sum("|RUNNING|" in line for line in found) == 3
    assert sum("|KILLED|" in line for line in found) == 1
    assert any(line.startswith("1-2|") for line in found)
    assert any(line.startswith(f"{the_update(house.stage).id}|ROLL_FORWARD_AWAITING_PULSE|") for line in found)


def test_an_update(house: InThread) -> None:
    page = get(house, layout.job_path(WEB, "update", the_update(house.stage).id))
    found = lines(page)
    assert '<meta http-equiv="refresh" content="5">' in page.text
    assert "<b>" not in page.text
    assert found[2].startswith("ROLL_FORWARD_AWAITING_PULSE. Probe has said wait for")
    assert "p99 <high>." in found[2]
    assert "Its monitor: https://graphs.example/web" in found[2]
    assert {"WORKING|0", "strategy|1 at a time", "wants a heartbeat every|1 min"} <= set(found)
    assert sum(line.endswith("|<b>go</b>") for line in found) == 1


def test_a_task(house: InThread) -> None:
    (ended,) = (t for t in house.stage.state.tasks.by_job[WEB].values() if not t.is_active)
    page = get(house, layout.job_path(WEB, "task", ended.task_id))
    statuses = [line.split("|")[1] for line in lines(page) if line.startswith("1970-")]
    assert statuses == [event.status.name for event in ended.events]
    assert get(house, layout.job_path(JobKey("www", "prod", "api"), "task", ended.task_id)).status_code == 404


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/scheduler/nobody", "There is no such role.\n"),
        ("/scheduler/www/devel", "There is no such role.\n"),
        ("/scheduler/www/prod/none", "There is no such job.\n"),
        ("/scheduler/www/prod/web/7", "There is no such instance.\n"),
        ("/scheduler/www/prod/web/<x>", "An instance is a number.\n"),
        ("/scheduler/www/prod/web/update/u9", "There is no such update.\n"),
        ("/scheduler/www/prod/web/task/x", "There is no such task.\n"),
    ],
)
def test_what_is_not_there(house: InThread, path: str, said: str) -> None:
    page = get(house, path)
    assert (page.status_code, page.text) == (404, said)


# --- every state there is ---


def test_everything_that_every_story_leaves_has_its_page() -> None:
    """To the last part of each."""
    met = set()
    for transcript in TRANSCRIPTS:
        stage = told(*commands(transcript.read_text(encoding="utf-8"))).stage
        state, read, read_now = stage.state, stage.controller.read, stage.controller.read_now
        for update in list(state.updates.values()):
            met.add(update.status)
            made = "".join(read_now(updates.update, update.key).answer.result)
            assert f"<p>{update.status.name}. " in made
            assert ('http-equiv="refresh"' in made) is (state.updates.active.get(update.key.job) is update)
        for key, tasks in list(state.tasks.by_job.items()):
            assert "".join(read_now(job.job, key).answer.result)
            assert str(key.name) in "".join(read(roles.jobs_of, key.role, key.environment).answer.result)
            for task in list(tasks.values()):
                assert f"<td>{task.status.name}<td>" in "".join(read(job.task, key, task.task_id).answer.result)
        assert "".join(read(updates.listed).answer.result)
    assert met >= set(UpdateStatus) - {UpdateStatus.ERROR, UpdateStatus.ROLL_BACK_PAUSED}  # no story ends in these


def test_what_is_shown_was_fixed_when_it_was_asked_for() -> None:
    """Parts are made while they are sent, and meanwhile the state goes on."""
    script = told(*STORY)
    read, read_now = script.stage.controller.read, script.stage.controller.read_now

    def asked() -> list[Iterator[str]]:
        views = (read_now(updates.update, script.key()), read_now(job.job, WEB), read(roles.jobs_of, "www", None))
        return [view.answer.result for view in (*views, read(updates.listed), read(roles.roles, "x"))]

    at_once = ["".join(page) for page in asked()]
    later = asked()
    for command in ("abort", "kill", "on api", "kill", "deschedule"):
        script.do(command)
    assert ["".join(page) for page in later] == at_once


def test_links_are_quoted() -> None:
    assert layout.path("a b", "c/d") == "/scheduler/a%20b/c%2Fd"
