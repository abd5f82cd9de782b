"""Who calls, and from where."""

from __future__ import annotations

from typing import Final

from attrs import frozen

from scheduler.security.names import NOBODY

__all__ = ["NOBODY", "Caller"]


@frozen
class Caller:
    """`user` is NOBODY when no credentials came. `request_id` is the client's own word for its request."""

    user: str = NOBODY
    address: str = ""
    request_id: str = ""

    @property
    def is_known(self) -> bool:
        return self.user != NOBODY


UNKNOWN: Final = Caller()
