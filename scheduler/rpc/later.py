"""An answer that is not there yet. To a connection it is a large answer that takes long to be prepared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from scheduler.rpc.large import Large, Outstanding, Parts
from scheduler.rpc.turns import Turns


class Later(Large):
    """`make` comes back with the bytes. Dropped meanwhile, it is cancelled."""

    def __init__(
        self,
        make: Callable[[], Coroutine[Any, Any, bytes]],
        turns: Turns,
        outstanding: Outstanding,
        *,
        mistake: Callable[[Exception], bytes],
        too_long: Callable[[int], bytes],
    ) -> None:
        super().__init__(Parts(()), 0, turns, outstanding, mistake=mistake, too_long=too_long)
        self._make = make
        self._making: asyncio.Task[bytes] | None = None

    async def prepare(self) -> None:
        if self._is_dropped():
            return
        self._making = asyncio.create_task(self._make())
        try:
            payload = await self._making
        except asyncio.CancelledError:
            if self._is_dropped():
                return
            raise
        except Exception as mistake:
            payload = self._mistake(mistake)
        self._replace(payload)
        await super().prepare()

    def _is_dropped(self) -> bool:
        return self._parts is None

    def drop(self) -> None:
        super().drop()
        if self._making is not None:
            self._making.cancel()
