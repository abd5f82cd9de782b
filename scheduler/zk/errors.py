"""What can become of a request to ZooKeeper. Between *surely not sent* and *perhaps carried out* lies everything.

Answers of the server that say no are kazoo's own, under short names.
"""

from __future__ import annotations

from kazoo.exceptions import (
    BadVersionError as BadVersion,
    KazooException as Refusal,
    NoAuthError as NoAuth,
    NodeExistsError as NodeExists,
    NoNodeError as NoNode,
    NotEmptyError as NotEmpty,
)

__all__ = [
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
    "ZkError",
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


class MultiRefused(Exception):
    """The server did none of a multi. `index` is the operation that it would not do, `error` why."""

    def __init__(self, index: int, error: Exception) -> None:
        super().__init__(f"operation {index} of the multi was refused: {type(error).__name__}")
        self.index = index
        self.error = error


class Superseded(Exception):
    """Somebody claimed a newer epoch: this one is over."""
