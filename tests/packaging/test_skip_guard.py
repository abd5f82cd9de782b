"""A skipped test fails the run unless it is listed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import allowed_patterns
from tests.packaging.tree import ROOT

TESTS = """
import pytest

def test_good():
    pass

def test_skipped():
    pytest.skip("no reason")

@pytest.mark.xfail(reason="none")
def test_expected_to_fail():
    assert False
"""


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("listed", "offenders"),
    [
        ("", ["test_skipped", "test_expected_to_fail"]),
        ("test_x.py::test_skipped # a reason", ["test_expected_to_fail"]),
        ("*::test_skipped\n*::test_exp*", []),
    ],
)
def test_the_guard(tmp_path: Path, workers: int, listed: str, offenders: list[str]) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "tests/conftest.py").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "allowed_skips.txt").write_text(f"# a comment\n{listed}\n", encoding="utf-8")
    (tmp_path / "test_x.py").write_text(TESTS, encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n",
            str(workers),
            "-p",
            "no:cacheprovider",
            "--rootdir",
            tmp_path,
            tmp_path,
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == (1 if offenders else 0), done.stdout + done.stderr
    section = done.stdout.partition("skipped without being listed")[2]
    for name in ("test_skipped", "test_expected_to_fail"):
        assert (f"test_x.py::{name}" in section) == (name in offenders), done.stdout


def test_reading_the_list() -> None:
    assert allowed_patterns("# comment\n\ntests/a.py::test_b  # because\n") == ["tests/a.py::test_b"]
