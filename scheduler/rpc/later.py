"""An answer that is not there yet. To a connection it is a large answer that takes long to be prepared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from scheduler.rpc.large import Large, Outstanding, Parts
from scheduler.rpc.turns import Turns


class Later(Large):
    """`make` comes back with the bytes. Dropped meanwhile, it is cancelled.

    `at_once` is what takes its place when it is in a hurry; None: it is no mere waiting, and is not to be broken off.
    """

    def __init__(
        self,
        make: Callable[[], Coroutine[Any, Any, bytes]],
        turns: Turns,
        outstanding: Outstanding,
        *,
        mistake: Callable[[Exception], bytes],
        too_long: Callable[[int], bytes],
        at_once: Callable[[], Coroutine[Any, Any, bytes]] | None = None,
    ) -> None:
        super().__init__(Parts(()), 0, turns, outstanding, mistake=mistake, too_long=too_long)
        self._make = make
        self._making: asyncio.Task[bytes] | None = None
        self._at_once = at_once

    async def prepare(self) -> None:
        if self._is_dropped():
            return
        try:
            payload = await self._made()
        except asyncio.CancelledError:
            if self._is_dropped():
                return
            raise
        except Exception as mistake:
            payload = self._mistake(mistake)
        self._replace(payload)
        await super().prepare()

    async def _made(self) -> bytes:
        make = self._make
        self._making = asyncio.create_task(make())
        try:
            return await self._making
        except asyncio.CancelledError:
            if self._is_dropped() or make is self._make:
                raise
            return await self._made()

    def hurry(self) -> None:
        """It is to be answered with what there is now."""
        if self._at_once is not None:
            self._make, self._at_once = self._at_once, None
            if self._making is not None:
                self._making.cancel()

    def _is_dropped(self) -> bool:
        return self._parts is None

    def drop(self) -> None:
        super().drop()
        if self._making is not None:
            self._making.cancel()
