"""Who calls, and from where."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attrs import field, frozen

from scheduler.security.names import NOBODY

__all__ = ["NOBODY", "Caller"]


@frozen
class Caller:
    """`user` is NOBODY when no credentials came."""

    user: str = NOBODY
    address: str = ""
    headers: Iterable[tuple[bytes, bytes]] = field(default=(), repr=False, eq=False)
    """Of its request, where there are any."""

    @property
    def request_id(self) -> str | None:
        """The client's own word for its request."""
        found = [value for name, value in self.headers if name == b"x-request-id"]
        return found[0].decode("latin-1") if len(found) == 1 else None

    @property
    def is_known(self) -> bool:
        return self.user != NOBODY


UNKNOWN: Final = Caller()
