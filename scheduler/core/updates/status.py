"""The life of an update, as data. Everything that decides which status may follow which stands in this file.

Theory. An update rolls in a direction, forward or back, and never turns forward again. In each direction it is in one
of three conditions:

- *rolling*: it may start instance actions;
- *awaiting pulse*, the soft pause: no fresh heartbeat, so nothing starts; the next heartbeat lifts it;
- *paused*, the hard pause: a person (or an auto-pause after a batch) stopped it; only a person lifts it.

Two directions times three conditions are the six active statuses. Five more are final. `_CONDITIONS` names the six in
one table; pause, block, unblock and resume are all read out of it, so that no hand-written inverse can drift.
`ALLOWED` lists what may follow what; a pair that is not there is refused. Final statuses have an empty row.

Whether a clock runs in a status is a column too: heartbeats are taken in every active status, but their deadline is
watched only while rolling (`PULSE_CLOCK_RUNS`), and watch windows end only while rolling.

Source: Aurora's documentation, "Job update details", and `docs/compatibility.md` for where we differ on purpose.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from scheduler.core.updates.records import InstanceAction, Phase, UpdateStatus

RF = UpdateStatus.ROLLING_FORWARD
RB = UpdateStatus.ROLLING_BACK
RF_PAUSED = UpdateStatus.ROLL_FORWARD_PAUSED
RB_PAUSED = UpdateStatus.ROLL_BACK_PAUSED
RF_AWAITING = UpdateStatus.ROLL_FORWARD_AWAITING_PULSE
RB_AWAITING = UpdateStatus.ROLL_BACK_AWAITING_PULSE
ROLLED_FORWARD = UpdateStatus.ROLLED_FORWARD
ROLLED_BACK = UpdateStatus.ROLLED_BACK
ABORTED = UpdateStatus.ABORTED
FAILED = UpdateStatus.FAILED
ERROR = UpdateStatus.ERROR


class Conditions(NamedTuple):
    """The three active statuses of one direction."""

    rolling: UpdateStatus
    awaiting: UpdateStatus
    paused: UpdateStatus


FORWARD: Final = Conditions(RF, RF_AWAITING, RF_PAUSED)
BACK: Final = Conditions(RB, RB_AWAITING, RB_PAUSED)
_CONDITIONS: Final = {status: direction for direction in (FORWARD, BACK) for status in direction}

ALLOWED: Final[dict[UpdateStatus, frozenset[UpdateStatus]]] = {
    RF: frozenset({RB, RF_PAUSED, RF_AWAITING, ROLLED_FORWARD, ABORTED, FAILED, ERROR}),
    RB: frozenset({RB_PAUSED, RB_AWAITING, ROLLED_BACK, ABORTED, FAILED, ERROR}),
    RF_PAUSED: frozenset({RF, RB, RF_AWAITING, ABORTED, ERROR}),
    RB_PAUSED: frozenset({RB, RB_AWAITING, ABORTED, ERROR}),
    RF_AWAITING: frozenset({RF, RB, RF_PAUSED, ABORTED, ERROR}),
    RB_AWAITING: frozenset({RB, RB_PAUSED, ABORTED, ERROR}),
    ROLLED_FORWARD: frozenset(),
    ROLLED_BACK: frozenset(),
    ABORTED: frozenset(),
    FAILED: frozenset(),
    ERROR: frozenset(),
}

ACTIVE_UPDATE_STATES: Final = frozenset(_CONDITIONS)
TERMINAL_UPDATE_STATES: Final = frozenset(ALLOWED) - ACTIVE_UPDATE_STATES
ROLLING_STATES: Final = frozenset({RF, RB})
AWAITING_PULSE_STATES: Final = frozenset({RF_AWAITING, RB_AWAITING})
PAUSED_STATES: Final = frozenset({RF_PAUSED, RB_PAUSED})
ROLL_BACK_STATES: Final = frozenset(BACK)

PULSE_CLOCK_RUNS: Final[dict[UpdateStatus, bool]] = {status: status in ROLLING_STATES for status in ALLOWED}

# Exits of instances in progress: evaluated at once, noted and evaluated when the pause lifts, or not counted at all.
EXITS_COUNT_NOW: Final = ROLLING_STATES
EXITS_COUNT_LATER: Final = AWAITING_PULSE_STATES

RECORDED_ACTION: Final[dict[tuple[Phase, bool], InstanceAction]] = {
    (Phase.WORKING, False): InstanceAction.INSTANCE_UPDATING,
    (Phase.SUCCEEDED, False): InstanceAction.INSTANCE_UPDATED,
    (Phase.FAILED, False): InstanceAction.INSTANCE_UPDATE_FAILED,
    (Phase.WORKING, True): InstanceAction.INSTANCE_ROLLING_BACK,
    (Phase.SUCCEEDED, True): InstanceAction.INSTANCE_ROLLED_BACK,
    (Phase.FAILED, True): InstanceAction.INSTANCE_ROLLBACK_FAILED,
}
"""(phase reached, rolling back?) -> the action the history shows."""


def pause(status: UpdateStatus) -> UpdateStatus | None:
    """Where a person's pause leads; None from a final status."""
    return _CONDITIONS[status].paused if status in _CONDITIONS else None


def block(status: UpdateStatus) -> UpdateStatus | None:
    """Where a missing heartbeat leads; a hard pause and the final statuses know no block."""
    return None if status not in _CONDITIONS or status in PAUSED_STATES else _CONDITIONS[status].awaiting


def unblock(status: UpdateStatus) -> UpdateStatus | None:
    """Where a heartbeat leads: out of the soft pause, and nowhere else."""
    if status not in _CONDITIONS:
        return None
    return _CONDITIONS[status].rolling if status in AWAITING_PULSE_STATES else status


def resume(status: UpdateStatus, *, fresh: bool) -> UpdateStatus | None:
    """Where a person's resume leads. `fresh`: not coordinated, or the heartbeat is not overdue.

    A resume never lifts a soft pause, and never makes one of a rolling update.
    """
    if status not in _CONDITIONS:
        return None
    if status not in PAUSED_STATES:
        return status
    return _CONDITIONS[status].rolling if fresh else _CONDITIONS[status].awaiting
