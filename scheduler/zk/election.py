"""The election: candidates queue in the order they came, and each watches only the one before it.

A candidate is an ephemeral sequential node under the serverset path. Its name begins with `candidate_`: clients that
look there for the leader read only names that begin with `member_`. Its data is anybody's to read: what the scheduler
is called, and which format levels it reads.

kazoo's own recipe blocks a thread, and calls a function that nothing interrupts; this one only waits.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final
from uuid import uuid4

from attrs import frozen

from scheduler.zk.client import Client
from scheduler.zk.errors import NoNode, SessionOver, ZkError
from scheduler.zk.ops import create

__all__ = ["PREFIX", "Candidate", "Election", "candidates"]

PREFIX: Final = "candidate_"
_DIGITS: Final = 10


@frozen
class Candidate:
    """`data` is what the scheduler said of itself."""

    name: str
    data: bytes

    @property
    def sequence(self) -> int:
        return _sequence(self.name)


def _sequence(name: str) -> int:
    return int(name[-_DIGITS:])


async def candidates(client: Client, path: str) -> list[Candidate]:
    """All there are, first come first. Raises ZkError."""
    found: list[Candidate] = []
    for name in await _names(client, path):
        with contextlib.suppress(NoNode):
            data, _ = await client.get(f"{path}/{name}")
            found.append(Candidate(name, data))
    return found


async def _names(client: Client, path: str) -> list[str]:
    names = [name for name in await client.children(path) if name.startswith(PREFIX) and name[-_DIGITS:].isdigit()]
    return sorted(names, key=_sequence)


class Election:
    """One candidate. Everything raises SessionOver when the session ends; in between, connections may come and go."""

    def __init__(self, client: Client, path: str, data: bytes = b"") -> None:
        self._client = client
        self._path = path
        self._data = data
        self._stem = f"{PREFIX}{uuid4().hex}-"
        self.node: str | None = None
        """The path of our candidate."""

    async def win(self) -> str:
        """Stand, and wait until we are the first. Returns the path of our candidate, for `epoch.claim`."""
        while True:
            try:
                predecessor = await self._predecessor()
                if predecessor is None:
                    assert self.node is not None
                    return self.node
                await self._gone(predecessor)
            except SessionOver:
                raise
            except ZkError:
                await self._client.connected()

    async def lose(self) -> None:
        """Wait until our candidate is gone, which whoever deletes it brings about."""
        while True:
            try:
                if self.node is None or await self._client.exists(self.node) is None:
                    return
                await self._gone(self.node)
            except SessionOver:
                raise
            except ZkError:
                await self._client.connected()

    async def leave(self, within_s: float) -> None:
        """Withdraw: the next in the queue wins at once. Raises ZkError when that could not be said in time."""
        await self._client.patiently(self._withdraw, within_s)
        self.node = None

    async def _withdraw(self) -> None:
        for name in await _names(self._client, self._path):
            if name.startswith(self._stem):
                with contextlib.suppress(NoNode):
                    await self._client.delete(f"{self._path}/{name}")

    async def _predecessor(self) -> str | None:
        """None when we are the first. If the answer to our registration was lost, our name is found again here."""
        names = await _names(self._client, self._path)
        mine = [index for index, name in enumerate(names) if name.startswith(self._stem)]
        if not mine:
            stem = f"{self._path}/{self._stem}"
            await self._client.multi([create(stem, self._data, ephemeral=True, sequence=True)])
            return await self._predecessor()
        self.node = f"{self._path}/{names[mine[0]]}"
        return f"{self._path}/{names[mine[0] - 1]}" if mine[0] > 0 else None

    async def _gone(self, path: str) -> None:
        """Until something happens to a node, or to the connection."""
        happened = asyncio.Event()
        if await self._client.exists(path, watch=happened.set) is not None:
            await happened.wait()
