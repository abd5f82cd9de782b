"""Commands that wait put up with a server that is away, and Ctrl-C ends every command with 130 and a sentence."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from thriftpy2.thrift import TMessageType

from scheduler.client import jobs
from scheduler.client.admin import hosts
from scheduler.client.cli import cli
from scheduler.interface import aurora, thesan
from tests.client.served import job_file
from tests.client.test_connection import OK, Answer, message, reply, server
from tests.packaging.tree import ROOT

AWAY: Answer = None
HOSTS = ("--hosts", "h1")


def result(method: str, result: Any) -> Answer:
    response = aurora.Response(responseCode=OK, details=[], result=result)
    return 200, {}, message(method, TMessageType.REPLY, getattr(thesan.Scheduler, f"{method}_result")(success=response))


def tasks(status: int | None) -> Answer:
    """A job of one instance; None: of none."""
    one = aurora.ScheduledTask(status=status, assignedTask=aurora.AssignedTask(instanceId=0), taskEvents=[])
    found = aurora.ScheduleStatusResult(tasks=[] if status is None else [one])
    return result("getTasksWithoutConfigs", aurora.Result(scheduleStatusResult=found))


def mode(name: str) -> Answer:
    status = aurora.HostStatus(host="h1", mode=aurora.MaintenanceMode._NAMES_TO_VALUES[name])
    found = aurora.MaintenanceStatusResult(statuses=[status])
    return result("maintenanceStatus", aurora.Result(maintenanceStatusResult=found))


S = aurora.ScheduleStatus
CREATE = ("job", "create", "FILE", "--wait")
KILL = ("job", "kill", "www-data/devel/waits", "--wait")
DRAIN = ("admin", "sla_host_drain", *HOSTS, "--wait")


def command(folder: Path, arguments: tuple[str, ...]) -> list[str]:
    return [job_file(folder, "waits", instances=1) if one == "FILE" else one for one in arguments]


@pytest.mark.parametrize(
    ("arguments", "done", "before", "after"),
    [
        (CREATE, "createJob", tasks(S.PENDING), tasks(S.RUNNING)),
        (KILL, "killTasks", tasks(S.KILLING), tasks(None)),
        (DRAIN, "slaDrainHosts", mode("DRAINING"), mode("DRAINED")),
    ],
)
def test_a_server_that_is_away_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], done: str,
    before: Answer, after: Answer,
) -> None:  # fmt: skip
    monkeypatch.setattr(jobs, "_POLL_S", 0.01)
    monkeypatch.setattr(hosts, "LOOK_EVERY_S", 0.01)
    away = [AWAY, (503, {}, b"")] * 4  # more than a call is tried again
    with server(reply(done, OK), before, *away, after) as (url, seen):
        ended = CliRunner().invoke(cli, command(tmp_path, arguments), env={"THESAN_SERVER": url})
    assert (ended.exit_code, ended.exception) == (0, None), ended.output
    assert len(seen) >= len(away) + 3
    assert "; trying again" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "answers", "sentence"),
    [
        (CREATE, [reply("createJob", OK)], "what was asked for goes on without you"),
        (DRAIN, [reply("slaDrainHosts", OK)], "the drain goes on without this command"),
        (("job", "list"), [], "interrupted"),
    ],
)
def test_ctrl_c_says_so(tmp_path: Path, arguments: tuple[str, ...], answers: list[Answer], sentence: str) -> None:
    code, err = interrupted(command(tmp_path, arguments), answers)
    assert code == 130, err
    assert err.startswith("thesan: ") and err.endswith(f"{sentence}\n") and err.count("\n") == 1


def interrupted(arguments: list[str], answers: list[Answer]) -> tuple[int, str]:
    """Give these answers, and press Ctrl-C when the command waits for one more."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        process = subprocess.Popen(
            # A shell that began the tests in the background had them, and so the command, ignore it.
            ["env", "--default-signal=INT", sys.executable, "-m", "scheduler", *arguments],
            cwd=ROOT, env={**os.environ, "THESAN_SERVER": url}, stderr=subprocess.PIPE, text=True)  # fmt: skip
        for answer in answers:
            assert answer is not None
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as asked:
                length = 0
                while (line := asked.readline()) not in (b"\r\n", b""):
                    name, _, value = line.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                asked.read(length)
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(answer[2])}\r\nConnection: close\r\n\r\n"
                connection.sendall(head.encode() + answer[2])
        connection, _ = listener.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
    return process.returncode, err
