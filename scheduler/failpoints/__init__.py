"""Named places where a test can stop the process, to see what is left when it dies exactly there.

``failpoint("after-commit")`` stands in the code and does nothing. A process started with
``THESAN_FAILPOINT=after-commit`` in its environment kills itself there; see `from_env`. This module knows no system
call, so that what decides may use it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["NAMES", "Failpoint", "arm", "disarm", "failpoint"]

NAMES: Final = {
    "before-apply": "a request is here, nothing is decided",
    "after-decide": "decided and applied to memory, not yet given to the changelog",
    "before-append": "encoded, not yet written",
    "entry-part": "a part of a large entry is in ZooKeeper, or the folder of its parts, and nothing names it yet",
    "after-append": "durable, nobody told yet",
    "after-commit": "known to be durable, no reply sent and no effect started",
    "after-acknowledge": "the replies have left, no effect is started",
    "before-effect": "about to start an effect: an order to the engine",
    "after-effect": "the engine has its order",
    "follow-before-apply": "a follower has read an entry and not applied it",
    "follow-after-apply": "a follower has applied an entry, and its checkpoint does not have it",
    "before-tail-row": "the entry is in ZooKeeper, and not in this machine's checkpoint",
    "after-tail-row": "the entry is in this machine's checkpoint too",
    "engine-made": "the local engine has made the task's folder: its id is used up, and nothing runs",
    "engine-spawned": "the local engine has started the executor, and nobody here knows it yet",
    "fold-began": "the helper has read base and tail, and written nothing",
    "fold-chunk": "the helper has written a chunk of the new base",
    "fold-before-swap": "the new base is complete, the old one counts",
    "fold-after-swap": "the new base counts, the old one and the covered tail are still there",
    "fold-deleting": "a part of the tail that the new base replaces is deleted",
    "snapshot-part": "a part of a new snapshot is in ZooKeeper, the snapshot before counts",
    "before-snapshot-pointer": "all parts of a new snapshot are in ZooKeeper, the one before counts",
    "after-snapshot-pointer": "the new snapshot counts, the log behind the one before is still there",
    "before-truncate": "the log in ZooKeeper is about to be cut behind the snapshot before",
    "truncating": "some entries are cut off the log in ZooKeeper",
    "after-truncate": "the log in ZooKeeper is cut, the parts that nobody needs are still there",
}
"""Every name, and what is so when it is reached. A test holds this equal to the code."""


class Failpoint:
    """One armed place: `action` runs when it is reached for the `nth` time, and each time after that."""

    def __init__(self, name: str, action: Callable[[], object], nth: int = 1) -> None:
        if name not in NAMES:
            raise ValueError(f"there is no failpoint {name!r}; there are {', '.join(NAMES)}")
        if nth < 1:
            raise ValueError(f"a failpoint is counted from 1, not from {nth}")
        self.name = name
        self._action = action
        self._left = nth

    def reached(self) -> None:
        self._left -= 1
        if self._left <= 0:
            self._action()


_armed: dict[str, Failpoint] = {}


def arm(point: Failpoint) -> None:
    """In the place of one of the same name."""
    _armed[point.name] = point


def disarm(name: str | None = None) -> None:
    """The one of this name, or all."""
    if name is None:
        _armed.clear()
    else:
        _armed.pop(name, None)


def failpoint(name: str) -> None:
    """Nothing, except where a test armed this name. `name` must be one of `NAMES`."""
    if _armed and (point := _armed.get(name)) is not None:
        point.reached()
