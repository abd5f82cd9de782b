"""`thesan monitor` against a real server: its check hangs, fails and recovers, and the server is started again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scheduler.client.connection import Connection
from scheduler.interface import aurora, thesan
from tests.client.served import Served, job_file, served
from tests.client.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]
H = thesan.HeldBy


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("server")) as one:
        yield one


Begin = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Begins commands that are ended with the test: a monitor whose scheduler is gone goes on for ever."""
    begun: list[subprocess.Popen[str]] = []

    def one(server: Served, *arguments: str) -> subprocess.Popen[str]:
        begun.append(server.begin(*arguments))
        return begun[-1]

    yield one
    for process in begun:
        with process:
            process.terminate()


class Check:
    """A check that does what it is told."""

    def __init__(self, folder: Path) -> None:
        self._mode = folder / "mode"
        self.command = (
            f"case $(cat {self._mode}) in ok) exit 0;; hang) echo looking; sleep 50;; esac; "
            f'echo "first line"; echo "7% errors"; exit 1'
        )
        self.does("ok")

    def does(self, what: str) -> None:
        self._mode.write_text(what)


def key_of(name: str, update_id: str) -> Any:
    return aurora.JobUpdateKey(job=aurora.JobKey(role="www-data", environment="devel", name=name), id=update_id)


def explained(server: Served, key: Any) -> Any:
    return Connection(server.url).call("explainUpdate", key=key)


def start(server: Served, folder: Path, name: str, watch: str) -> Any:
    path = job_file(folder, name, version="v2", watch=watch, more="pulse_timeout: 3s")
    return key_of(name, server.json("update", "start", path)["id"])


def events(server: Served, key: Any) -> list[tuple[int, str]]:
    query = aurora.JobUpdateQuery(key=key)
    found = Connection(server.url).call("getJobUpdateDetails", query=query).result.getJobUpdateDetailsResult.detailsList
    return [(event.status, event.message or "") for event in found[0].updateEvents]


def times_rolled(server: Served, key: Any) -> int:
    return [status for status, _ in events(server, key)].count(aurora.JobUpdateStatus.ROLLING_FORWARD)


def test_a_check_that_fails_hangs_and_recovers_while_the_server_restarts(begin: Begin, tmp_path: Path) -> None:
    check = Check(tmp_path)
    with served(tmp_path) as server:
        key = start(server, tmp_path, "watched", "2s")
        check.does("fail")
        monitor = begin(
            server, "monitor", f"www-data/devel/watched/{key.id}", "--every", "500ms", "--run", check.command,
            "--link", "https://graphs.example", "--source", "the test", "--write-json")  # fmt: skip
        until(lambda: explained(server, key).why == "7% errors https://graphs.example", "the WAIT never arrived")
        waits = explained(server, key)
        assert (waits.heldBy, waits.who) == (H.MONITOR_WAITS, "the test")

        check.does("hang")
        time.sleep(1.6)  # a reason that changes is recorded once a minute only: the monitor's own words must do
        check.does("ok")
        until(lambda: times_rolled(server, key) == 1, "never rolled")
        server.kill()
        time.sleep(1.5)
        server.start()
        # In the history, not as the status: the instance was watched long enough by now, so it rolls for a moment only.
        until(lambda: times_rolled(server, key) == 2, "never rolled again")
        out, err = monitor.communicate(timeout=30)

    assert monitor.returncode == 0, (out, err)
    done = json.loads(out)
    assert (done["status"], done["id"]) == ("ROLLED_FORWARD", key.id)
    assert done["failed_checks"] >= 2 and done["unanswered"] >= 1
    assert "WAIT (7% errors) -> WAITING, ROLL_FORWARD_AWAITING_PULSE" in err
    assert "WAIT (no result within 0.5 s; its last line: looking) -> WAITING" in err
    assert "goes on beating" in err and "answers again" in err
    assert "too seldom" not in err
    print(err, out)
    # The beats are steady: only the gap in which nobody listened is longer than the update's 3 s allow.
    assert done["late_mean_ms"] < 500, done


