"""Long work in slices: one slice of it, whoever it is for, in each turn of the event loop."""

from __future__ import annotations

import asyncio
from collections import deque


class Turns:
    """A queue before the event loop. Everything else has its turn between two slices."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._going = False

    async def mine(self) -> None:
        """Return when it is the caller's turn; until its next `await` it is the only one."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        if not self._going:
            self._going = True
            loop.call_soon(self._next, loop)
        await turn

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # else whoever waited was cancelled
                turn.set_result(None)
                break
        self._going = bool(self._waiting)
        if self._going:
            loop.call_soon(self._next, loop)
