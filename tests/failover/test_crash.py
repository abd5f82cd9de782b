"""The crash test in the size that a run of all tests can bear: `scripts/crash` has more of it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from scheduler.testing.crash.__main__ import report
from scheduler.testing.crash.run import crash
from scheduler.testing.leftovers import belonging_to

KILLS, SECONDS = 10, 40


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_nothing_is_lost_and_nothing_happens_twice(tmp_path: Path) -> None:
    seed = int(time.time())
    said = [f"seed {seed}"]

    outcome = crash(KILLS, SECONDS, seed, say=said.append, inside=tmp_path)

    print(*said, *report(outcome), sep="\n")
    assert outcome.complaints == []
    assert len(outcome.kills) == KILLS
    assert sum(outcome.acknowledged[1:-1]) > 0 and outcome.inside_a_commit
    assert outcome.started > 0
    assert belonging_to(tmp_path.resolve()) == []
