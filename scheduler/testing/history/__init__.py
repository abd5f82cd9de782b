"""Is what clients were told true? A checker for histories of calls, made of pure parts.

Theory. Every call that may change something carries a *token* that nobody else uses, and the system keeps it with what
the call changed: in a task's configuration, in an update's metadata, in the message of an event. A call was

- *acknowledged*: it must be there, wholly;
- *refused*: it must not be there at all;
- *unknown* (the connection broke, no answer came): it may be there or not, but wholly, and at most once.

At the end the state is read back, as `World`, and compared with the calls, as `History`. `check` returns what is wrong,
one sentence each; no sentence is no proof, only a run without a finding. It reads nothing but its arguments, so it
serves real processes and simulators alike, and asking twice gives the same answer.

`records` says what calls and worlds are, `check` has the rules, `recorder` is what clients write calls down with, and
`read_back` makes a `World` from a running scheduler's answers.
"""

from __future__ import annotations

from scheduler.testing.history.check import check
from scheduler.testing.history.records import (
    Call,
    Heard,
    History,
    Kind,
    Sighting,
    TaskEventRow,
    TaskRow,
    UpdateEventRow,
    UpdateRow,
    Violation,
    World,
)

__all__ = [
    "Call",
    "Heard",
    "History",
    "Kind",
    "Sighting",
    "TaskEventRow",
    "TaskRow",
    "UpdateEventRow",
    "UpdateRow",
    "Violation",
    "World",
    "check",
]
