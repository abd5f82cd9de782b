"""The serverset: where clients find the leader.

One node `member_<ten digits>` under the serverset path, as Aurora's clients and gorealis read it: JSON with
`serviceEndpoint`, `additionalEndpoints` and `status`. gorealis takes the first member it is given, in no order, and
uses only the additional endpoint, of which there must be exactly one. So there is never more than one node, and never
more than one entry in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from typing import Any, Final

from attrs import frozen

from scheduler.zk.client import Client
from scheduler.zk.epoch import Claim
from scheduler.zk.errors import MISREAD, MultiRefused, NoNode, Refusal, SessionOver, Superseded, ZkError
from scheduler.zk.ops import Op, create, delete

__all__ = ["PREFIX", "Advertisement", "Endpoint", "LeaderWatch", "read_leader"]

LOG = logging.getLogger("thesan")

PREFIX: Final = "member_"

MAX_BELOW: Final = 100
"""Nodes below a member that is not ours. A leader's is ephemeral and has none; what has more is left alone."""


@frozen
class Endpoint:
    """Where somebody listens for HTTP."""

    host: str
    port: int


def _to_bytes(endpoint: Endpoint, scheme: str) -> bytes:
    at = {"host": endpoint.host, "port": endpoint.port}
    return json.dumps({"serviceEndpoint": at, "additionalEndpoints": {scheme: at}, "status": "ALIVE"}).encode()


def _from_bytes(data: bytes) -> Endpoint | None:
    """None for what cannot be read, as Aurora skips it."""
    try:
        told: dict[str, Any] = json.loads(data)["serviceEndpoint"]
        return Endpoint(str(told["host"]), int(told["port"]))
    except MISREAD:
        return None


class Advertisement:
    """Of the leader of one epoch. Every change of it checks the epoch, so that an old leader changes nothing."""

    def __init__(self, client: Client, path: str, held: Claim, endpoint: Endpoint, *, scheme: str = "http") -> None:
        self._client = client
        self._path = path
        self._held = held
        self._data = _to_bytes(endpoint, scheme)
        self._left: set[str] = set()
        """Members that are not ours and that we could not remove."""

    async def publish(self, within_s: float) -> None:
        """Make our node the only one. Ours is known by its session, so that it is not made twice when an answer is
        lost; all others are of leaders that are none any more, or made by hand, and go. One that cannot be removed is
        left, and said: that there are two is worse for clients than for us. Raises Superseded, Refusal, ZkError.
        """
        await self._client.patiently(self._publish, within_s)

    async def keep(self) -> None:
        """Publish, and again whenever somebody deletes it or adds another. Never returns; raises as `publish`."""
        while True:
            changed = asyncio.Event()
            try:
                await self._publish()
                await self._client.children(self._path, watch=changed.set)
                if not await self._is_right():
                    continue
            except SessionOver:
                raise
            except ZkError:
                await self._client.connected()
                continue
            await changed.wait()

    async def withdraw(self, within_s: float) -> None:
        """Remove what this session advertised. Raises ZkError."""
        await self._client.patiently(self._withdraw, within_s)

    async def _members(self) -> tuple[list[str], list[str]]:
        """Paths: ours as it should be, and everything else."""
        right: list[str] = []
        wrong: list[str] = []
        for name in sorted(await self._client.children(self._path)):
            if not name.startswith(PREFIX):
                continue
            path = f"{self._path}/{name}"
            try:
                data, stat = await self._client.get(path)
            except NoNode:
                continue
            except Refusal:
                wrong.append(path)
                continue
            ours = stat.ephemeralOwner == self._client.session_id and data == self._data
            (right if ours and not right else wrong).append(path)
        return right, wrong

    async def _is_right(self) -> bool:
        right, wrong = await self._members()
        return len(right) == 1 and self._left.issuperset(wrong)

    async def _publish(self) -> None:
        while True:
            right, wrong = await self._members()
            removals = [(path, op) for path in wrong for op in await self._removal(path)]
            ops = [op for _, op in removals]
            if not right:
                ops.append(create(f"{self._path}/{PREFIX}", self._data, ephemeral=True, sequence=True))
            if not ops:
                return
            try:
                await self._client.multi([self._held.fence(), *ops])
                return
            except MultiRefused as refused:
                if refused.index == 0:
                    raise Superseded(f"epoch {self._held.number} is over: it is not advertised any more") from None
                if isinstance(refused.error, NoNode):
                    continue  # somebody else removed it first: look again
                if refused.index > len(removals):
                    raise
                self._leave(removals[refused.index - 1][0], str(refused))

    async def _removal(self, member: str) -> list[Op]:
        """It and whatever somebody put below it, deepest first."""
        if member in self._left:
            return []
        found = [member]
        for path in found:  # which grows meanwhile
            with contextlib.suppress(Refusal):
                found += [f"{path}/{name}" for name in await self._client.children(path)]
            if len(found) > MAX_BELOW:
                self._leave(member, f"it has more than {MAX_BELOW} nodes below it")
                return []
        return [delete(path) for path in reversed(found)]

    def _leave(self, member: str, why: str) -> None:
        self._left.add(member)
        LOG.error(
            "%s is not ours and cannot be removed: %s; clients may take it for the leader: remove it by hand",
            member,
            why,
        )

    async def _withdraw(self) -> None:
        for name in await self._client.children(self._path):
            if not name.startswith(PREFIX):
                continue
            try:
                _, stat = await self._client.get(f"{self._path}/{name}")
                if stat.ephemeralOwner == self._client.session_id:
                    await self._client.delete(f"{self._path}/{name}")
            except NoNode:
                continue


async def read_leader(client: Client, path: str) -> Endpoint | None:
    """The one member there is; None when there is none, or several, of which one may be dead.

    Raises NoNode, ZkError.
    """
    return await _leader_among(client, path, await client.children(path))


async def _leader_among(client: Client, path: str, names: list[str]) -> Endpoint | None:
    found: list[Endpoint | None] = []
    for name in names:
        if name.startswith(PREFIX):
            try:
                data, _ = await client.get(f"{path}/{name}")
            except NoNode:
                continue
            found.append(_from_bytes(data))
    return found[0] if len(found) == 1 else None


class LeaderWatch:
    """Knows the leader, as it was last heard of. `changed` is called when it is another one, or none."""

    def __init__(self, client: Client, path: str, changed: Callable[[Endpoint | None], None] = lambda _: None) -> None:
        self._client = client
        self._path = path
        self._changed = changed
        self.leader: Endpoint | None = None
        """Where to send whoever asks us instead. While ZooKeeper cannot be reached: the last one known."""

    async def run(self) -> None:
        """Never returns; raises SessionOver."""
        while True:
            changed = asyncio.Event()
            try:
                names = await self._client.children(self._path, watch=changed.set)
                self._know(await _leader_among(self._client, self._path, names))
            except SessionOver:
                raise
            except Refusal:  # the serverset is gone, or is not for us to read
                self._know(None)
                await asyncio.sleep(self._client.session_timeout_ms / 1000)
                continue
            except ZkError:
                await self._client.connected()
                continue
            await changed.wait()

    def _know(self, leader: Endpoint | None) -> None:
        if leader != self.leader:
            self.leader = leader
            self._changed(leader)
