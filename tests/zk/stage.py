"""What tests on a real ZooKeeper have in common: one server for all of them, a chroot for each."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

from scheduler.testing.zookeeper import shared_server
from scheduler.zk.client import Client, Condition
from scheduler.zk.errors import SessionOver

TIMEOUT_MS = 2000
"""Of sessions. The shared server's tick is 200 ms, so it grants anything from 400 ms on."""

_numbers = itertools.count(1)


class Stage:
    """One test: clients that are closed at its end, below a chroot nobody else uses."""

    def __init__(self, hosts: str = "") -> None:
        self.hosts = hosts or shared_server().address
        self.chroot = f"/test-{os.getpid()}-{next(_numbers)}"
        self._stack = AsyncExitStack()

    async def client(
        self,
        hosts: str = "",
        *,
        timeout_ms: int = TIMEOUT_MS,
        chroot: str | None = None,
        credentials: str | None = None,
    ) -> Client:
        chroot = self.chroot if chroot is None else chroot
        client = Client(hosts or self.hosts, session_timeout_ms=timeout_ms, chroot=chroot, credentials=credentials)
        self._stack.push_async_callback(client.close)
        await client.start(within_s=10)
        await client.patiently(lambda: client.ensure("/"), 10)
        return client

    def cleanup(self, close: Callable[[], Awaitable[object]]) -> None:
        """Call this at the end, before the clients are closed that were made earlier."""
        self._stack.push_async_callback(close)

    async def end(self) -> None:
        await self._stack.aclose()


def on_stage(play: Callable[[Stage], Coroutine[Any, Any, None]], hosts: str = "", *, within_s: float = 30) -> None:
    """Run a test on a loop of its own."""

    async def main() -> None:
        stage = Stage(hosts)
        try:
            async with asyncio.timeout(within_s):
                await play(stage)
        finally:
            await stage.end()

    asyncio.run(main())


async def until(client: Client, condition: Condition) -> None:
    """Wait for a condition, the end too."""
    while client.condition is not condition:
        try:
            await client.change()
        except SessionOver:
            assert condition is Condition.ENDED


async def eventually(is_so: Callable[[], object], within_s: float = 20) -> None:
    """Wait until something is so that no event tells of."""
    async with asyncio.timeout(within_s):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
