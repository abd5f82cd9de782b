"""docs/compatibility.md says of every RPC how it stands here, and the list of those not served is the code's."""

import re
from pathlib import Path

from scheduler.interface import aurora
from scheduler.rpc.unserved import UNSERVED

PAGE = (Path(__file__).parents[2] / "docs" / "compatibility.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1]


def test_unserved_methods_are_listed_and_nothing_else() -> None:
    assert re.findall(r"^\* (\w+)$", section("Not served yet"), re.MULTILINE) == list(UNSERVED)


def test_every_method_has_its_line() -> None:
    rows = re.findall(r"^\| (\w+) \| (same|differs) \|", section("RPCs"), re.MULTILINE)
    methods = {
        method
        for service in (aurora.ReadOnlyScheduler, aurora.AuroraSchedulerManager, aurora.AuroraAdmin)
        for method in service.thrift_services
    }
    assert {name for name, _ in rows} | set(UNSERVED) == methods
    assert not {name for name, _ in rows} & set(UNSERVED)
