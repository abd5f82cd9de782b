"""What a check finds when it, or this machine, is not well; and that a monitor outlives such trifles."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from thriftpy2.thrift import TMessageType

from scheduler.client.checks import Finding, PageCheck, RunCheck, page_passes
from scheduler.interface import aurora, thesan
from tests.client.test_connection import Answer, message, server
from tests.client.waiting import until
from tests.packaging.tree import ROOT


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("ending", ["exit 0", "exit 3"])
def test_what_a_check_leaves_in_the_background_is_ended_with_it(ending: str) -> None:
    found = RunCheck(f"sleep 61 & echo $!; {ending}").look(30)
    assert found.passed == (ending == "exit 0")
    pid = int(found.reason)
    until(lambda: not runs(pid), "the check's sleep goes on")


def test_a_command_that_cannot_be_begun_has_failed() -> None:
    assert RunCheck(": " + "x" * 200_000).look(5) == Finding(False, "cannot be run: argument list too long")


def test_a_machine_without_room_for_its_output_fails_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not-there"))
    assert RunCheck("true").look(5) == Finding(False, "cannot be run: no such file or directory")


def test_a_machine_without_room_for_a_thread_fails_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    check = PageCheck("http://127.0.0.1:1", page_passes)
    expected = Finding(False, "http://127.0.0.1:1: can't start new thread")
    assert [check.look(0.1) for _ in range(2)] == [expected, expected]


def heard(outcome: str, status: str) -> Answer:
    answer = thesan.HeartbeatAnswer(
        responseCode=aurora.ResponseCode.OK,
        outcome=thesan.HeartbeatOutcome._NAMES_TO_VALUES[outcome],
        status=aurora.JobUpdateStatus._NAMES_TO_VALUES[status],
    )
    return 200, {}, message("heartbeat", TMessageType.REPLY, thesan.Scheduler.heartbeat_result(success=answer))


def test_a_line_nobody_takes_does_not_end_a_monitor() -> None:
    answers = heard("WAITING", "ROLL_FORWARD_AWAITING_PULSE"), heard("FINISHED", "ROLLED_FORWARD")
    with server(*answers) as (url, seen), Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "scheduler", "monitor", "a/b/c/1", "--every", "100ms", "--run", "true"],
            cwd=ROOT, env={**os.environ, "THESAN_SERVER": url}, stdout=full, stderr=subprocess.PIPE, text=True,
            check=False)  # fmt: skip
    assert (done.returncode, done.stderr, len(seen)) == (0, "", 2)
