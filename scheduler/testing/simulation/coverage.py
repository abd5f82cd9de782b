"""What runs have met: each kind of fault, each row of the state tables, each end of a call. Nothing may be zero."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from scheduler.core.records import TaskStatus as T
from scheduler.core.tasks.table import TRANSITIONS
from scheduler.core.updates.records import UpdateStatus as U
from scheduler.core.updates.status import ALLOWED, TERMINAL_UPDATE_STATES
from scheduler.core.updates.verdicts import MonitorVerdict
from scheduler.testing.simulation.clients import Fate
from scheduler.testing.simulation.monitors import Mood
from scheduler.testing.simulation.node import IN_FLIGHT, PLACES
from scheduler.testing.simulation.store import Fault

FAULTS: Final = (
    *(f"monitor {mood.value}" for mood in Mood),
    *("hang assigned", "hang starting", "flap", "deaf", "crash", "exit", "stray kill", "lost", "vanish", "repeat"),
    *(
        "partition, back",
        "partition, lost",
        "partition, failed",
        "partition, finished",
        "host lost",
        "host silent",
        "engine unreachable",
        "log slow",
        "host announces to go away",
        "host stays after all",
    ),
    *("clock set back", "clock set forward", "poison"),
    *(f"log {fault.value}" for fault in Fault),
    *(f"died {place}" for place in PLACES if place != IN_FLIGHT),
    *("died in-flight, kept", "died in-flight, lost"),
)

SAID: Final = (
    *(f"{what}, then a restart" for what in ("a WAIT", "an override", "a timed pause")),
    *("override until a time", "override ended by a person", "pause_for", "retry", "skip"),
    *("override: ROLLING_FORWARD", "override: ROLLING_BACK", "override: ROLL_FORWARD_AWAITING_PULSE"),
    *("override due: ROLL_FORWARD_AWAITING_PULSE", "resume due: ROLLING_FORWARD", "resume due: ROLLING_BACK"),
    "resume due: ROLL_FORWARD_AWAITING_PULSE",
    *("progress due: ROLL_FORWARD_PAUSED", "progress due: FAILED", "progress due: ROLLING_BACK"),
    *("a WAIT under an override", "several PROCEEDs in a row", "back without heartbeats"),
)
"""What came of words that hold for a while, and of instances set aside."""

CRON: Final = (
    *("scheduled", "replaced", "descheduled", "descheduled while a run waits", "due", "caught up"),
    *("missed: nobody led", "missed: the clock was put forward, or nothing could be done"),
    *("begun by hand", "by hand, and another one stands in its way"),
    *("waits: KILL_EXISTING", "held back behind one that waits: KILL_EXISTING", "held back: CANCEL_NEW"),
    *("a run that waited begins", "a run that waited begins under another leader"),
)
"""What came of cron jobs."""

MAINTENANCE: Final = (
    *("scheduled", "drains: drain", "drains: sla_drain", "drained", "drained under another leader"),
    *("drains, and has announced to go", "back in service", "back while it drained"),
    *("tasks stay for their SLA", "its time is over"),
)
"""What came of hosts that operators took out of service, or that went by themselves."""

PREEMPTION: Final = (
    *("by tier", "by priority", "several make way for one", "between those who go before others"),
    "what leaves anyway is kept",
)
"""Who made way for whom."""

_UNREACHABLE_TASK_STATES: Final = {T.INIT: "never stored: a task begins PENDING or THROTTLED"}
UNREACHABLE_TASK_ROWS: Final[dict[tuple[T, T | None], str]] = {
    (T.PARTITIONED, T.ASSIGNED): "engines report STARTING and later states only",
    (T.PARTITIONED, T.PREEMPTING): "a task that nobody hears of frees nothing: it is not asked to make way",
    (T.KILLING, None): "a task without a host is removed at once; one with a host ends first",
}
UNREACHABLE_UPDATE_ROWS: Final[dict[tuple[U, U], str]] = {
    (U.ROLL_FORWARD_PAUSED, U.ERROR): "a paused update is not looked at, and a resume rolls before it looks",
    (U.ROLL_BACK_PAUSED, U.ERROR): "as forward",
}


def task_rows() -> Iterator[tuple[T, T | None]]:
    """The rows of the task table a run can meet."""
    for old, row in TRANSITIONS.items():
        for new in row:
            if not {old, new} & _UNREACHABLE_TASK_STATES.keys() and (old, new) not in UNREACHABLE_TASK_ROWS:
                yield old, new


def update_rows() -> Iterator[tuple[U, U]]:
    for old, row in ALLOWED.items():
        for new in row:
            if (old, new) not in UNREACHABLE_UPDATE_ROWS:
                yield old, new


class Coverage:
    """Counts by group and name; several runs add up."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def note(self, group: str, name: str) -> None:
        self.counts[group, name] += 1

    def add(self, other: Coverage) -> None:
        self.counts.update(other.counts)

    def expected(self) -> Iterator[tuple[str, str]]:
        for fault in FAULTS:
            yield "fault", fault
        for old, new in task_rows():
            yield "task", row_name(old, new)
        for was, now in update_rows():
            yield "update", row_name(was, now)
        for status in TERMINAL_UPDATE_STATES:
            yield "update ends", status.name
        for fate in Fate:
            if fate is not Fate.WAITING:
                yield "call", fate.value
        for verdict in MonitorVerdict:
            for condition in ("rolling", "awaiting", "paused"):
                yield "verdict", f"{verdict.name} while {condition}"
        for name in SAID:
            yield "said", name
        for name in MAINTENANCE:
            yield "maintenance", name
        for name in PREEMPTION:
            yield "preemption", name
        for name in CRON:
            yield "cron", name
        yield "restart", "inside a commit"
        yield "restart", "between commits"

    def missing(self) -> list[str]:
        return [f"{group}: {name}" for group, name in self.expected() if not self.counts[group, name]]

    def table(self) -> list[str]:
        """All counts, by group."""
        found: dict[str, list[str]] = {}
        for group, name in sorted({*self.counts, *self.expected()}):
            found.setdefault(group, []).append(f"{name} {self.counts[group, name]}")
        return [f"{group}: {', '.join(names)}" for group, names in found.items()]


def row_name(old: T | U, new: T | U | None) -> str:
    return f"{old.name} -> {new.name if new is not None else '(gone)'}"
