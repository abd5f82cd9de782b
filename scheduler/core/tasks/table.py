"""The life of a task, as data: which state may follow which, and what must happen with it.

Theory. A task is one run of one instance. It is PENDING (or THROTTLED, when its forebears kept dying young) until it is
assigned to a host, then ASSIGNED, STARTING, RUNNING, and it ends FINISHED, FAILED, KILLED or LOST. On the way somebody
may ask for its end: KILLING (for good), RESTARTING, DRAINING, PREEMPTING (a successor follows), and the host may fall
silent: PARTITIONED. A task that ends without having been asked to is replaced, under rules that stand in the table.

`None` as a target is "leaves the state". A pair that is not in `TRANSITIONS` is refused. Acts are carried out in the
order of the `Act` enum, whatever the order in a row. Terminal states only leave.

Source: Aurora's documentation, "Task lifecycle"; `docs/compatibility.md`, "Tasks".
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from scheduler.core.records import ACTIVE_STATES, TERMINAL_STATES, TaskStatus

INIT, PENDING, THROTTLED = TaskStatus.INIT, TaskStatus.PENDING, TaskStatus.THROTTLED
ASSIGNED, STARTING, RUNNING = TaskStatus.ASSIGNED, TaskStatus.STARTING, TaskStatus.RUNNING
FINISHED, FAILED, KILLED, LOST = TaskStatus.FINISHED, TaskStatus.FAILED, TaskStatus.KILLED, TaskStatus.LOST
KILLING, RESTARTING = TaskStatus.KILLING, TaskStatus.RESTARTING
DRAINING, PREEMPTING, PARTITIONED = TaskStatus.DRAINING, TaskStatus.PREEMPTING, TaskStatus.PARTITIONED


class Act(IntEnum):
    """What a transition does, in the order in which it is done."""

    COUNT_FAILURE = 1
    SAVE = 2  # the new state and its event
    REPLACE = 3  # create a successor
    REPLACE_SERVICE = 4  # ... of a service only
    REPLACE_FAILED = 5  # ... of a service, or while the failure limit is not reached
    REPLACE_UNLESS_KILLED = 6  # ... unless its end was asked for at some time
    LOSE = 7  # go on to LOST at once
    KILL = 8  # tell the engine to end it
    DELETE = 9


Row = dict[TaskStatus | None, tuple[Act, ...]]

_SAVE = (Act.SAVE,)
_ENDS_BY_ITSELF: Row = {
    FINISHED: (Act.SAVE, Act.REPLACE_SERVICE),
    FAILED: (Act.COUNT_FAILURE, Act.SAVE, Act.REPLACE_FAILED),
    KILLED: (Act.SAVE, Act.REPLACE),  # nobody asked for it
}
_END_IS_ASKED: Row = dict.fromkeys((KILLING, RESTARTING, DRAINING, PREEMPTING), (Act.SAVE, Act.KILL))
_MAKES_WAY: Row = {
    FINISHED: (Act.SAVE, Act.REPLACE),
    FAILED: (Act.SAVE, Act.REPLACE),
    KILLED: (Act.SAVE, Act.REPLACE),
    LOST: (Act.SAVE, Act.REPLACE, Act.KILL),
    KILLING: _SAVE,  # the kill already sent is repeated by its deadline
    PARTITIONED: (Act.SAVE, Act.LOSE),
}
_LEAVES: Row = {None: (Act.DELETE,)}

TRANSITIONS: Final[dict[TaskStatus, Row]] = {
    INIT: {PENDING: _SAVE, THROTTLED: _SAVE},
    THROTTLED: {PENDING: _SAVE, KILLING: (Act.DELETE,)},
    PENDING: {ASSIGNED: _SAVE, KILLING: (Act.DELETE,)},
    ASSIGNED: {
        STARTING: _SAVE,
        RUNNING: _SAVE,
        **_ENDS_BY_ITSELF,
        LOST: (Act.SAVE, Act.REPLACE, Act.KILL),
        **_END_IS_ASKED,
    },
    STARTING: {
        RUNNING: _SAVE,
        **_ENDS_BY_ITSELF,
        LOST: (Act.SAVE, Act.REPLACE),
        PARTITIONED: _SAVE,
        **_END_IS_ASKED,
    },
    RUNNING: {
        **_ENDS_BY_ITSELF,
        LOST: (Act.SAVE, Act.REPLACE),
        PARTITIONED: _SAVE,
        **_END_IS_ASKED,
    },
    PARTITIONED: {
        ASSIGNED: _SAVE,
        STARTING: _SAVE,
        RUNNING: _SAVE,
        FINISHED: _SAVE,  # not replaced on this edge, not even a service
        FAILED: (Act.COUNT_FAILURE, Act.SAVE, Act.REPLACE_FAILED),
        LOST: (Act.SAVE, Act.REPLACE_UNLESS_KILLED, Act.KILL),
        **dict.fromkeys((KILLING, RESTARTING, DRAINING, PREEMPTING), (Act.SAVE, Act.LOSE)),
    },
    PREEMPTING: _MAKES_WAY,
    RESTARTING: _MAKES_WAY,
    DRAINING: _MAKES_WAY,
    KILLING: {
        FINISHED: _SAVE,
        FAILED: _SAVE,
        KILLED: _SAVE,
        LOST: _SAVE,
        PARTITIONED: (Act.SAVE, Act.LOSE),
        **_LEAVES,
    },
    FINISHED: _LEAVES,
    FAILED: _LEAVES,
    KILLED: _LEAVES,
    LOST: _LEAVES,
}

# A task reported alive although its end was asked for, or although it has ended or is unknown here, is told again.
TELL_AGAIN_FROM: Final = frozenset({PREEMPTING, RESTARTING, DRAINING, KILLING}) | TERMINAL_STATES
TELL_AGAIN_WHEN: Final = frozenset({ASSIGNED, STARTING, RUNNING})

END_ASKED_STATES: Final = frozenset({KILLING, RESTARTING, DRAINING, PREEMPTING})
TRANSIENT_STATES: Final = frozenset({ASSIGNED, PREEMPTING, RESTARTING, KILLING, DRAINING})
"""A task that stays in one of these too long is LOST (Aurora does not count STARTING)."""

assert set(TRANSITIONS) == ACTIVE_STATES | TERMINAL_STATES | {INIT}
