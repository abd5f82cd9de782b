"""import-linter really refuses what setup.cfg forbids."""

import configparser
import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.packaging.tree import ROOT, copy_tree

LINT = Path(sys.executable).with_name("lint-imports")


def lint(tree: Path) -> tuple[int, str]:
    done = subprocess.run(
        [str(LINT), "--no-logo", "--no-cache"], cwd=tree, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


def plant(tree: Path, name: str, text: str) -> None:
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(f"\n{text}\n")


def test_the_tree_as_it_is_is_accepted(tmp_path: Path) -> None:
    code, output = lint(copy_tree(tmp_path / "tree"))
    assert code == 0, output


PLANTED = {
    "a clock in core": ("core/planted.py", "import time", "scheduler.core is not allowed to import time"),
    "chance in core, inside a function": ("core/planted.py", "def f():\n    import random", "import random"),
    "a file in the controller": (
        "controller/planted.py",
        "import os",
        "scheduler.controller is not allowed to import os",
    ),
    "Thrift in core": ("core/planted.py", "from scheduler.interface import aurora", "import scheduler.interface"),
    "Thrift in the controller": ("controller/planted.py", "import scheduler.interface", "import scheduler.interface"),
    "the shell in core": ("core/planted.py", "import scheduler.changelog", "scheduler.core is not allowed to import"),
    "one room of the shell in another": ("web/planted.py", "import scheduler.rpc", "scheduler.web is not allowed to"),
    "the door the other way": ("zk/planted.py", "import scheduler.changelog", "scheduler.zk is not allowed to import"),
    "ZooKeeper beside its door": ("changelog/planted.py", "import scheduler.zk", "scheduler.changelog is not allowed"),
    "testing in production": ("__main__.py", "import scheduler.testing", "import scheduler.testing"),
    "testing in a room": ("rpc/planted.py", "import scheduler.testing", "import scheduler.testing"),
    "core in the client": ("client/planted.py", "import scheduler.core", "scheduler.client is not allowed to import"),
    "a library in the executor": ("executor/planted.py", "import attrs", "scheduler.executor is not allowed to import"),
    "the house in the executor": ("executor/planted.py", "import scheduler.core", "scheduler.executor is not allowed"),
    "the house below everything": ("visible.py", "import scheduler.core", "scheduler.visible is not allowed"),
    "Apache's library": ("rpc/planted.py", "from thrift.Thrift import TType", "is not allowed to import thrift"),
    "a room nobody entered": ("attic.py", "import json", "scheduler.attic"),
}


@pytest.mark.parametrize("mistake", PLANTED)
def test_a_forbidden_import_is_refused(mistake: str, tmp_path: Path) -> None:
    name, text, expected = PLANTED[mistake]
    tree = copy_tree(tmp_path / "tree")
    plant(tree, f"scheduler/{name}", text)
    code, output = lint(tree)
    assert code == 1, output
    assert expected in re.sub(r"\s+", " ", output)


def test_the_door_is_open(tmp_path: Path) -> None:
    tree = copy_tree(tmp_path / "tree")
    plant(tree, "scheduler/changelog/zookeeper.py", "from scheduler.zk import planted")
    plant(tree, "scheduler/zk/planted.py", "")
    code, output = lint(tree)
    assert code == 0, output


def _settings() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def _listed(contract: str, key: str) -> set[str]:
    return set(_settings()[f"importlinter:contract:{contract}"][key].split())


def test_no_dependency_is_left_out_of_the_lists() -> None:
    """What is not listed is not seen: each dependency of ours must be forbidden where none is wanted."""
    requirements = _settings()["options"]["install_requires"].split("\n")
    names = [re.split(r"[<>=!~ ]", line)[0] for line in requirements if line]
    modules: set[str] = set()
    for name in names:
        for file in distribution(name).files or ():
            if len(file.parts) > 1 and file.suffix == ".py" and file.parts[0].isidentifier():
                modules.add(file.parts[0])
    assert {"attr", "kazoo", "thriftpy2", "ruamel"} <= modules
    assert modules - _listed("executor", "forbidden_modules") == set()
    assert modules - {"attr", "attrs", "sortedcontainers"} - _listed("pure", "forbidden_modules") == set()


def test_what_decides_is_listed() -> None:
    """A source module that does not exist is an error to import-linter, so lifecycle is entered when it comes."""
    for contract in ("pure", "no-thrift"):
        listed = _listed(contract, "source_modules")
        if any((ROOT / "scheduler" / name).exists() for name in ("lifecycle.py", "lifecycle")):
            assert "scheduler.lifecycle" in listed
        assert {"scheduler.contracts", "scheduler.controller"} <= listed
