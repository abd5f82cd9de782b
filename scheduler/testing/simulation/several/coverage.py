"""What runs with several schedulers must have met. The state tables of tasks and updates: `simulation/coverage.py`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from scheduler.lifecycle import TRANSITIONS, Input, Stage
from scheduler.testing.simulation.clients import Fate
from scheduler.testing.simulation.coverage import Coverage
from scheduler.testing.simulation.several.machine import NOW, WIPED
from scheduler.testing.simulation.several.process import DEATHS, READING
from scheduler.testing.simulation.zookeeper.wire import CutMulti

FAULTS: Final = (
    *(f"killed, {place}" for place in (NOW, WIPED, *DEATHS)),
    *(f"frozen, {place}" for place in (NOW, READING, *DEATHS)),
    *("an older release", "upgraded"),
    *(f"commit cut, {how}" for how in CutMulti.ALL),
    *("machine cut, out", "machine cut, back", "machine cut, back and out"),
    *(f"ZooKeeper's {role} {what}" for role in ("leader", "follower") for what in ("killed", "cut", "lags")),
    *("session expired", "candidate removed", "stopped"),
    *("clock set back", "clock set forward", "one clock set back", "one clock set forward"),
    *("engine unreachable", "host lost", "host announces to go away", "poison"),
)
CRON: Final = ("due", "missed: nobody led", "a run that waited begins")
MAINTENANCE: Final = ("drains: drain", "drains: sla_drain", "drained", "drained under another leader")
PREEMPTION: Final = ("by tier", "by priority", "several make way for one")
MET: Final = (
    "a multi that was refused",
    "a write of a leader that was none any more, refused",
    "an order that the engine refused",
    "a standby compared with the log",
    "a leader that hears of its end on waking",
    *("an entry in parts", "parts without a manifest, swept", "parts of an entry that was cut off, removed"),
    *("a snapshot", "an old snapshot, removed", "parts of a snapshot that never counted, removed"),
    *("the log is cut", "a folder of the log, removed"),
    *("the log was cut meanwhile", "the log is cut while it is read"),
    *("a machine that was away begins with the snapshot", "a wiped machine begins with the snapshot"),
    *("an epoch at a lower format level", "an older scheduler stops at an entry that it cannot read"),
)
UNREACHABLE: Final[dict[tuple[Stage, Input], str]] = {
    (Stage.TAKING_OVER, Input.STORE_LOST): "a take-over that loses its store is over: it is deposed",
    **{
        (stage, Input.STOP_ASKED): "the stop has to come in just these moments: no run is sure to meet that"
        for stage in (Stage.TAKING_OVER, Stage.SUSPENDED)
    },
}


def rows() -> Iterator[tuple[Stage, Input]]:
    """The rows of the lifecycle's table that a run can meet."""
    for stage, row in TRANSITIONS.items():
        for what in row:
            if (stage, what) not in UNREACHABLE:
                yield stage, what


class SeveralCoverage(Coverage):
    """Counts by group and name; several runs add up."""

    def expected(self) -> Iterator[tuple[str, str]]:
        for fault in FAULTS:
            yield "fault", fault
        for stage, heard in rows():
            yield "lifecycle", f"{stage.value}, {heard.value}"
        for fate in Fate:
            if fate is not Fate.WAITING:
                yield "call", fate.value
        for stage in (Stage.STANDBY, Stage.LEADING, Stage.SUSPENDED):
            yield "killed while", stage.value
        for what in MET:
            yield "met", what
        for what in CRON:
            yield "cron", what
        for what in MAINTENANCE:
            yield "maintenance", what
        for what in PREEMPTION:
            yield "preemption", what
