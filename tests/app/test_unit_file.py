"""The unit we ship starts the command as it is, and its stop leaves the tasks alone."""

import configparser
import shlex
from pathlib import Path

from scheduler.app.serve import serve

UNIT = Path(__file__).parents[2] / "scripts" / "systemd" / "thesan.service"


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return parser


def test_stopping_the_scheduler_leaves_its_tasks_alone() -> None:
    assert unit()["Service"]["KillMode"] == "process"


def test_it_starts_the_command_with_flags_the_command_has() -> None:
    words = shlex.split(unit()["Service"]["ExecStart"])

    assert [Path(words[0]).name, words[1]] == ["thesan", "serve"]
    known = {flag for option in serve.params for flag in option.opts}
    assert {word for word in words[2:] if word.startswith("-")} <= known
