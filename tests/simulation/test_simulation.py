"""A short run of the simulator on fixed seeds, and that a run can be had again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scheduler.testing.simulation.cli import main
from scheduler.testing.simulation.coverage import Coverage
from scheduler.testing.simulation.run import Report, run_script, run_seed
from scheduler.testing.simulation.script import Script, load

SEEDS = (3, 4, 5, 6, 7, 24)
STEPS = 1_500


@pytest.fixture(scope="module")
def reports() -> list[Report]:
    return [run_seed(seed, steps=STEPS) for seed in SEEDS]


def test_nothing_breaks(reports: list[Report]) -> None:
    for report in reports:
        assert report.failure is None, (report.script.seed, report.failure)
        assert report.steps >= STEPS


def test_enough_is_met(reports: list[Report]) -> None:
    """The full list is held by `scripts/simulate --ci`; this is what must not be missing even in a short run."""
    met = Coverage()
    for report in reports:
        met.add(report.coverage)
    assert sum(report.restarts for report in reports) >= 50
    assert met.counts["restart", "inside a commit"] >= 10
    assert met.counts["restart", "between commits"] >= 10
    assert met.counts["call", "refused"] >= 20
    assert met.counts["call", "unknown"] >= 5
    assert met.counts["update ends", "ROLLED_FORWARD"] >= 10
    assert met.counts["update ends", "ROLLED_BACK"] >= 3
    assert met.counts["maintenance", "drained"] >= 3
    assert met.counts["preemption", "by tier"] >= 1
    assert len(met.missing()) <= 45, met.missing()


def test_there_are_a_hundred_steps_between_two_restarts(reports: list[Report]) -> None:
    for report in reports:
        # A scheduler that dies while it takes over dies twice for one restart.
        assert report.steps / report.restarts >= 80


def test_one_seed_gives_one_run(reports: list[Report]) -> None:
    again = run_seed(SEEDS[0], steps=STEPS)
    assert (again.digest, again.script) == (reports[0].digest, reports[0].script)
    assert reports[0].digest != reports[1].digest


def test_one_seed_gives_one_run_in_any_process(reports: list[Report]) -> None:
    """Whatever order sets of strings have there."""
    words = ["--seed", str(SEEDS[0]), "--steps", str(STEPS)]
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-m", "scheduler.testing.simulation", *words],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            timeout=50,
            check=True,
        )
        assert reports[0].digest in done.stdout


def test_a_script_gives_the_run_it_was_recorded_in(reports: list[Report]) -> None:
    again = run_script(reports[0].script)
    assert (again.digest, again.steps) == (reports[0].digest, reports[0].steps)


def test_a_script_survives_its_file(reports: list[Report], tmp_path: Path) -> None:
    script = reports[0].script
    script.save(tmp_path / "script.json", ["a remark"])
    assert load(tmp_path / "script.json") == script


def test_without_restarts_there_are_none() -> None:
    report = run_seed(1, steps=400, restarts=0)
    assert report.failure is None
    assert report.restarts == 0


def test_the_command_says_what_it_met(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "2", "--steps", "300"]) == 0
    said = capsys.readouterr().out
    assert "seed 2: " in said
    assert "digest" in said
    assert "restarts (" in said
    assert "Nothing broke." in said


@pytest.mark.parametrize("text", ["{}", "no json", '{"format": 99, "seed": 1, "end_ms": 0, "actions": []}'])
def test_a_file_that_is_no_script_is_refused(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "script.json"
    path.write_text(text, encoding="utf-8")
    assert main(["--replay", str(path)]) == 2
    assert str(path) in capsys.readouterr().out


def test_a_script_can_be_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "script.json"
    Script(1, (), 5_000).save(path, [])
    assert main(["--replay", str(path)]) == 0
    assert "nothing broke" in capsys.readouterr().out
