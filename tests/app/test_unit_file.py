"""The units we ship start the command as it is, and stopping the scheduler leaves the tasks alone."""

import configparser
import re
import shlex
from pathlib import Path

import pytest

from scheduler.__main__ import cli
from scheduler.app.serve import serve

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "scripts" / "systemd").glob("*.service"))
KNOWN_VARIABLES = {name for option in serve.params for name in option.envvar or ()}


def unit(name: str = "thesan") -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(ROOT / "scripts" / "systemd" / f"{name}.service")
    return parser


def test_stopping_the_scheduler_leaves_its_tasks_alone() -> None:
    assert unit()["Service"]["KillMode"] == "process"


@pytest.mark.parametrize("name", ["thesan", "thesan-simulated-engine"])
def test_it_starts_a_command_that_there_is(name: str) -> None:
    words = shlex.split(unit(name)["Service"]["ExecStart"])

    assert words[0] == "/opt/thesan/bin/thesan"
    assert words[1] in cli.commands


@pytest.mark.parametrize("path", [*UNITS, ROOT / "vagrant" / "provision"], ids=lambda path: path.name)
def test_what_stands_in_its_environment_are_flags_of_the_server(path: Path) -> None:
    named = set(re.findall(r"\bTHESAN_[A-Z_]+", path.read_text()))

    assert named <= KNOWN_VARIABLES, named - KNOWN_VARIABLES


def test_all_units_come_back_by_themselves() -> None:
    assert {path.stem: unit(path.stem)["Service"]["Restart"] for path in UNITS} == {
        "thesan": "always",
        "thesan-simulated-engine": "always",
        "zookeeper": "always",
    }
