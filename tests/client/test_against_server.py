"""The command against a real server with the local engine: real processes, real exit codes."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.served import Served, job_file, served, thesan
from tests.client.terminal import Terminal
from tests.client.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]  # each runs the command several times


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("server"), "--cluster-name", "testing") as one:
        yield one


def status_of(server: Served, name: str) -> str:
    """The status of a job's last update."""
    return str(server.json("update", "info", f"www-data/devel/{name}")["status"])


def pulse(server: Served, name: str) -> None:
    server.run("update", "pulse", f"www-data/devel/{name}", code=None)


# --- jobs ------------------------------------------------------------------------------------------------------------


def test_a_job_from_its_file_to_its_end(server: Served, tmp_path: Path) -> None:
    key = "www-data/devel/life"
    said = server.run("job", "create", job_file(tmp_path, "life"), "--wait", "--timeout", "20s").stdout
    assert said == f"{key}: created, 2 instances RUNNING\n"
    assert f"{key}  2          preemptible  0.01 cpus, 1 MB ram, 1 MB disk" in server.run("job", "list").stdout
    (status,) = server.json("job", "status", f"testing/{key}")
    assert status["job"] == key
    assert [task["status"] for task in status["active"]] == ["RUNNING", "RUNNING"]
    assert server.run("job", "kill", key, "--instances", "1", "--wait").stdout == f"{key}: instances 1 ended\n"
    assert [task["assignedTask"]["instanceId"] for task in server.json("job", "status", key)[0]["active"]] == [0]
    assert "1 active task, 1 ended" in server.run("job", "status", key).stdout
    assert server.json("job", "kill", key, "-m", "enough", "--wait")["killed"] is True
    nothing = server.json("job", "kill", key)
    assert (nothing["killed"], nothing["message"]) == (False, "No tasks to kill.")
    ended = server.json("job", "status", key)[0]
    assert (ended["active"], len(ended["inactive"])) == ([], 2)


def test_a_scope_restricts_the_lists(server: Served, tmp_path: Path) -> None:
    server.run("job", "create", job_file(tmp_path, "scoped", instances=1))
    for scope, found in (("www-data", 1), ("www-data/*/scoped", 1), ("www-data/prod", 0), ("nobody", 0), ("*", 1)):
        jobs = [one for one in server.json("job", "list", scope) if one["job"].endswith("/scoped")]
        assert len(jobs) == found, scope


def test_what_the_server_refuses_is_told_and_ends_with_1(server: Served, tmp_path: Path) -> None:
    path = job_file(tmp_path, "twice", instances=1)
    server.run("job", "create", path)
    again = server.run("job", "create", path, code=1)
    assert (again.stdout, again.stderr) == ("", "thesan: Job already exists: www-data/devel/twice\n")
    assert (
        "no task of www-data/devel/none is known" in server.run("job", "status", "www-data/devel/none", code=1).stderr
    )
    other = server.run("job", "kill", "elsewhere/www-data/devel/twice", code=1).stderr
    assert "serves cluster 'testing', not 'elsewhere'" in other


def test_an_update_that_was_given_up_begins_again_from_the_job_as_it_stands(server: Served, tmp_path: Path) -> None:
    key = "www-data/devel/again"
    server.run("job", "create", job_file(tmp_path, "again"), "--wait")
    path = job_file(tmp_path, "again", version="v2", more="pulse_timeout: 60s")
    first = server.json("update", "start", path)["id"]
    server.run("update", "abort", key)

    second = server.json("update", "start", "--from", f"{key}/{first}", "--message", "once more")["id"]
    for _ in range(3):
        pulse(server, "again")
    assert server.run("update", "wait", key, "--timeout", "30s").returncode == 0

    assert first != second
    assert status_of(server, "again") == "ROLLED_FORWARD"
    unchanged = server.json("update", "start", "--from", f"{key}/{first}")
    assert (unchanged["id"], unchanged["message"]) == (None, "Job is unchanged by proposed update.")


