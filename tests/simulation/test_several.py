"""Several schedulers over the pretended ZooKeeper, on fixed seeds, and that a run can be had again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.testing.simulation.cli import main
from scheduler.testing.simulation.run import Report, run_script, run_seed
from scheduler.testing.simulation.script import load
from scheduler.testing.simulation.several.coverage import SeveralCoverage

SEEDS = (1, 3, 5)
STEPS = 1_200


@pytest.fixture(scope="module")
def reports() -> list[Report]:
    return [run_seed(seed, steps=STEPS, schedulers=3) for seed in SEEDS]


def test_nothing_breaks(reports: list[Report]) -> None:
    for report in reports:
        assert report.failure is None, (report.script.seed, report.failure)
        assert report.steps >= STEPS


def test_enough_is_met(reports: list[Report]) -> None:
    """The full list is held by `scripts/simulate --ci --schedulers 3`."""
    met = SeveralCoverage()
    for report in reports:
        met.add(report.coverage)
    assert sum(report.restarts for report in reports) >= 15
    assert met.counts["call", "acknowledged"] >= 300
    assert met.counts["call", "unknown"] >= 5
    assert met.counts["lifecycle", "suspended, store back"] >= 10
    assert met.counts["met", "a standby compared with the log"] >= 10
    assert met.counts["met", "an entry in parts"] >= 50
    assert met.counts["met", "a snapshot"] >= 10
    assert met.counts["met", "the log is cut"] >= 300
    assert met.counts["met", "an epoch at a lower format level"] >= 1
    assert len(met.missing()) <= 40, met.missing()


def test_there_are_a_hundred_steps_between_two_failovers(reports: list[Report]) -> None:
    """Take-overs that came to nothing, because the engine could not be reached then, are none."""
    steps = sum(report.steps for report in reports)
    begun = sum(report.coverage.counts["lifecycle", "taking over, epoch begun"] for report in reports)
    assert steps / (begun - len(reports)) >= 100


def test_one_seed_gives_one_run(reports: list[Report]) -> None:
    again = run_script(reports[0].script)
    assert (again.digest, again.steps) == (reports[0].digest, reports[0].steps)
    assert len({report.digest for report in reports}) == len(reports)


def test_one_seed_gives_one_run_in_any_process(reports: list[Report], tmp_path: Path) -> None:
    """Whatever order sets have there, and wherever things lie in memory."""
    script = tmp_path / "script.json"
    reports[1].script.save(script, [])
    assert load(script) == reports[1].script
    done = subprocess.run(
        [sys.executable, "-m", "scheduler.testing.simulation", "--replay", str(script)],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    assert reports[1].digest in done.stdout


def test_two_schedulers_do_too() -> None:
    report = run_seed(5, steps=500, schedulers=2)
    assert report.failure is None
    assert report.restarts >= 1


def test_the_command_says_what_it_met(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "2", "--steps", "200", "--schedulers", "3"]) == 0
    said = capsys.readouterr().out
    assert "lifecycle: " in said
    assert "Nothing broke." in said


@pytest.mark.parametrize("count", ["0", "8", "x"])
def test_there_are_one_to_seven_schedulers(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--schedulers", count])
    assert "--schedulers" in capsys.readouterr().err
