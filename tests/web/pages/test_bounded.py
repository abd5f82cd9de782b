"""Pages that are on their way are counted, and there is an end to it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

from scheduler.web.pages.bounded import Bounded


class Slow(Response):
    """Its reader takes nothing until `go_on`; then it goes away."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.go_on.wait()
        raise ConnectionError("the reader has gone")


def test_so_many_and_no_more_until_one_has_left() -> None:
    async def run() -> None:
        bounded, slow = Bounded(2), Slow()

        async def made() -> Response:
            return slow

        answers = [await bounded.answer(made) for _ in range(2)]
        with pytest.raises(HTTPException, match="2 pages are being read here already") as refused:
            await bounded.answer(made)
        assert (refused.value.status_code, refused.value.headers) == (503, {"retry-after": "1"})
        sending = asyncio.create_task(answers[0]({}, None, None))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        assert bounded.on_their_way == 2
        slow.go_on.set()
        with pytest.raises(ConnectionError):
            await sending
        assert bounded.on_their_way == 1
        await bounded.answer(made)

    asyncio.run(run())


def test_a_page_that_cannot_be_made_and_one_that_is_read_do_not_count() -> None:
    async def run() -> None:
        bounded = Bounded(1)

        async def fails() -> Response:
            raise HTTPException(503, "nobody leads")

        async def works() -> Response:
            return PlainTextResponse("x")

        async def send(message: Any) -> None:
            pass

        for _ in range(3):
            with pytest.raises(HTTPException, match="nobody leads"):
                await bounded.answer(fails)
            await (await bounded.answer(works))({"type": "http"}, None, send)  # type: ignore[arg-type]
        assert bounded.on_their_way == 0

    asyncio.run(run())
