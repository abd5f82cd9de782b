"""Every pair of update status and status, and of status and verb, against tables written out from the documentation."""

from __future__ import annotations

from itertools import product

import pytest

from scheduler.core.updates import status as table
from scheduler.core.updates.records import UpdateStatus

# One row per status: what may follow it. From Aurora's documentation, "Job update details", table of transitions.
FOLLOWS = {
    "ROLLING_FORWARD": """ROLLING_BACK ROLL_FORWARD_PAUSED ROLL_FORWARD_AWAITING_PULSE ROLLED_FORWARD ABORTED FAILED
        ERROR""",
    "ROLLING_BACK": "ROLL_BACK_PAUSED ROLL_BACK_AWAITING_PULSE ROLLED_BACK ABORTED FAILED ERROR",
    "ROLL_FORWARD_PAUSED": "ROLLING_FORWARD ROLLING_BACK ROLL_FORWARD_AWAITING_PULSE ABORTED ERROR",
    "ROLL_BACK_PAUSED": "ROLLING_BACK ROLL_BACK_AWAITING_PULSE ABORTED ERROR",
    "ROLL_FORWARD_AWAITING_PULSE": "ROLLING_FORWARD ROLLING_BACK ROLL_FORWARD_PAUSED ABORTED ERROR",
    "ROLL_BACK_AWAITING_PULSE": "ROLLING_BACK ROLL_BACK_PAUSED ABORTED ERROR",
    "ROLLED_FORWARD": "",
    "ROLLED_BACK": "",
    "ABORTED": "",
    "FAILED": "",
    "ERROR": "",
}
NUMBERS = {
    "ROLLING_FORWARD": 0,
    "ROLLING_BACK": 1,
    "ROLL_FORWARD_PAUSED": 2,
    "ROLL_BACK_PAUSED": 3,
    "ROLLED_FORWARD": 4,
    "ROLLED_BACK": 5,
    "ABORTED": 6,
    "ERROR": 7,
    "FAILED": 8,
    "ROLL_FORWARD_AWAITING_PULSE": 9,
    "ROLL_BACK_AWAITING_PULSE": 10,
}
# status: pause -> | block -> | unblock -> | resume with a fresh heartbeat -> | resume with an overdue one ->
# "-" is nowhere. Aurora has no target for resuming a rolling update whose heartbeat is overdue and nobody noticed, nor
# a soft pause that a heartbeat just lifted, and answers with an error; here both are no-ops.
VERBS = """
ROLLING_FORWARD ROLL_FORWARD_PAUSED ROLL_FORWARD_AWAITING_PULSE ROLLING_FORWARD ROLLING_FORWARD ROLLING_FORWARD
ROLLING_BACK ROLL_BACK_PAUSED ROLL_BACK_AWAITING_PULSE ROLLING_BACK ROLLING_BACK ROLLING_BACK
ROLL_FORWARD_PAUSED ROLL_FORWARD_PAUSED - ROLL_FORWARD_PAUSED ROLLING_FORWARD ROLL_FORWARD_AWAITING_PULSE
ROLL_BACK_PAUSED ROLL_BACK_PAUSED - ROLL_BACK_PAUSED ROLLING_BACK ROLL_BACK_AWAITING_PULSE
ROLL_FORWARD_AWAITING_PULSE ROLL_FORWARD_PAUSED ROLL_FORWARD_AWAITING_PULSE ROLLING_FORWARD \
    ROLL_FORWARD_AWAITING_PULSE ROLL_FORWARD_AWAITING_PULSE
ROLL_BACK_AWAITING_PULSE ROLL_BACK_PAUSED ROLL_BACK_AWAITING_PULSE ROLLING_BACK \
    ROLL_BACK_AWAITING_PULSE ROLL_BACK_AWAITING_PULSE
ROLLED_FORWARD - - - - -
ROLLED_BACK - - - - -
ABORTED - - - - -
FAILED - - - - -
ERROR - - - - -
"""


def test_names_and_numbers() -> None:
    assert {status.name: status.value for status in UpdateStatus} == NUMBERS


@pytest.mark.parametrize(("a", "b"), list(product(NUMBERS, NUMBERS)))
def test_every_pair(a: str, b: str) -> None:
    assert (UpdateStatus[b] in table.ALLOWED[UpdateStatus[a]]) is (b in FOLLOWS[a].split())


@pytest.mark.parametrize("row", [line.split() for line in VERBS.strip().replace("\\\n", "").splitlines()])
def test_every_verb_in_every_status(row: list[str]) -> None:
    status = UpdateStatus[row[0]]
    found = (
        table.pause(status),
        table.block(status),
        table.unblock(status),
        table.resume(status, fresh=True),
        table.resume(status, fresh=False),
    )
    assert [to.name if to is not None else "-" for to in found] == row[1:]


def test_the_rows_name_every_status() -> None:
    assert {line.split()[0] for line in VERBS.strip().replace("\\\n", "").splitlines()} == set(NUMBERS)
    assert set(FOLLOWS) == set(NUMBERS)


def test_groups() -> None:
    def names(group: frozenset[UpdateStatus]) -> set[str]:
        return {status.name for status in group}

    active = {name for name, following in FOLLOWS.items() if following}
    assert names(table.ACTIVE_UPDATE_STATES) == active
    assert names(table.TERMINAL_UPDATE_STATES) == set(NUMBERS) - active
    assert names(table.ROLLING_STATES) == {"ROLLING_FORWARD", "ROLLING_BACK"}
    assert names(table.AWAITING_PULSE_STATES) == {"ROLL_FORWARD_AWAITING_PULSE", "ROLL_BACK_AWAITING_PULSE"}
    assert names(table.PAUSED_STATES) == {"ROLL_FORWARD_PAUSED", "ROLL_BACK_PAUSED"}


def test_which_clock_runs_and_which_exits_count() -> None:
    rolling, awaiting = {"ROLLING_FORWARD", "ROLLING_BACK"}, {"ROLL_FORWARD_AWAITING_PULSE", "ROLL_BACK_AWAITING_PULSE"}
    assert {status.name for status, runs in table.PULSE_CLOCK_RUNS.items() if runs} == rolling
    assert set(table.PULSE_CLOCK_RUNS) == set(UpdateStatus)
    assert {status.name for status in table.EXITS_COUNT_NOW} == rolling
    assert {status.name for status in table.EXITS_COUNT_LATER} == awaiting


def test_no_way_leads_forward_again() -> None:
    forward = {status for status in NUMBERS if "FORWARD" in status}
    for status in NUMBERS:
        if "BACK" in status:
            assert not forward & {to.name for to in table.ALLOWED[UpdateStatus[status]]}
