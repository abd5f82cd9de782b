"""What can become of a request to ZooKeeper. Between *surely not sent* and *perhaps carried out* lies everything.

Two families. A `ZkError`: there was no answer, and asking again may help. A `Refusal`: the server said no, which asking
again does not change. Those are kazoo's own, under short names; the client puts path and reason into words. Whoever
has a rule for one (NoNode: somebody else was first) catches that one; at the ends of a leader's and a standby's work
stand both families, since a node that somebody removed or changed by hand is refused in places nobody thought of.
"""

from __future__ import annotations

from typing import Final

from kazoo.exceptions import (
    BadVersionError as BadVersion,
    KazooException as Refusal,
    NoAuthError as NoAuth,
    NodeExistsError as NodeExists,
    NoNodeError as NoNode,
    NotEmptyError as NotEmpty,
)

__all__ = [
    "MISREAD",
    "BadVersion",
    "MultiRefused",
    "NoAuth",
    "NoNode",
    "NodeExists",
    "NotEmpty",
    "NotSent",
    "Refusal",
    "SessionOver",
    "Superseded",
    "TooLarge",
    "Unanswered",
    "UnreadableEpoch",
    "ZkError",
    "in_words",
]


class ZkError(Exception):
    """A request was not answered."""


class NotSent(ZkError):
    """Surely nothing happened: the request never left this process."""


class SessionOver(NotSent):
    """And nothing will be sent any more: this client's session has ended. Make a new client."""


class TooLarge(NotSent):
    """A request so large that the server would close the connection, over and over."""


class Unanswered(ZkError):
    """The connection broke before the answer came: the server may have done it, or may yet do it."""


class MultiRefused(Refusal):  # type: ignore[misc] # kazoo has no types
    """The server did none of a multi. `index` is the operation that it would not do, at `path`, `error` why."""

    def __init__(self, index: int, error: Exception, path: str) -> None:
        super().__init__(in_words(error, path))
        self.index = index
        self.error = error


class Superseded(Exception):
    """Somebody claimed a newer epoch: this one is over."""


class UnreadableEpoch(Exception):
    """Somebody removed the node that holds the epoch, or wrote something else into it. The sentence says which."""


MISREAD: Final = (ValueError, KeyError, TypeError, OverflowError, RecursionError)
"""What it may raise to take a node for the JSON that it should hold: anybody may have put anything there."""

_WORDS: Final[dict[type[Exception], str]] = {
    BadVersion: "was changed by somebody else",
    NoAuth: "may not be changed by us: check --zk-digest-credentials",
    NoNode: "is not there",
    NodeExists: "is there already",
    NotEmpty: "has nodes below it",
}


def in_words(refusal: Exception, path: str) -> str:
    """What the server said no to, and why; kazoo's refusals are classes without words."""
    return f"{path} in ZooKeeper {_WORDS.get(type(refusal), f'was refused ({type(refusal).__name__})')}"
