"""Planted bugs: each patch breaks one rule, and the simulator must find it and name the rule.

A patch that no longer applies fails here: mend it, or plant its bug where the code has gone.
"""

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from attrs import frozen

from scheduler.testing.simulation.script import load

ROOT = Path(__file__).resolve().parents[2]
ALONE = sorted((Path(__file__).parent / "planted").glob("*.patch"))
SEVERAL = sorted((Path(__file__).parent / "planted" / "several").glob("*.patch"))
"""Bugs that need several schedulers."""
PATCHES = [*ALONE, *SEVERAL]
SECONDS = 25
"""For how long fresh seeds are tried; all but a few bugs are found within one."""

pytestmark = pytest.mark.slow


@frozen
class Found:
    code: int
    output: str
    script: Path

    @property
    def rule(self) -> str:
        return re.findall(r"^BROKEN ([^:]+):", self.output, re.MULTILINE)[-1]


def expected_rules(patch: Path) -> list[str]:
    """The second line of a patch: any of these names of rules will do."""
    return patch.read_text(encoding="utf-8").splitlines()[1].removeprefix("Found as: ").split(" | ")


def first_seed(patch: Path) -> str:
    """Its third line may name the seed that finds it soonest: the search begins there, and goes on to the next ones."""
    third = patch.read_text(encoding="utf-8").splitlines()[2]
    return third.removeprefix("Found with seed: ") if third else "1"


def planted_tree(to: Path, patch: Path) -> Path:
    """A copy of the package with the bug in it."""
    shutil.copytree(ROOT / "scheduler", to / "scheduler", symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "thrift", to / "thrift")
    applied = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", str(patch)],
        cwd=to,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(to.parent)},  # inside a work tree git would apply nothing
        capture_output=True,
        text=True,
        check=False,
    )
    assert applied.returncode == 0, f"{patch.name} does not apply any more: {applied.stderr}"
    return to


def simulate(tree: Path, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "scheduler.testing.simulation", *words],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def find(patch: Path, room: Path, *, shrink_secs: int = 0) -> Found:
    tree = planted_tree(room / patch.stem, patch)
    script = tree / "failure.json"
    seconds = SECONDS * 3 if patch in SEVERAL else SECONDS
    words = (
        "--seed",
        first_seed(patch),
        "--steps",
        "1500",
        "--seconds",
        str(seconds),
        "--shrink-seconds",
        str(shrink_secs),
    )
    schedulers = "3" if patch in SEVERAL else "1"
    code, output = simulate(tree, *words, "--schedulers", schedulers, "--out", str(script))
    return Found(code, output, script)


@pytest.fixture(scope="module")
def searches(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Future[Found]]:
    """All searches, two at a time."""
    room = tmp_path_factory.mktemp("planted")
    with ThreadPoolExecutor(2) as pool:
        return {patch.stem: pool.submit(find, patch, room) for patch in PATCHES}


def test_there_are_enough() -> None:
    assert len(ALONE) >= 8
    assert len(SEVERAL) >= 12


@pytest.mark.timeout(300)
@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_a_planted_bug_is_found(patch: Path, searches: dict[str, Future[Found]]) -> None:
    found = searches[patch.stem].result()
    assert found.code == 1, found.output
    assert found.rule in expected_rules(patch), found.output
    assert f"BROKEN {found.rule}" in found.output
    assert "seed " in found.output
    assert len(load(found.script).actions) >= 1 or found.rule == "reply after durable"


def test_a_found_bug_can_be_shown_again_and_is_short(tmp_path: Path) -> None:
    (patch,) = (patch for patch in ALONE if patch.stem == "gate-at-the-limit")
    found = find(patch, tmp_path, shrink_secs=20)
    assert len(load(found.script).actions) <= 40  # of some thousands; a busy machine has less time to shrink
    tree = found.script.parent
    code, output = simulate(tree, "--replay", str(found.script))
    assert (code, "BROKEN gate" in output) == (1, True), output
    # Without the bug the same script breaks nothing.
    code, output = simulate(ROOT, "--replay", str(found.script))
    assert (code, "nothing broke" in output) == (0, True), output


def test_a_patch_that_does_not_apply_fails(tmp_path: Path) -> None:
    patch = tmp_path / "stale.patch"
    patch.write_text("Says\nFound as: gate\n\n--- a/scheduler/__init__.py\n+++ b/scheduler/__init__.py\n"
                     "@@ -1,2 +1,2 @@\n no such line\n-nor this one\n+new\n", encoding="utf-8")  # fmt: skip
    with pytest.raises(AssertionError, match="does not apply any more"):
        planted_tree(tmp_path / "tree", patch)
