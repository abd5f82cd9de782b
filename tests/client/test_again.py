"""An earlier update begun again: what is asked for, by what it was to do and what the job has now."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.client.again import EarlierUpdate
from scheduler.client.errors import CommandError
from scheduler.client.keys import Job
from scheduler.interface import aurora

KEPT = aurora.TaskConfig(contactEmail="of one that stays")


def ranges(*ids: int) -> set[Any]:
    return {aurora.Range(i, i) for i in ids}


def removal(*removed: int, active: set[int]) -> EarlierUpdate:
    """An update that was to take `removed` away, of a job that has `active` now."""
    initial = {aurora.InstanceTaskConfig(aurora.TaskConfig(), ranges(*removed))}
    instructions = aurora.JobUpdateInstructions(initial, None, aurora.JobUpdateSettings(updateOnlyTheseInstances=set()))
    return EarlierUpdate(Job("", "www", "prod", "web"), instructions, (), frozenset(active), KEPT)


@pytest.mark.parametrize(("active", "only", "scope"), [
    ({0, 1, 2, 3}, (), [2, 3]),
    ({0, 1, 3}, (), [3]),
    ({0, 1, 2, 3}, (3,), [3]),
    ({0, 1}, (), [1]),
    ({0, 1, 2, 3}, (0,), [1]),
])  # fmt: skip
def test_a_removal_concerns_what_is_still_to_be_removed(
    active: set[int], only: tuple[int, ...], scope: list[int]
) -> None:
    """Where there is nothing to do, one that stays: the server says so."""
    request = removal(2, 3, active=active).update_request("mark", only)
    assert request.taskConfig is KEPT
    assert request.instanceCount == 2
    assert [r.first for r in request.settings.updateOnlyTheseInstances] == scope


def test_what_no_update_can_do_is_said() -> None:
    with pytest.raises(CommandError, match="nothing of the job would stay"):
        removal(0, 1, active={0}).update_request("mark")
    with pytest.raises(CommandError, match="and 5 stays; use `job kill --instances 2,3`"):
        removal(2, 3, active={0, 2, 3, 5}).update_request("mark")