def test_an_update_that_only_removes_begins_again_too(server: Served, tmp_path: Path) -> None:
    key = "www-data/devel/fewer"
    server.run("job", "create", job_file(tmp_path, "fewer"), "--wait")
    first = server.json("update", "start", job_file(tmp_path, "fewer", instances=1, more="pulse_timeout: 60s"))["id"]
    server.run("update", "abort", key)

    server.run("update", "start", "--from", f"{key}/{first}")
    pulse(server, "fewer")
    assert server.run("update", "wait", key, "--timeout", "30s").returncode == 0

    (job,) = server.json("job", "status", key)
    assert [task["assignedTask"]["instanceId"] for task in job["active"]] == [0]
    unchanged = server.json("update", "start", "--from", f"{key}/{first}")
    assert (unchanged["id"], unchanged["message"]) == (None, "Job is unchanged by proposed update.")
    server.run("job", "kill", key, "--wait")
    nothing = server.run("update", "start", "--from", f"{key}/{first}", code=1).stderr
    assert nothing == "thesan: nothing of the job would stay, and an update leaves something; use `job kill`\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("job", "status", "hello"),
        ("job", "create", "nowhere.yaml"),
        ("job", "create"),
        ("job", "kill", "a/b/c", "--instances", "x"),
        ("job", "list", "a/b/c/d/e"),
        ("update", "list", "--status", "stuck"),
        ("update", "wait", "a/b/c", "--timeout", "5"),
        ("update", "start"),
        ("update", "start", "--from", "hello"),
        ("upgrade",),
        ("job", "list", "--server", "ftp://x"),
    ],
)
def test_wrong_usage_ends_with_2(server: Served, arguments: tuple[str, ...]) -> None:
    done = server.run(*arguments, code=2)
    assert done.stdout == ""
    assert done.stderr


def test_nobody_there_ends_with_3() -> None:
    done = thesan("job", "list", "--server", "http://127.0.0.1:1")
    assert (done.returncode, done.stderr) == (
        3,
        "thesan: cannot reach a scheduler at http://127.0.0.1:1: connection refused\n",
    )


# --- updates ---------------------------------------------------------------------------------------------------------


def test_an_update_creates_a_job_and_changes_it(server: Served, tmp_path: Path) -> None:
    first = server.json("update", "start", job_file(tmp_path, "plain"), "--wait")
    assert first["status"] == "ROLLED_FORWARD"
    assert first["instances"] == {"0": "done", "1": "done"}
    done = server.run("update", "start", job_file(tmp_path, "plain", version="v2"), "--wait", "-m", "because")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("www-data/devel/plain: update ") and lines[0].endswith(" started")
    assert [line.split(" ", 1)[1] for line in lines[1:-1]] == [
        "ROLLING_FORWARD by UNSECURE: because",
        "instance 0 is being updated",
        "instance 0 is updated",
        "instance 1 is being updated",
        "instance 1 is updated",
        "ROLLED_FORWARD",
    ]
    assert lines[-1].startswith("www-data/devel/plain: ROLLED_FORWARD after ")
    unchanged = server.json("update", "start", str(tmp_path / "plain-v2.yaml"))
    assert (unchanged["id"], unchanged["message"]) == (None, "Job is unchanged by proposed update.")
    listed = server.run("update", "list", "www-data/devel/plain").stdout.splitlines()
    assert listed[0].split() == ["JOB", "UPDATE", "ID", "STATUS", "CREATED", "BY", "STARTED", "LAST", "MODIFIED"]
    assert [line.split()[2] for line in listed[1:]] == ["ROLLED_FORWARD", "ROLLED_FORWARD"]
    assert server.json("update", "list", "www-data/devel/plain", "--status", "active") == []
    assert len(server.json("update", "list", "www-data/devel/plain", "--limit", "1")) == 1
    info = server.run("update", "info", "www-data/devel/plain", first["id"]).stdout
    assert "Current status: ROLLED_FORWARD (2 of 2 instances updated)" in info
    assert server.run("update", "wait", "www-data/devel/plain").stdout.endswith("2 of 2 instances updated\n")