def test_how_late_heartbeats_are(server: Served, tmp_path: Path) -> None:
    key = start(server, tmp_path, "steady", "1s")
    done = server.json("monitor", f"www-data/devel/steady/{key.id}", "--every", "200ms", "--run", "true")
    print(f"lateness of {done['heartbeats']} heartbeats: mean {done['late_mean_ms']} ms, most {done['latest_ms']} ms")
    assert (done["status"], done["failed_checks"], done["unanswered"]) == ("ROLLED_FORWARD", 0, 0)
    assert done["heartbeats"] >= 8
    assert done["longest_gap_ms"] < 1500, "half of the timeout, on a busy machine"
    assert [status for status, _ in events(server, key)] == [
        aurora.JobUpdateStatus.ROLL_FORWARD_AWAITING_PULSE,
        aurora.JobUpdateStatus.ROLLING_FORWARD,
        aurora.JobUpdateStatus.ROLLED_FORWARD,
    ]


@pytest.mark.parametrize(
    ("verdict", "last", "code"),
    [("ROLL_BACK", "ROLLED_BACK", 1), ("abort", "ABORTED", 1)],
)
def test_a_failing_check_can_end_it(server: Served, tmp_path: Path, verdict: str, last: str, code: int) -> None:
    name = f"ends-{verdict.lower()}"
    key = start(server, tmp_path, name, "1s")
    done = server.run(
        "monitor", f"www-data/devel/{name}", "--every", "300ms", "--run", "echo bad; exit 3", "--on-failure", verdict,
        code=code)  # fmt: skip
    assert f"{verdict.upper()} (bad) -> " in done.stdout
    assert done.stdout.splitlines()[-1].startswith(f"www-data/devel/{name}: {last}; ")
    assert any("bad" in message for _, message in events(server, key))


def test_a_pause_is_lifted_by_a_person_only(server: Served, begin: Begin, tmp_path: Path) -> None:
    key = start(server, tmp_path, "paused", "0")
    check = Check(tmp_path)
    check.does("fail")
    monitor = begin(
        server, "monitor", "www-data/devel/paused", "--every", "200ms", "--run", check.command, "--on-failure", "PAUSE"
    )
    until(lambda: explained(server, key).heldBy == H.PERSON, "never paused")
    check.does("ok")
    time.sleep(0.6)
    assert explained(server, key).status == aurora.JobUpdateStatus.ROLL_FORWARD_PAUSED
    server.run("update", "resume", "www-data/devel/paused")
    out, err = monitor.communicate(timeout=20)
    assert monitor.returncode == 0, (out, err)
    assert "PROCEED -> PAUSED, ROLL_FORWARD_PAUSED, paused by " in out


def test_a_page_and_a_figure(server: Served, begin: Begin, tmp_path: Path) -> None:
    key = start(server, tmp_path, "pages", "30s")
    done = ["monitor", "www-data/devel/pages", "--every", "1s", "--on-failure", "ABORT"]
    by_page = begin(server, *done, "--http", f"{server.url}/health")
    until(lambda: explained(server, key).status == aurora.JobUpdateStatus.ROLLING_FORWARD, "never rolled")
    refused = server.run(*done, "--vars", "jvm_uptime_secs<0", code=1)
    assert "ABORT (" in refused.stdout
    out, err = by_page.communicate(timeout=20)
    assert by_page.returncode == 1, (out, err)
    assert "PROCEED -> FINISHED, ABORTED" in out


def test_who_asks_it_to_end_ends_its_check_too(server: Served, begin: Begin, tmp_path: Path) -> None:
    start(server, tmp_path, "stopped", "30s")
    monitor = begin(server, "monitor", "www-data/devel/stopped", "--every", "20s", "--run", f"sleep 51; : {tmp_path}")
    pattern = ["pgrep", "-f", f"sleep 51; : {tmp_path}"]
    until(lambda: subprocess.run(pattern, capture_output=True, check=False).stdout.count(b"\n") > 1, "no check")
    monitor.terminate()
    out, err = monitor.communicate(timeout=10)
    assert (monitor.returncode, out) == (130, ""), err
    assert "no longer watching" in err
    assert subprocess.run(pattern, capture_output=True, check=False).stdout == b""


@pytest.mark.parametrize(
    "arguments",
    [
        ("a/b", "--run", "true"),
        ("a/b/c",),
        ("a/b/c", "--run", "true", "--http", "http://127.0.0.1"),
        ("a/b/c", "--vars", "errors"),
        ("a/b/c", "--http", "ftp://x"),
        ("a/b/c", "--run", "true", "--check-timeout", "1h"),
    ],
)
def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scheduler", "monitor", "--every", "10s", *arguments], capture_output=True, check=False
    )
    assert done.returncode == 2, done
