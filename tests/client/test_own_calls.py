"""The commands for what Aurora's interface cannot say, against a real server; and the live view on a terminal."""

from __future__ import annotations

import http.server
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.served import Served, job_file, served, thesan
from tests.client.terminal import Terminal

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("server")) as one:
        yield one


def start(server: Served, folder: Path, name: str, more: str = "pulse_timeout: 60s", watch: str = "0") -> str:
    path = job_file(folder, name, version="v2", watch=watch, more=more)
    return str(server.json("update", "start", path)["id"])


def test_one_heartbeat_with_a_verdict_and_why_it_stands(server: Served, tmp_path: Path) -> None:
    key = "www-data/devel/one"
    start(server, tmp_path, "one", watch="30s")
    assert "has waited for its first heartbeat" in server.run("update", "explain", key).stdout
    beat = ["update", "heartbeat", key, "--source", "me", "--link", "https://x.example"]
    said = server.run(*beat, "--verdict", "wait", "--reason", "a graph").stdout
    assert said.startswith(f"{key}: WAITING, ROLL_FORWARD_AWAITING_PULSE, waits for ")
    why = server.json("update", "explain", key)
    assert (why["heldBy"], why["who"], why["job"]) == ("MONITOR_WAITS", "me", key)
    info = server.run("update", "info", key).stdout
    assert "Why: Me has said wait for" in info and "a graph https://x.example" in info
    assert "Timeline: waits " in info and "Heartbeat: within " in info
    assert server.json("update", "info", key)["explanation"]["held_by"] == "MONITOR_WAITS"
    waiting = server.run("update", "wait", key, "--timeout", "300ms", code=4)
    assert "Me has said wait for" in waiting.stdout

    assert server.json(*beat)["outcome"] == "OK"
    paused = server.run(*beat, "--verdict", "PAUSE", "--reason", "stop").stdout
    assert "paused by UNSECURE: Monitor says pause: stop" in paused
    assert server.run(*beat).stdout.startswith(f"{key}: PAUSED, ROLL_FORWARD_PAUSED, paused by ")
    history = [one["text"] for one in server.json("update", "history", key)]
    assert any("stop" in text for text in history), history
    assert server.run("update", "history", key).stdout.count("\n") == len(history)
    server.run("update", "abort", key)


def test_what_ends_by_itself(server: Served, tmp_path: Path) -> None:
    key = "www-data/devel/while"
    start(server, tmp_path, "while", watch="30s")
    assert "reason: say why" in server.run("update", "override", key, "--for", "1h", code=1).stderr
    over = server.json("update", "override", key, "--for", "1h", "-m", "it is down")
    assert (over["status"], over["until_ms"] > time.time() * 1000) == ("ROLLING_FORWARD", True)
    assert "answers for it in the monitor's place" in server.run("update", "explain", key).stdout
    assert server.json("update", "override", key, "--for", "2h", "-m", "longer")["status"] == "ROLLING_FORWARD"
    assert "until" not in server.run("update", "override", key, "--for", "0").stdout
    for shown in ("history", "info", "replay"):
        told = server.run("update", shown, key).stdout
        assert "Heartbeat overridden for 7200 s: longer" in told, "it rolled already, and is on the record all the same"
    assert "longer (by UNSECURE)" in server.run("update", "history", key).stdout
    paused = server.run("update", "pause", key, "--for", "10m", "-m", "lunch").stdout
    assert "is ROLL_FORWARD_PAUSED, until 20" in paused
    assert "It resumes by itself in" in server.run("update", "explain", key).stdout
    server.run("update", "abort", key)


def test_instances_set_aside_a_plan_and_a_replay(server: Served, tmp_path: Path) -> None:
    key = "www-data/devel/aside"
    start(server, tmp_path, "aside")
    assert "name at least one" in server.run("update", "skip", key, "-m", "x", code=2).stderr
    server.run("update", "skip", key, "--instances", "1", "-m", "its host is broken")
    server.run("update", "retry", key, "--instances", "1", "-m", "mended")
    server.run("update", "skip", key, "--instances", "0", "-m", "not this one")
    server.run("update", "heartbeat", key)
    server.run("update", "wait", key)
    history = server.run("update", "history", key).stdout
    assert "Left out by UNSECURE: its host is broken" in history

    replayed = server.run("update", "replay", key).stdout
    assert replayed.splitlines()[-1] == f"{key}: ROLLED_FORWARD, where the record ends"
    assert server.json("update", "replay", key)["matches"] is True

    path = job_file(tmp_path, "aside", version="v3", more="pulse_timeout: 60s")
    planned = server.run("update", "plan", path).stdout
    assert planned.startswith(f"{key}: ") and "group 1: instances 0: " in planned
    assert len(server.json("update", "plan", path)["groups"]) >= 1
    assert server.json("update", "list", key, "--status", "active") == [], "a plan starts nothing"


class OlderServer(http.server.BaseHTTPRequestHandler):
    """Passes calls on to the real server, but explainUpdate under a name it does not know."""

    url = ""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).replace(b"explainUpdate", b"explainOthers")
        kind = {"Content-Type": self.headers["Content-Type"], "Accept": self.headers["Accept"]}
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/api", body, kind), timeout=10) as answer:
            data = answer.read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_server_that_does_not_explain_is_shown_without(server: Served, tmp_path: Path) -> None:
    key = "www-data/devel/older"
    start(server, tmp_path, "older")
    OlderServer.url = server.url
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), OlderServer) as older:
        threading.Thread(target=older.serve_forever, daemon=True).start()
        environment = {**server.environment(), "THESAN_SERVER": f"http://127.0.0.1:{older.server_port}"}
        info = thesan("update", "info", key, environment=environment)
        waited = thesan("update", "wait", key, "--timeout", "700ms", environment=environment)
        asked = thesan("update", "explain", key, environment=environment)
        older.shutdown()
    assert (info.returncode, info.stderr) == (0, "")
    assert "Why:" not in info.stdout and "Timeline: waits" in info.stdout
    assert waited.returncode == 4 and "has waited for its first" not in waited.stdout + waited.stderr
    assert asked.returncode == 1 and "cannot serve explainUpdate" in asked.stderr
    server.run("update", "abort", key)


def test_the_live_view_says_why_and_counts_down(server: Served, tmp_path: Path) -> None:
    key = "www-data/devel/live"
    start(server, tmp_path, "live", watch="2s", more="pulse_timeout: 20s")
    terminal = Terminal(server, "update", "wait", key)
    terminal.until("It has waited for its first heartbeat since it was started", "heartbeat: none heard yet")
    server.run("update", "heartbeat", key, "--verdict", "WAIT", "--reason", "errors at 7%", "--source", "graphs")
    waiting = terminal.until("Graphs has said wait for", "errors at 7%", "heartbeat: within", "from graphs")
    server.run("update", "heartbeat", key, "--source", "graphs")
    rolling = terminal.until("instance 0 RUNNING for", "0 ◐  1 ·", "▬", "rolls", "waits")
    assert rolling.count("update of www-data/devel/live") == 1, "it is redrawn in place"
    print(waiting, rolling, sep="\n\n")
    end = terminal.until("ROLLED_FORWARD after", "0 ✓  1 ✓")
    assert "heartbeat:" not in end
    info = Terminal(server, "update", "info", key)
    info.until("0 ✓  1 ✓", "▬", "Why: It ended")
