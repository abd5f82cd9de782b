"""The executor's side of the task's folder: what it tells, and what it does when it cannot."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.executor.folder import STATUS, AlreadyRunning, TaskFolder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "tasks" / "t-1"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def folder(path: Path) -> Iterator[TaskFolder]:
    made = TaskFolder(str(path), None)
    yield made
    made.close()


def test_a_full_queue_is_tried_again_and_nobody_is_not(path: Path, folder: TaskFolder) -> None:
    folder.nudge()
    assert not folder.nudge_waits  # nobody listens: whoever comes will look by itself
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as engine:
        engine.bind(str(path.parent.parent / "nudge.sock"))
        sent = 0
        while not folder.nudge_waits:
            folder.nudge()
            sent += 1
            assert sent < 10_000
        for _ in range(sent - 1):
            assert engine.recv(100) == b"t-1\n"
        folder.nudge()
        assert not folder.nudge_waits
        assert engine.recv(100) == b"t-1\n"


def test_what_cannot_be_written_is_written_later_in_its_order(path: Path, folder: TaskFolder) -> None:
    (path / STATUS).mkdir()  # appending fails
    folder.note("STARTING")
    folder.note("RUNNING", "started")
    assert folder.notes_wait
    (path / STATUS).rmdir()
    folder.write_notes()
    assert not folder.notes_wait
    told = [json.loads(line) for line in (path / STATUS).read_text().splitlines()]
    assert [record["status"] for record in told] == ["STARTING", "RUNNING"]


def test_the_exit_uses_the_room_put_aside_and_leaves_nothing_of_it(path: Path, folder: TaskFolder) -> None:
    folder.record_executor()
    assert (path / "exit.json.new").stat().st_size == 4096
    folder.write_exit({"status": "FINISHED"})
    assert (path / "exit.json").read_text() == '{"status": "FINISHED"}\n'
    assert not (path / "exit.json.new").exists()


def test_one_executor_for_each_folder(path: Path, folder: TaskFolder) -> None:
    with pytest.raises(AlreadyRunning):
        TaskFolder(str(path), None)
    assert folder.name == "t-1"