def test_heartbeats_pauses_and_a_second_update(server: Served, tmp_path: Path) -> None:
    key = "www-data/devel/gated"
    server.run("job", "create", job_file(tmp_path, "gated"))
    path = job_file(tmp_path, "gated", version="v2", watch="1s", more="pulse_timeout: 60s")
    started = server.json("update", "start", path)
    assert started["status"] == "ROLL_FORWARD_AWAITING_PULSE"
    second = server.run("update", "start", path, code=1)
    assert "An active update already exists" in second.stderr and started["id"] in second.stderr
    waited = server.run("update", "wait", key, "--timeout", "300ms", code=4)
    assert "still ROLL_FORWARD_AWAITING_PULSE" in waited.stderr
    assert "waits for a heartbeat" in server.run("update", "resume", key).stdout
    paused = server.json("update", "pause", key, "-m", "lunch")
    assert paused["status"] == "ROLL_FORWARD_PAUSED"
    assert server.json("update", "pulse", key)["pulse"] == "OK"
    assert status_of(server, "gated") == "ROLL_FORWARD_PAUSED"
    assert "Job is currently updating" in server.run("job", "kill", key, code=1).stderr
    assert server.json("update", "resume", key)["status"] == "ROLLING_FORWARD"
    assert server.run("update", "wait", key, started["id"]).returncode == 0
    assert server.json("update", "pulse", key, started["id"])["pulse"] == "FINISHED"
    for verb in ("pause", "resume", "abort", "rollback", "pulse"):
        done = server.run("update", verb, key, code=1)
        assert f"{key} has no active update; its last, {started['id']}, is ROLLED_FORWARD" in done.stderr
    assert (
        "Cannot transition update from ROLLED_FORWARD"
        in server.run("update", "pause", key, started["id"], code=1).stderr
    )
    assert "there is no update nonsense of this job" in server.run("update", "wait", key, "nonsense", code=1).stderr


def test_an_update_that_turns_back_ends_with_1(server: Served, tmp_path: Path) -> None:
    key = "www-data/devel/back"
    server.run("job", "create", job_file(tmp_path, "back"), "--wait")
    server.run("update", "start", job_file(tmp_path, "back", version="v2", more="pulse_timeout: 60s"))
    assert server.json("update", "rollback", key, "-m", "not good")["status"] == "ROLL_BACK_AWAITING_PULSE"
    pulse(server, "back")
    done = server.run("update", "wait", key, code=1)
    assert done.stdout.splitlines()[-1].startswith(f"{key}: ROLLED_BACK after ")


def test_an_aborted_update_ends_with_1(server: Served, tmp_path: Path) -> None:
    key = "www-data/devel/abort"
    server.run("job", "create", job_file(tmp_path, "abort"))
    server.run("update", "start", job_file(tmp_path, "abort", version="v2", more="pulse_timeout: 60s"))
    assert server.json("update", "abort", key)["status"] == "ABORTED"
    assert server.json("update", "wait", key, code=1)["status"] == "ABORTED"


def test_only_some_instances_are_updated(server: Served, tmp_path: Path) -> None:
    server.run("job", "create", job_file(tmp_path, "some", instances=3))
    path = job_file(tmp_path, "some", version="v2", instances=3)
    assert server.json("update", "start", path, "--instances", "1", "--wait")["instances"] == {"1": "done"}
    refused = server.run("update", "start", path, "--instances", "7", code=1).stderr
    assert "irrelevant to the update" in refused


