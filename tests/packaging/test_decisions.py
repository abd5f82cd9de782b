"""docs/decisions/0001-dependencies.md and setup.cfg name the same dependencies in the same ranges."""

import configparser
import re

from tests.packaging.tree import ROOT

REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(.*)")


def test_the_table_is_setup_cfg() -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = parser["options"]["install_requires"].split("\n")
    for extra in parser["options.extras_require"].values():
        lines += extra.split("\n")
    required = {match.groups() for line in lines if line and (match := REQUIREMENT.fullmatch(line))}

    table = (ROOT / "docs/decisions/0001-dependencies.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z0-9.-]+) \| ([<>=!~][^ |]*) \| \S.* \|$", table, flags=re.MULTILINE)
    assert set(rows) == required
    assert len(rows) == len(required) > 20
