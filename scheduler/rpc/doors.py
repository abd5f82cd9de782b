"""How many connections there may be, over all ports together: in all, and from one address."""

from __future__ import annotations

from typing import Final

MAX_CONNECTIONS: Final = 10_000
MAX_CONNECTIONS_PER_ADDRESS: Final = 2_500
"""A quarter, so that one address cannot shut out all others. Clients behind one gateway are one address."""


class Doors:
    """Counts who is in. `limits` can be changed while it counts; who is in stays in."""

    def __init__(
        self,
        *,
        max_connections: int = MAX_CONNECTIONS,
        max_connections_per_address: int = MAX_CONNECTIONS_PER_ADDRESS,
    ) -> None:
        self.max_connections = max_connections
        self.max_connections_per_address = max_connections_per_address
        self.connections = 0
        self.refused = 0
        self._of_address: dict[str, int] = {}

    def enter(self, address: str) -> str | None:
        """Let one more connection in; None when it may. Otherwise a sentence that says why not."""
        here = self._of_address.get(address, 0)
        if self.connections >= self.max_connections:
            self.refused += 1
            return f"there are {self.connections} connections; more are not allowed"
        if here >= self.max_connections_per_address:
            self.refused += 1
            return f"there are {here} connections from {address}; more are not allowed from one address"
        self.connections += 1
        self._of_address[address] = here + 1
        return None

    def leave(self, address: str) -> None:
        """A connection that was let in is gone."""
        self.connections -= 1
        left = self._of_address[address] - 1
        if left:
            self._of_address[address] = left
        else:
            del self._of_address[address]

    def addresses(self) -> int:
        """How many addresses there are connections from."""
        return len(self._of_address)