def test_ctrl_c_leaves_the_update_alone(server: Served, tmp_path: Path) -> None:
    path = job_file(tmp_path, "ctrl", instances=1, more="pulse_timeout: 60s")
    watching = server.begin("update", "start", path, "--wait")
    until(lambda: bool(server.json("update", "list", "www-data/devel/ctrl", "--status", "blocked")), "never started")
    time.sleep(0.5)
    watching.send_signal(signal.SIGINT)
    out, err = watching.communicate(timeout=10)
    assert watching.returncode == 130, (out, err)
    assert err == "thesan: no longer watching; the update goes on without you\n"
    assert status_of(server, "ctrl") == "ROLL_FORWARD_AWAITING_PULSE"


# --- a server that dies ----------------------------------------------------------------------------------------------


def test_who_waits_sees_the_server_die_and_come_back(tmp_path: Path) -> None:
    with served(tmp_path) as server:
        server.run("job", "create", job_file(tmp_path, "fall", instances=1), "--wait")
        server.run(
            "update",
            "start",
            job_file(tmp_path, "fall", version="v2", instances=1, watch="5s", more="pulse_timeout: 60s"),
        )
        watching = server.begin("update", "wait", "www-data/devel/fall", "--timeout", "40s")
        pulse(server, "fall")
        until(lambda: status_of(server, "fall") == "ROLLING_FORWARD", "never rolled")
        server.kill()
        time.sleep(1)
        server.start()
        assert status_of(server, "fall") == "ROLL_FORWARD_AWAITING_PULSE"
        pulse(server, "fall")
        out, err = watching.communicate(timeout=30)
        assert watching.returncode == 0, (out, err)
        assert "trying again" in err
        assert "ROLL_FORWARD_AWAITING_PULSE: A new scheduler leads" in out
        assert out.splitlines()[-1].startswith("www-data/devel/fall: ROLLED_FORWARD")


# --- a terminal ------------------------------------------------------------------------------------------------------


def test_the_live_view_on_a_terminal(server: Served, tmp_path: Path) -> None:
    server.run("job", "create", job_file(tmp_path, "live", instances=3), "--wait")
    path = job_file(tmp_path, "live", version="v2", instances=3, watch="700ms", more="pulse_timeout: 60s")
    terminal = Terminal(server, "update", "start", path, "--wait")
    waiting = terminal.until("ROLL_FORWARD_AWAITING_PULSE  waits for a heartbeat; 0 of 3 instances updated")
    assert "0 ·  1 ·  2 ·" in waiting
    pulse(server, "live")
    rolling = terminal.until("1/3")
    assert "0 ✓  1 ◐  2 ·" in rolling
    assert rolling.count("update of www-data/devel/live") == 1, "it is redrawn in place"
    end = terminal.until("ROLLED_FORWARD after")
    assert "━" * 40 + " 3/3" in end
    assert "0 ✓  1 ✓  2 ✓" in end
    terminal.child.wait()
    assert terminal.child.exitstatus == 0


# --- doctor ----------------------------------------------------------------------------------------------------------


def test_the_doctor_finds_a_server_that_is_well(server: Served) -> None:
    port = server.url.rpartition(":")[2]
    findings = {
        one["subject"]: one for one in server.json("doctor", "--data-dir", str(server.data_dir), "--http-port", port)
    }
    assert findings["http port"]["verdict"] == "note"
    assert f"{port} is taken by python" in findings["http port"]["sentence"]
    assert "is compiled" in findings["codec"]["sentence"]
    assert findings["server"]["verdict"] == "ok" and "cluster testing, epoch 1" in findings["server"]["sentence"]
    assert findings["data folder"]["verdict"] == "ok"


def test_the_doctor_ends_with_1_when_something_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = thesan("doctor", "--data-dir", str(tmp_path / "file"), "--server", "http://127.0.0.1:1")
    assert done.returncode == 1
    assert "wrong    " in done.stdout and "is not a folder" in done.stdout
    as_json = thesan("doctor", "--data-dir", str(tmp_path), "--server", "http://127.0.0.1:1", "--write-json")
    assert as_json.returncode == 0
    assert {one["verdict"] for one in json.loads(as_json.stdout) if one["subject"] == "server"} == {"note"}
