"""What the pages for users say is so: their job files load, their commands exist, and no key or command is left out."""

import re
from pathlib import Path

import click
import pytest

from scheduler.client.cli import cli
from scheduler.client.errors import Exit
from scheduler.client.job_file import _JOB_KEYS, load_job_file
from scheduler.interface import aurora
from tests.packaging.tree import ROOT

README, JOB_FILES, COMMAND = (ROOT / name for name in ("README.md", "docs/job-files.md", "docs/command.md"))


def blocks(page: Path, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", page.read_text(), re.S | re.M)


@pytest.mark.parametrize("page", [README, JOB_FILES], ids=lambda page: page.name)
def test_the_job_files_shown_can_be_loaded(page: Path, tmp_path: Path) -> None:
    shown = blocks(page, "yaml")
    assert shown
    for text in shown:
        (tmp_path / "job.yaml").write_text(text)
        load_job_file(tmp_path / "job.yaml")


def test_every_key_is_explained() -> None:
    whole = blocks(JOB_FILES, "yaml")[-1]
    assert [key for key in _JOB_KEYS if not re.search(rf"^(# )?{key}:", whole, re.M)] == []


def test_the_defaults_explained_are_the_defaults(tmp_path: Path) -> None:
    """A file that gives every default of `update` as the page names it is the same as one that gives none."""
    explained = {
        "batch_size": "1", "watch": "45s", "max_failures_per_instance": "0", "max_failed_instances": "0",
        "rollback": "true", "sla_aware": "false"}  # fmt: skip
    page = blocks(JOB_FILES, "yaml")[-1]
    for key, value in explained.items():
        assert re.search(rf"^  (# )?{key}: \S+ +# {value}\b", page, re.M), key
    small = "job: a/devel/c\ncommand: x\n"
    (tmp_path / "none.yaml").write_text(small)
    (tmp_path / "all.yaml").write_text(f"{small}update: {{{', '.join(f'{k}: {v}' for k, v in explained.items())}}}\n")
    assert load_job_file(tmp_path / "none.yaml").settings == load_job_file(tmp_path / "all.yaml").settings


def test_the_first_job_of_the_readme_is_the_example() -> None:
    (shown,) = blocks(README, "yaml")
    assert (ROOT / "examples" / "web.yaml").read_text().endswith(shown)


def leaves(group: click.Group, path: str = "") -> list[str]:
    found = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        found += leaves(command, f"{path}{name} ") if isinstance(command, click.Group) else [f"{path}{name}"]
    return found


@pytest.mark.parametrize("page", [README, COMMAND], ids=lambda page: page.name)
def test_the_commands_shown_exist(page: Path) -> None:
    named = re.findall(r"thesan ((?:job|update|cron|quota|admin) [a-z_]+|doctor|[a-z-]+)\b", page.read_text())
    known = {*leaves(cli), "serve"}
    assert [name for name in named if name not in known and name != "serve"] == []


def test_every_command_is_in_the_table() -> None:
    table = COMMAND.read_text().partition("## Exit codes")[0]
    for name in leaves(cli):
        group, _, verb = name.rpartition(" ")
        assert re.search(rf"`{group} [^|]*\b{verb}\b" if group else rf"`{verb}\b", table), name


def test_the_exit_codes_are_those_of_the_program() -> None:
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", COMMAND.read_text(), re.M)} == {
        int(code) for code in Exit
    }


def test_not_affiliated() -> None:
    text = " ".join(README.read_text().split())
    assert "not affiliated with, nor endorsed by, the Apache Software Foundation" in text
    assert aurora.AURORA_EXECUTOR_NAME in JOB_FILES.read_text()
