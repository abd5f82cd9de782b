"""The drills on this machine, with real processes, a real ZooKeeper and real faults; and one that must fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scheduler.testing.asking import job, job_key
from scheduler.testing.drills.local import local
from scheduler.testing.drills.run import drill
from scheduler.testing.drills.scenarios import SCENARIOS, Deed, Scenario, Step

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_a_drill_passes_and_leaves_its_page(name: str, tmp_path: Path) -> None:
    page = tmp_path / "page.html"

    done = subprocess.run(
        [sys.executable, "-m", "scheduler.testing.drills", name, "--page", str(page)],
        env={**os.environ, "PYTHONWARNINGS": ""},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "verdict: nothing lost, nothing twice, one leader at a time" in done.stdout
    assert page.read_text().startswith("<!doctype html>")


def test_a_drill_notices_what_was_done_behind_its_back() -> None:
    """A job that was rolled and acknowledged is ended, and another one made, by calls that nobody wrote down."""
    steps = (Step(Deed.ROLL), Step(Deed.WORK, 0.5), Step(Deed.AWAIT_ARRIVAL))

    def meddle(client: Any) -> None:
        client.killTasks(job_key("rolling"), None, "nobody knows of this")
        client.createJob(job("ghost", "sleep 600", token="nobody's"))

    with local() as place:
        quiet = Scenario("quiet", "Nothing happens.", steps, leadership_moves=False)
        drilled = drill(quiet, place, 1, say=print, behind_the_back=meddle)

    assert {one.rule for one in drilled.violations} == {"last word", "foreign"}, drilled.violations
