"""docs/compatibility.md says of every RPC how it stands here, and of every endpoint."""

import re
from collections import Counter
from pathlib import Path

import pytest

from scheduler.interface import aurora
from scheduler.rpc.writers import Writers
from scheduler.testing.serving import StageCore
from scheduler.testing.stage import Stage
from scheduler.web.pages.process import Ending
from scheduler.web.pages.table import is_for_leader, pages

PAGE = (Path(__file__).parents[2] / "docs" / "compatibility.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


PAGES = [page.path for page in pages(StageCore(Stage()), Writers(), dict, Ending(lambda: None, lambda: None))]
BESIDE = ["/api", "/apibeta/{method}", "/leaderhealth"]
"""Served, but not pages."""

AURORAS = [
    "/api",
    "/apibeta/{method}",
    "/apibeta",
    "/apiclient",
    "/vars",
    "/vars.json",
    "/health",
    "/leaderhealth",
    "/graphdata",
    "/graphview",
    "/agents",
    "/slaves",
    "/offers",
    "/pendingtasks",
    "/quotas",
    "/tiers",
    "/state",
    "/utilization",
    "/utilization/{metric}",
    "/utilization/{metric}/{role}",
    "/cron",
    "/maintenance",
    "/mname",
    "/mname/{role}/{env}/{job}/{instance}",
    "/mname/{role}/{env}/{job}/{instance}/{rest:path}",
    "/structdump",
    "/structdump/task/{id}",
    "/structdump/cron/{role}/{env}/{job}",
    "/services",
    "/logconfig",
    "/threads",
    "/contention",
    "/quitquitquit",
    "/abortabortabort",
    "/",
    "/index.html",
    "/scheduler",
    "/scheduler/{role}",
    "/scheduler/{role}/{env}",
    "/scheduler/{role}/{env}/{job}",
    "/scheduler/{role}/{env}/{job}/{instance}",
    "/scheduler/{role}/{env}/{job}/task/{id}",
    "/scheduler/{role}/{env}/{job}/update/{id}",
    "/updates",
    "/assets",
]
"""The endpoints of Aurora's documentation, "Scheduler endpoints"."""


def test_every_endpoint_has_its_line() -> None:
    rows = re.findall(
        r"^\| (/\S*) \| (leader|any) \| (same|differs|not served|ours) \|", section("Endpoints"), re.MULTILINE
    )
    served = {path for path, _, here in rows if here != "not served"}
    assert served == {*PAGES, *BESIDE}
    assert {path for path, _, here in rows if here != "ours"} == set(AURORAS)
    assert {path for path, who, _ in rows if who == "leader"} == {p for p, _, _ in rows if is_for_leader(p)}


def tables() -> list[list[str]]:
    """The first cells of every table that says how something stands here, without its head."""
    found = re.findall(r"^\|[^\n]* here \|[^\n]*\n\|[ :|-]+\|\n((?:\|[^\n]*\n)+)", PAGE, re.MULTILINE)
    return [[row.split(" | ")[0].removeprefix("| ") for row in rows.splitlines()] for rows in found]


@pytest.mark.parametrize("cells", tables(), ids=lambda cells: cells[0])
def test_nothing_stands_twice_in_a_table(cells: list[str]) -> None:
    """One of two lines would be wrong sooner or later."""
    names = [name for cell in cells for name in (cell.split(", ") if cell.startswith("/") else [cell])]
    assert [name for name, times in Counter(names).items() if times > 1] == []


def test_all_tables_are_looked_at() -> None:
    assert {"getRoleSummary", "/api", "framework_registered"} <= {cells[0] for cells in tables()}


def test_every_method_has_its_line() -> None:
    rows = re.findall(r"^\| (\w+) \| (same|differs) \|", section("RPCs"), re.MULTILINE)
    methods = {
        method
        for service in (aurora.ReadOnlyScheduler, aurora.AuroraSchedulerManager, aurora.AuroraAdmin)
        for method in service.thrift_services
    }
    assert {name for name, _ in rows} == methods
