"""Failpoints do nothing unless asked, and every name that is listed stands somewhere."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

import scheduler
from scheduler.failpoints import NAMES, Failpoint, arm, disarm, failpoint
from scheduler.failpoints.from_env import VARIABLE, arm_from_env

PACKAGE = Path(scheduler.__file__).parent


def test_the_list_is_the_code() -> None:
    found: Counter[str] = Counter()
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name != "failpoints":
            found.update(re.findall(r'\bfailpoint\(\s*"([^"]+)"', path.read_text(encoding="utf-8")))

    assert set(NAMES) == set(found)


def test_an_armed_place_acts_at_its_nth_time() -> None:
    seen: list[str] = []
    arm(Failpoint("after-append", lambda: seen.append("here"), nth=3))
    try:
        for _ in range(2):
            failpoint("after-append")
            failpoint("before-append")
        assert seen == []
        failpoint("after-append")
        assert seen == ["here"]
    finally:
        disarm()
    failpoint("after-append")
    assert seen == ["here"]


def test_several_may_be_armed() -> None:
    seen: list[str] = []
    for name in ("after-append", "before-append"):
        arm(Failpoint(name, lambda name=name: seen.append(name)))  # type: ignore[misc]
    try:
        failpoint("after-append")
        disarm("after-append")
        failpoint("after-append")
        failpoint("before-append")
        assert seen == ["after-append", "before-append"]
    finally:
        disarm()
    failpoint("before-append")
    assert len(seen) == 2


def test_a_place_that_is_not_armed_costs_nothing_to_speak_of() -> None:
    begun = time.perf_counter()
    for _ in range(100_000):
        failpoint("after-append")

    assert time.perf_counter() - begun < 0.5


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ("nowhere", "there is no failpoint 'nowhere'; there are before-apply, after-decide"),
        ("after-append:0", "counted from 1"),
        ("after-append:explode", "'explode' is neither a count nor one of kill, linger, stop, exit"),
    ],
)
def test_what_cannot_be_meant_is_refused(told: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        arm_from_env({VARIABLE: told})


def test_nothing_asked_nothing_armed() -> None:
    assert arm_from_env({}) is None


@pytest.mark.parametrize(
    ("told", "status", "printed"),
    [
        ("", 0, "123"),
        ("after-append", -signal.SIGKILL, ""),
        ("after-append:2", -signal.SIGKILL, "1"),
        ("after-append:3:exit", 70, "12"),
        ("after-append:2:linger", -signal.SIGKILL, "1"),
        ("before-append", 0, "123"),
    ],
)
def test_a_process_dies_where_it_is_told_to(told: str, status: int, printed: str) -> None:
    code = (
        "from scheduler.failpoints import failpoint\n"
        "from scheduler.failpoints.from_env import arm_from_env\n"
        "arm_from_env()\n"
        "for i in '123':\n"
        "    failpoint('after-append')\n"
        "    print(i, end='', flush=True)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(PACKAGE.parent), VARIABLE: told},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (status, printed)
