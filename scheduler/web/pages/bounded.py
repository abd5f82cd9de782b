"""How many pages of the state may be on their way at once.

What such a page says is fixed when it is asked for and written as fast as its reader takes it. At a hundred thousand
tasks one of them holds on to a megabyte; thousands of slow readers would hold on to gigabytes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from scheduler.web.guard import Receive, Scope, Send

MOST_AT_ONCE: Final = 32


class Bounded:
    """Counts pages from their being asked for until the last byte has left, or the reader has gone."""

    def __init__(self, most: int = MOST_AT_ONCE) -> None:
        self._most = most
        self.on_their_way = 0

    async def answer(self, make: Callable[[], Awaitable[Response]]) -> Response:
        """Raises HTTPException 503 when there are too many."""
        if self.on_their_way >= self._most:
            sentence = f"{self._most} pages are being read here already, and no more are made. Please try again.\n"
            raise HTTPException(503, sentence, {"retry-after": "1"})
        self.on_their_way += 1
        try:
            return _Counted(await make(), self)
        except BaseException:
            self.on_their_way -= 1
            raise


class _Counted(Response):
    def __init__(self, inner: Response, bounded: Bounded) -> None:
        super().__init__(status_code=inner.status_code)
        self._inner, self._bounded = inner, bounded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._inner(scope, receive, send)
        finally:
            self._bounded.on_their_way -= 1
