"""The executor started by hand, as a program: what it writes, in which order, and who may run it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import scheduler.executor
from scheduler.executor import children

MAIN = Path(scheduler.executor.__file__).with_name("__main__.py")
PATIENCE_SECS = 60.0

SERVER = "(trap 'sleep 0.1; touch clean; exit' TERM; touch up; while :; do sleep 0.01; done)"
"""Ends cleanly when asked, after a moment."""
DEAF = "(trap '' TERM; touch up; exec sleep 1000)"


def folder(root: Path, *commands: str, **changes: Any) -> Path:
    path = root / "tasks" / "t-1"
    path.mkdir(parents=True)
    processes = [
        {
            "name": f"p{i}",
            "argv": ["/bin/sh", "-c", command],
            "after": [],
            "max_failures": 1,
            "min_duration_secs": 0,
            "daemon": False,
            "ephemeral": False,
        }
        for i, command in enumerate(commands)
    ]
    spec = {
        "task_id": "t-1",
        "processes": processes,
        "environ": {"PATH": os.defpath},
        "open_files": 200,
        "max_failures": 1,
        "max_concurrency": 0,
        "finalization_wait_secs": 30,
        "health": None,
        "shutdown": None,
    }
    (path / "spec.json").write_text(json.dumps({**spec, **changes}))
    return path


def run(path: Path, *, check: bool = False, **more: Any) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-I", "-S", str(MAIN), str(path)]
    return subprocess.run(words, check=check, capture_output=True, text=True, timeout=20, cwd="/", **more)


@contextmanager
def running(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """An executor that is at work; left alone if the test ends it."""
    executor = subprocess.Popen([sys.executable, "-I", "-S", str(MAIN), str(path)], cwd="/")
    try:
        yield executor
    finally:
        if executor.poll() is None:
            executor.send_signal(signal.SIGUSR1)
            executor.wait(PATIENCE_SECS)


def wait_for(path: Path) -> None:
    give_up_at = time.monotonic() + PATIENCE_SECS
    while not path.exists():
        assert time.monotonic() < give_up_at, f"{path} did not appear"
        time.sleep(0.01)


def exit_record(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((path / "exit.json").read_text())
    return record


def notes(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / "status.jsonl").read_text().splitlines()]


def test_everything_is_written_down(tmp_path: Path) -> None:
    path = folder(tmp_path, "echo out; echo err >&2; exit 3")
    assert run(path, check=True).stderr == ""
    assert [(note["status"], note["message"]) for note in notes(path)] == [("STARTING", None), ("RUNNING", "started")]
    ran = json.loads((path / "processes.json").read_text())
    assert ran == {"processes": [{"name": "p0", "runs": 1, "exit_code": 3}]}
    record = exit_record(path)
    assert (record["status"], record["message"]) == ("FAILED", "process p0 exited with code 3")
    assert record["cpu_secs"] >= 0
    assert record["max_rss_kb"] > 0
    assert (path / "sandbox/.logs/p0/stdout").read_text() == "out\n"
    assert (path / "sandbox/.logs/p0/stderr").read_text() == "err\n"
    who = json.loads((path / "executor.json").read_text())
    assert set(who) == {"pid", "start_time", "boot_id"}
    assert not list(path.glob("*.new"))


def test_a_task_runs_in_a_session_of_its_own_with_fresh_signals(tmp_path: Path) -> None:
    shows = f"{sys.executable} -I -c '" + (
        "import os, signal; print(os.getpid() == os.getsid(0), signal.pthread_sigmask(0, []), os.getcwd()); "
        'print(open("/proc/self/status").read())\''
    )
    path = folder(tmp_path, f"exec {shows}")
    blocked = [signal.SIGTERM, signal.SIGUSR1]
    run(path, check=True, preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, blocked))
    out = (path / "sandbox/.logs/p0/stdout").read_text()
    assert out.startswith(f"True set() {path / 'sandbox'}\n")


def test_nothing_of_the_executor_is_inherited(tmp_path: Path) -> None:
    path = folder(tmp_path, "ls /proc/self/fd; ulimit -Sn")
    run(path, check=True)
    # ls itself opens the folder it lists
    assert (path / "sandbox/.logs/p0/stdout").read_text().split() == ["0", "1", "2", "3", "200"]


def test_a_second_executor_leaves_at_once(tmp_path: Path) -> None:
    path = folder(tmp_path, "echo x >> ran")
    with (path / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        second = run(path)
    assert second.returncode == 1
    assert "another executor runs in" in second.stderr
    assert sorted(p.name for p in path.iterdir()) == ["lock", "spec.json"]


def test_a_spec_it_cannot_read_is_lost_and_not_silence(tmp_path: Path) -> None:
    path = folder(tmp_path, "true")
    (path / "spec.json").write_text("{")
    assert run(path).returncode == 1
    record = exit_record(path)
    assert record["status"] == "LOST"
    assert record["message"].startswith("the executor failed: ValueError")


def test_a_process_that_cannot_be_started_fails_with_127(tmp_path: Path) -> None:
    path = folder(tmp_path, "true")
    spec = json.loads((path / "spec.json").read_text())
    spec["processes"][0]["argv"][0] = "/does/not/exist"
    (path / "spec.json").write_text(json.dumps(spec))
    assert "cannot start process p0" in run(path, check=True).stderr
    assert exit_record(path)["message"] == "process p0 cannot be started: No such file or directory"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("true " + "x" * 131_072, "Argument list too long"),
        ("true \ud800", r"'utf-8' codec can't encode character '\ud800' in position 5: surrogates not allowed"),
        ("true \0", "embedded null byte"),
    ],
)
def test_a_command_that_no_process_can_have_fails_the_task_and_says_why(tmp_path: Path, command: str, why: str) -> None:
    path = folder(tmp_path, command)
    run(path, check=True)
    assert (exit_record(path)["status"], exit_record(path)["message"]) == (
        "FAILED", f"process p0 cannot be started: {why}"
    )  # fmt: skip


def test_wrong_words() -> None:
    wrong = subprocess.run([sys.executable, "-I", "-S", str(MAIN)], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "usage:" in wrong.stderr


def test_what_runs_is_on_disk_and_does_not_grow(tmp_path: Path) -> None:
    """The process itself looks: it finds its own pid. However often one runs, the files stay small."""
    path = folder(tmp_path, "cat ../processes.json ../executor.json; echo $$; exit 1")
    spec = json.loads((path / "spec.json").read_text())
    spec["processes"][0]["max_failures"] = 5
    (path / "spec.json").write_text(json.dumps(spec))
    run(path, check=True)
    lines = (path / "sandbox/.logs/p0/stdout").read_text().splitlines()
    assert len(lines) >= 14  # the first may have looked before anything was written
    last, pid = json.loads(lines[-3])["processes"][0], int(lines[-1])
    assert last["runs"] in (4, 5)  # it may look before its own start is written
    assert last["runs"] == 4 or last["pid"] == pid
    assert len(notes(path)) == 2


def test_nothing_is_imported_once_it_runs(tmp_path: Path) -> None:
    """An upgrade of the files must not change an executor that runs."""
    path = folder(tmp_path, "exit 3")
    code = (
        f"import sys; sys.path.append({str(MAIN.parents[2])!r})\n"
        "from scheduler.executor.runner import main\n"
        "before = set(sys.modules)\n"
        f"main(['executor', {str(path)!r}])\n"
        "print(set(sys.modules) - before)"
    )
    out = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "set()\n"
    assert exit_record(path)["status"] == "FAILED"


@pytest.mark.parametrize(
    "command",
    [
        f"{SERVER} | cat",
        f"{SERVER.replace('sleep 0.1', 'sleep 0.1; echo last words')} | (trap '' TERM; exec tee words)",
        f"{SERVER}; echo the shell waits for more",
        f'setsid sh -c "{SERVER}" | cat',
        f'(setsid sh -c "{SERVER}" &); exec sleep 1000',
    ],
    ids=["in a pipe", "in a pipe that stays", "behind a shell", "in a session of its own", "adopted before"],
)
def test_a_clean_end_is_waited_for_whoever_stands_in_front(tmp_path: Path, command: str) -> None:
    """The shell has no handler: TERM ends it at once, and the server is an orphan while it ends."""
    path = folder(tmp_path, command)
    with running(path) as executor:
        wait_for(path / "sandbox/up")
        executor.send_signal(signal.SIGTERM)
        assert executor.wait(PATIENCE_SECS) == 0
    assert (path / "sandbox/clean").exists()
    assert exit_record(path)["status"] == "KILLED"


def test_an_orphan_that_does_not_listen_is_killed_when_its_time_is_over(tmp_path: Path) -> None:
    path = folder(tmp_path, f"{DEAF}; echo the shell waits for more", finalization_wait_secs=0.3)
    with running(path) as executor:
        wait_for(path / "sandbox/up")
        asked_at = time.monotonic()
        executor.send_signal(signal.SIGTERM)
        assert executor.wait(PATIENCE_SECS) == 0
        assert time.monotonic() - asked_at >= 0.3
    assert exit_record(path)["status"] == "KILLED"


def test_what_a_task_left_behind_that_ended_by_itself_is_killed_at_once(tmp_path: Path) -> None:
    path = folder(tmp_path, f"{DEAF} & while [ ! -e up ]; do sleep 0.01; done", finalization_wait_secs=1000)
    run(path, check=True)
    assert exit_record(path)["status"] == "FINISHED"


def test_children_are_found_without_the_kernels_list_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as child:
        try:
            assert child.pid in children.groups()
            monkeypatch.setattr(children, "LIST", "/proc/self/task/{}/nothing")
            assert child.pid in children.groups()
        finally:
            child.kill()


def test_a_task_that_removes_its_own_folder_does_not_keep_its_executor(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as engine:
        engine.bind(str(tmp_path / "nudge.sock"))
        engine.settimeout(PATIENCE_SECS)
        path = folder(tmp_path, f"cd /; rm -rf {tmp_path / 'tasks/t-1'}; exit 3")
        assert "cannot write the end" in run(path, check=True).stderr
        while "unwritten" not in (told := engine.recv(8192).decode()):
            continue
    assert json.loads(told.partition("\n")[2])["message"] == "process p0 exited with code 3"
    assert not path.exists()
