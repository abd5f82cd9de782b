"""Coming to rest: when the clients are silent, what is under way ends, and then everything is read back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from scheduler.core.records import TERMINAL_STATES, TaskStatus
from scheduler.core.updates.records import UpdateStatus
from scheduler.core.updates.status import TERMINAL_UPDATE_STATES
from scheduler.testing.history.read_back import NotTold, from_scheduler
from scheduler.testing.history.records import Violation, World

__all__ = ["LAST_LIFE_S", "at_rest"]

REST_S: Final = 40.0
LAST_LIFE_S: Final = 6.5
"""What the engine does not show is looked for once more after 5 s before it is called LOST: the last life is longer."""
_AT_REST: Final = TERMINAL_STATES | {TaskStatus.RUNNING, TaskStatus.THROTTLED}


def at_rest(client: Any, abort: Callable[[str, str], None], *, not_before: float) -> tuple[World, list[Violation]]:
    """End the updates, wait until no task is on its way, and read everything; and what never came to rest.

    `abort` ends one update, by the name of its job and its id. `not_before` is an instant of `time.monotonic`.
    """
    give_up_at = time.monotonic() + REST_S
    while True:
        world = _read_back(client, give_up_at)
        moving = [task for task in world.tasks if task.status not in _AT_REST]
        rolling = [update for update in world.updates if update.status not in TERMINAL_UPDATE_STATES]
        for update in rolling:
            if update.status is not UpdateStatus.ROLLING_FORWARD or time.monotonic() > give_up_at - REST_S / 2:
                abort(update.job.rpartition("/")[2], update.id)
        resting = not moving and not rolling and time.monotonic() > not_before
        if resting and world == _read_back(client, give_up_at):
            return world, []
        if time.monotonic() > give_up_at:
            stuck = [(one.task_id, one.status.name) for one in moving] + [(u.id, u.status.name) for u in rolling]
            return world, [Violation("stuck", id, f"is {name} after {REST_S:g} s of rest") for id, name in stuck]
        time.sleep(0.05)


def _read_back(client: Any, give_up_at: float) -> World:
    """On a busy machine a leader may be suspended for a moment, and is asked again."""
    while True:
        try:
            return from_scheduler(client)
        except NotTold:
            if time.monotonic() > give_up_at:
                raise
        time.sleep(0.05)
