"""Pages as people have them: in Chromium, on a telephone's screen. Run by `scripts/browse`."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from scheduler.interface import aurora, thesan
from scheduler.testing.cluster import Cluster, Scheduler

JOB = aurora.JobKey("www", "prod", "hello")
PHONE = {"width": 360, "height": 740}


def config(version: str) -> aurora.TaskConfig:
    return aurora.TaskConfig(
        job=JOB,
        isService=True,
        resources={aurora.Resource(numCpus=0.1), aurora.Resource(ramMb=64), aurora.Resource(diskMb=64)},
        executorConfig=aurora.ExecutorConfig("AuroraExecutor", "{}"),
        metadata={aurora.Metadata("version", version)},
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Scheduler]:
    """It has a job and an update that waits, told by a monitor whose words would be a script."""
    with Cluster(engine="simulated") as cluster:
        scheduler = cluster.scheduler()
        scheduler.start()
        created = scheduler.ask("createJob", aurora.JobConfiguration(key=JOB, taskConfig=config("v1"), instanceCount=3))
        assert created.responseCode == 1, created
        settings = aurora.JobUpdateSettings(
            updateGroupSize=1, minWaitInInstanceRunningMs=60_000, blockIfNoPulsesAfterMs=600_000
        )
        request = aurora.JobUpdateRequest(taskConfig=config("v2"), instanceCount=3, settings=settings)
        started = scheduler.ask("startJobUpdate", request, "<script>document.title = 'broken'</script>")
        assert started.responseCode == 1, started
        yield scheduler


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Whatever a browser complains of fails the test."""
    said: list[str] = []

    def heard(where: str, text: str) -> None:
        if not where.endswith("/favicon.ico"):  # it asks for a picture that nobody speaks of
            said.append(f"{page.url}: {text}")

    context = browser.new_context(viewport=PHONE)
    page = context.new_page()
    page.on("console", lambda message: heard(message.location["url"], message.text))
    page.on("pageerror", lambda error: heard(page.url, str(error)))
    yield page
    context.close()
    assert said == []


def links(page: Page) -> set[str]:
    found: list[str] = page.eval_on_selector_all("a[href]", "all => all.map(one => one.getAttribute('href'))")
    return set(found)


def the_update(server: Scheduler) -> aurora.JobUpdateKey:
    found = server.ask("getJobUpdateSummaries", aurora.JobUpdateQuery(role="www"))
    (summary,) = found.result.getJobUpdateSummariesResult.updateSummaries
    return summary.key


@pytest.mark.timeout(120)
def test_no_page_is_wider_than_a_telephone_and_none_needs_anything_else(server: Scheduler, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    waiting, seen = {"/", "/utilization/total_consumed", "/threads"}, set[str]()
    while waiting:
        path = waiting.pop()
        seen.add(path)
        asked.clear()
        answer = page.goto(server.url + path)
        assert answer is not None
        assert answer.status == 200, path
        assert {urlsplit(url).path for url in asked} <= {path, "/scheduler", "/favicon.ico"}
        if not (answer.header_value("content-type") or "").startswith("text/html"):
            continue
        wide, window = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert wide <= window, path
        assert "broken" not in page.title()
        waiting |= links(page) - seen
    assert any("/update/" in path for path in seen)
    assert any("/task/" in path for path in seen)
    assert len(seen) > 15


def test_the_page_of_an_update_is_shown_anew_by_itself(server: Scheduler, page: Page) -> None:
    key = the_update(server)
    page.goto(f"{server.url}/scheduler/www/prod/hello/update/{key.id}")
    expect(page.locator("p")).to_contain_text("first heartbeat")
    expect(page.locator("body")).to_contain_text("<script>document.title")
    assert server.ask("pulseJobUpdate", key).responseCode == 1
    expect(page.locator("p")).to_contain_text("ROLLING_FORWARD", timeout=30_000)
    beat = thesan.Heartbeat(key=key, verdict=2, reason="p99 <b>high</b>", source="probe")
    assert server.ask("heartbeat", beat).responseCode == 1
    expect(page.locator("p")).to_contain_text("p99 <b>high</b>", timeout=30_000)


def test_a_link_from_elsewhere_leads_to_a_page(server: Scheduler, browser: Browser) -> None:
    page = browser.new_page()
    with elsewhere(f'<a href="{server.url}/scheduler/www">the role</a>') as url:
        page.goto(url)
        page.click("a")
        expect(page.locator("h1")).to_have_text("www")
    page.close()


ATTACK = """<body><script>
const base = "SERVER", kill = '{"job":{"role":"www","environment":"prod","name":"hello"}}', done = {};
const tried = async (name, deed) => { try { done[name] = await deed(); } catch (refused) { done[name] = "refused"; } };
(async () => {
    const post = (path, type, mode) =>
        fetch(base + path, {method: "POST", mode: mode, headers: {"Content-Type": type}, body: kill});
    await tried("a simple call", async () => (await post("/apibeta/killTasks", "text/plain", "no-cors")).type);
    await tried("a call", async () => (await post("/apibeta/killTasks", "application/json", "cors")).status);
    await tried("thrift", async () => (await post("/api", "application/x-thrift", "no-cors")).type);
    await tried("reading a page", async () => (await fetch(base + "/scheduler")).status);
    await tried("reading figures", async () => (await fetch(base + "/vars")).status);
    await tried("events", () => new Promise((yes, no) => {
        const source = new EventSource(base + "/events"); source.onopen = () => yes("open"); source.onerror = no;
    }));
    await tried("ending it", async () => (await post("/quitquitquit", "text/plain", "no-cors")).type);
    const frame = document.createElement("iframe"), form = document.createElement("form");
    frame.name = "there"; form.target = "there"; form.method = "POST"; form.action = base + "/abortabortabort";
    frame.onload = () => { document.title = JSON.stringify(done); };
    document.body.append(frame, form); form.submit();
})();
</script></body>"""


@contextlib.contextmanager
def elsewhere(body: str) -> Iterator[str]:
    """Another origin, and its only page."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *said: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_address[1]}/"
        http.shutdown()
        thread.join()


def test_the_page_of_another_origin_reads_nothing_and_changes_nothing(server: Scheduler, browser: Browser) -> None:
    page = browser.new_page()
    with elsewhere(ATTACK.replace("SERVER", server.url)) as url:
        page.goto(url)
        page.wait_for_function("document.title.startsWith('{')", timeout=30_000)
        done = page.evaluate("JSON.parse(document.title)")
    page.close()
    assert {name for name, said in done.items() if said != "refused"} <= {"a simple call", "thrift", "ending it"}
    assert {done[name] for name in ("a simple call", "thrift", "ending it")} <= {"opaque", "refused"}
    assert server.alive
    counts = server.ask("getJobSummary", "www").result.jobSummaryResult.summaries[0].stats
    assert counts.activeTaskCount + counts.pendingTaskCount == 3
    assert "killTasks" not in server.log()
