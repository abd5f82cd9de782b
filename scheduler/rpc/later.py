"""An answer that is not there yet. To a connection it is a large answer that takes long to be prepared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from scheduler.rpc.large import Large, Outstanding, Parts
from scheduler.rpc.turns import Turns


class Later(Large):
    """`make(wait)` comes back with the bytes: when something has happened, or at once. Dropped, it is cancelled."""

    def __init__(
        self,
        make: Callable[[bool], Coroutine[Any, Any, bytes]],
        turns: Turns,
        outstanding: Outstanding,
        *,
        mistake: Callable[[Exception], bytes],
        too_long: Callable[[int], bytes],
    ) -> None:
        super().__init__(Parts(()), 0, turns, outstanding, mistake=mistake, too_long=too_long)
        self._make = make
        self._making: asyncio.Task[bytes] | None = None
        self._waits = True

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
        waits = self._waits
        self._making = asyncio.create_task(self._make(waits))
        try:
            return await self._making
        except asyncio.CancelledError:
            if self._is_dropped() or waits is self._waits:
                raise
            return await self._made()

    def hurry(self) -> None:
        """It is to be answered with what there is now."""
        if self._waits:
            self._waits = False
            if self._making is not None:
                self._making.cancel()

    def _is_dropped(self) -> bool:
        return self._parts is None

    def drop(self) -> None:
        super().drop()
        if self._making is not None:
            self._making.cancel()
