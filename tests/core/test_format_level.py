"""What an older scheduler of the cluster could not read is not decided."""

from __future__ import annotations

from attrs import evolve

from scheduler.core import ops
from scheduler.core.answers import Code
from scheduler.core.decide import decide
from scheduler.core.records import Quota
from scheduler.core.state import State
from scheduler.core.transaction import NOT_YET, Clocks, Transaction
from scheduler.testing.stage import Stage


def save_quota(tx: Transaction) -> None:
    tx.apply(ops.EpochBegun(1, "me"))
    tx.apply(ops.SaveQuota("www", Quota(1, 2, 3)))


def test_a_decision_beyond_the_level_of_the_epoch_is_refused_and_changes_nothing() -> None:
    state, world = State(), evolve(Stage().controller.world, format_level=1)
    tx = Transaction(state, world, Clocks(1, 1))

    answer = decide(tx, save_quota)

    assert (answer.code, answer.details) == (Code.ERROR, (NOT_YET,))
    assert tx.ops == [] and "www" not in state.quotas


def test_a_decision_of_the_level_is_taken() -> None:
    state, world = State(), evolve(Stage().controller.world, format_level=ops.SINCE[ops.SaveQuota])
    decide(Transaction(state, world, Clocks(1, 1)), save_quota)
    assert state.quotas["www"] == Quota(1, 2, 3)


def test_every_op_since_has_a_level_that_exists() -> None:
    assert all(1 < level <= ops.FORMAT_LEVEL for level in ops.SINCE.values())
