"""`scripts/run`: the story is told to its end, ports may be taken, and whatever happens nothing stays behind."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.packaging.tree import ROOT

STORY = ROOT / "scripts" / "demo" / "story.py"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]


class Run:
    """One run of the story, its state in a folder of the test's."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self._out = folder / f"out-{time.monotonic_ns()}"
        environment = {**os.environ, "XDG_STATE_HOME": str(folder)}
        with self._out.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, str(STORY), *flags], cwd=ROOT, env=environment, stdout=out, stderr=out,
                start_new_session=True)  # fmt: skip

    def output(self) -> str:
        return self._out.read_text()

    def until(self, text: str) -> None:
        give_up_at = time.monotonic() + 60
        while text not in self.output():
            assert self.process.poll() is None and time.monotonic() < give_up_at, self.output()
            time.sleep(0.1)

    def end(self) -> int:
        return self.process.wait(60)


def left(folder: Path) -> list[str]:
    """Processes that have the folder in their command line or in their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            known_by = [*process.cmdline(), process.environ().get("XDG_STATE_HOME", "")]
            if any(str(folder) in text for text in known_by) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    assert left(tmp_path) == []
    assert not (tmp_path / "thesan-demo").exists()


@pytest.fixture
def port_8081_is_taken() -> Iterator[None]:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):  # by somebody else: as good
            taken.bind(("127.0.0.1", 8081))
            taken.listen()
        yield


@pytest.mark.usefixtures("port_8081_is_taken")
def test_the_story_is_told_to_its_end(folder: Path) -> None:
    began = time.monotonic()
    run = Run(folder, "--once")
    assert run.end() == 0, run.output()
    assert time.monotonic() - began < 60
    chapters = [
        "port 8081 is taken by .*: a free one is used",
        "its instances say 3 x 'hello from v1'",
        "ROLL_FORWARD_AWAITING_PULSE -> ROLLING_FORWARD",
        "The monitor falls silent",
        "ROLLING_FORWARD -> ROLL_FORWARD_AWAITING_PULSE",
        r"the service does not notice: it says \d x 'hello from v\d'",
        "leading: epoch 2",
        "events of the update's history are there",
        "it waits for one heartbeat",
        "The heartbeats come back",
        "ROLLED_FORWARD: 3 of 3 instances updated; the service says 3 x 'hello from v2'",
        "nothing is left behind",
    ]
    at = 0
    for chapter in chapters:
        found = re.compile(chapter).search(run.output(), at)
        assert found is not None, (chapter, run.output())
        at = found.end()


def test_a_second_run_and_an_end_in_the_middle(folder: Path) -> None:
    run = Run(folder)
    run.until("The monitor falls silent")
    second = Run(folder)
    assert second.end() == 1
    assert f"a run goes on already: pid {run.process.pid}, its scheduler at http://127.0.0.1:" in second.output()
    run.process.send_signal(signal.SIGINT)
    assert run.end() == 130, run.output()
    assert "nothing is left behind" in run.output()


def test_ctrl_c_while_the_scheduler_is_dead(folder: Path) -> None:
    """The tasks are ended by a scheduler that is started for it."""
    run = Run(folder)
    run.until("In the middle of the update the scheduler dies")
    run.process.send_signal(signal.SIGINT)
    assert run.end() == 130, run.output()


def test_what_a_run_that_was_cut_off_left_is_ended_by_the_next(folder: Path) -> None:
    run = Run(folder)
    run.until("one heartbeat a second")
    run.process.kill()
    run.end()
    assert any("executor" in command for command in left(folder)), "nothing was left: this shows nothing"
    following = Run(folder)
    following.until("an earlier run was cut off")
    following.until("scheduler: pid")
    following.process.send_signal(signal.SIGTERM)
    assert following.end() == 130, following.output()
