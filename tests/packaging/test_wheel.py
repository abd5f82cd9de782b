"""What is built can be installed elsewhere and works there."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from scheduler import __version__
from tests.packaging.tree import copy_tree

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command as somebody would who knows nothing of this checkout."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    environment |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore", "HOME": str(Path.home())}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution and the wheel that was built from it, as a packager would."""
    folder = tmp_path_factory.mktemp("built")
    tree = copy_tree(folder / "tree")
    run(sys.executable, "-m", "build", "--outdir", folder, tree, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


def test_what_is_in_the_wheel(wheel: Path) -> None:
    assert wheel.name == f"thesan-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        interface = archive.read("scheduler/idl/aurora.thrift")
        metadata = archive.read(f"thesan-{__version__}.dist-info/METADATA").decode()
    assert b"service AuroraAdmin" in interface
    assert {f"scheduler/idl/{name}.thrift" for name in ("aurora", "thesan", "storage")} <= names
    assert {"scheduler/py.typed", "scheduler/interface.py", "scheduler/core/__init__.py"} <= names
    assert {f"thesan-{__version__}.dist-info/licenses/{name}" for name in ("LICENSE", "NOTICE")} <= names
    assert {name.split("/")[0] for name in names} == {"scheduler", f"thesan-{__version__}.dist-info"}
    assert not [name for name in names if "__pycache__" in name]
    assert "License-Expression: Apache-2.0" in metadata
    assert "Requires-Python: >=3.11" in metadata


def test_what_is_in_the_source_distribution(built: Path) -> None:
    with tarfile.open(built / f"thesan-{__version__}.tar.gz") as archive:
        member = archive.getmember(f"thesan-{__version__}/scheduler/idl/aurora.thrift")
    assert member.isfile()


def test_it_works_in_a_fresh_environment(wheel: Path, tmp_path: Path) -> None:
    environment, elsewhere = tmp_path / "env", tmp_path / "elsewhere"
    elsewhere.mkdir()
    run(sys.executable, "-m", "venv", environment, cwd=elsewhere)
    run(environment / "bin/python", "-m", "pip", "install", "-q", wheel, cwd=elsewhere)

    assert __version__ in run(environment / "bin/thesan", "--version", cwd=elsewhere)
    assert __version__ in run(environment / "bin/python", "-m", "scheduler", "--version", cwd=elsewhere)
    where = run(
        environment / "bin/python",
        "-c",
        "import scheduler.interface as i; print(i.thesan.Scheduler.__name__, i.__file__)",
        cwd=elsewhere,
    )
    assert where.startswith(f"Scheduler {environment}")
    run(environment / "bin/python", "-m", "pip", "check", cwd=elsewhere)
