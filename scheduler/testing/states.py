"""`docs/states.md`, written from the tables the scheduler decides by.

python -m scheduler.testing.states > docs/states.md
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator

from scheduler.core.records import ACTIVE_STATES, TERMINAL_STATES, TaskStatus
from scheduler.core.tasks.table import (
    END_ASKED_STATES,
    TELL_AGAIN_FROM,
    TELL_AGAIN_WHEN,
    TRANSIENT_STATES,
    TRANSITIONS,
    Act,
)
from scheduler.core.updates import status as table
from scheduler.core.updates.records import UpdateStatus

HEAD = """\
# States

Which state may follow which, for updates and for tasks, and what a transition does. This page is written by
`python -m scheduler.testing.states > docs/states.md` from the tables that the scheduler decides by
(`scheduler/core/updates/status.py`, `scheduler/core/tasks/table.py`), and a test holds it to them.
"""

UPDATES = """\
## Updates

An update rolls in a direction, forward or back, and never turns forward again. In each direction it is *rolling*,
*awaiting a pulse* (the soft pause: no fresh heartbeat, lifted by the next one) or *paused* (the hard pause: by a
person, or after a batch; lifted by a person). Five more statuses are final.
"""

VERBS = """\
### Verbs

Where each leads. "itself": nothing changes and that is no error; "-": refused. A resume looks at the heartbeat; an
update without one counts as fresh. Abort and rollback go by the table above, and asking for the status an update has is
no error either.
"""

CLOCKS = """\
### Clocks and exits

Heartbeats are taken in every active status. Only while rolling is their deadline watched, and do watch windows end.
Exits of instances in progress count at once, or when the soft pause lifts, or not at all.
"""

TASKS = """\
## Tasks

A pair that is not here is refused. Acts are carried out in the order in which they stand here.
"""

GROUPS = """\
| which | states |
| --- | --- |
| active | {active} |
| terminal | {terminal} |
| LOST when they last too long | {transient} |
| the engine is asked again and again to end it | {asked} |
| reported {alive}, the engine is told again to end it; so for tasks that are not known | {dead} |
"""

WORDS = {
    Act.COUNT_FAILURE: "count the failure",
    Act.SAVE: "save",
    Act.REPLACE: "replace it",
    Act.REPLACE_SERVICE: "replace it if it is a service",
    Act.REPLACE_FAILED: "replace it if it is a service or may fail again",
    Act.REPLACE_UNLESS_KILLED: "replace it unless its end was asked for",
    Act.LOSE: "go on to LOST",
    Act.KILL: "tell the engine to end it",
    Act.DELETE: "forget it",
}


def rows(header: Iterable[str], body: Iterable[Iterable[str]]) -> Iterator[str]:
    """A Markdown table."""
    names = list(header)
    yield f"| {' | '.join(names)} |"
    yield "|" + " --- |" * len(names)
    for row in body:
        yield f"| {' | '.join(row)} |"
    yield ""


def ordered(states: Iterable[TaskStatus]) -> str:
    """States in the order of their table, as an enumeration."""
    chosen = set(states)
    return ", ".join(status.name for status in TRANSITIONS if status in chosen)


# --- updates ---------------------------------------------------------------------------------------------------------


def of_updates() -> Iterator[str]:
    yield UPDATES
    yield "### What may follow"
    yield ""
    yield from rows(("status", "may become"), ((s.name, _names(table.ALLOWED[s]) or "-") for s in table.ALLOWED))
    yield from diagram(
        (s.name, to.name) for s, row in table.ALLOWED.items() for to in _sorted(row) if to is not UpdateStatus.ERROR
    )
    yield "Every active status may also become ERROR: an update that raises is set aside alone."
    yield ""
    yield VERBS
    verbs: dict[str, Callable[[UpdateStatus], UpdateStatus | None]] = {
        "pause": table.pause,
        "heartbeat overdue": table.block,
        "heartbeat": table.unblock,
        "resume, heartbeat fresh": lambda s: table.resume(s, fresh=True),
        "resume, heartbeat overdue": lambda s: table.resume(s, fresh=False),
    }
    active = [status for status in table.ALLOWED if status in table.ACTIVE_UPDATE_STATES]
    yield from rows(("status", *verbs), ((s.name, *(_target(s, verb(s)) for verb in verbs.values())) for s in active))
    yield CLOCKS
    yield from rows(
        ("status", "heartbeat's deadline", "exits"),
        ((s.name, "runs" if table.PULSE_CLOCK_RUNS[s] else "stands", _exits(s)) for s in active),
    )


def _sorted(statuses: Iterable[UpdateStatus]) -> list[UpdateStatus]:
    chosen = set(statuses)
    return [status for status in table.ALLOWED if status in chosen]


def _names(statuses: Iterable[UpdateStatus]) -> str:
    return ", ".join(status.name for status in _sorted(statuses))


def _target(status: UpdateStatus, to: UpdateStatus | None) -> str:
    return "-" if to is None else "itself" if to is status else to.name


def _exits(status: UpdateStatus) -> str:
    if status in table.EXITS_COUNT_NOW:
        return "count at once"
    return "count when it lifts" if status in table.EXITS_COUNT_LATER else "do not count"


# --- tasks -----------------------------------------------------------------------------------------------------------


def of_tasks() -> Iterator[str]:
    yield TASKS
    body = ((status.name, "(gone)" if to is None else to.name, _acts(acts)) for status, to, acts in _transitions())
    yield from rows(("from", "to", "acts"), body)
    yield from diagram(
        (status.name, to.name if Act.SAVE in acts else "[*]") for status, to, acts in _transitions() if to is not None
    )
    yield GROUPS.format(
        active=ordered(ACTIVE_STATES),
        terminal=ordered(TERMINAL_STATES),
        transient=ordered(TRANSIENT_STATES),
        asked=ordered(END_ASKED_STATES),
        alive=ordered(TELL_AGAIN_WHEN).replace(", RUNNING", " or RUNNING"),
        dead=ordered(TELL_AGAIN_FROM),
    )


def _transitions() -> Iterator[tuple[TaskStatus, TaskStatus | None, tuple[Act, ...]]]:
    for status, row in TRANSITIONS.items():
        for to, acts in row.items():
            yield status, to, acts


def _acts(acts: Iterable[Act]) -> str:
    return ", ".join(WORDS[act] for act in sorted(acts))


def diagram(edges: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield "```mermaid"
    yield "stateDiagram-v2"
    for a, b in edges:
        yield f"    {a} --> {b}"
    yield "```"
    yield ""


def page() -> str:
    return "\n".join([HEAD, *of_updates(), *of_tasks()])


if __name__ == "__main__":
    sys.stdout.write(page())
