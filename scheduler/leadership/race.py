"""Waiting for one thing while others must go on."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def meanwhile(main: Coroutine[Any, Any, T], *others: Coroutine[Any, Any, object]) -> T:
    """What `main` returns. The others run beside it and are cancelled then; one that raises or ends, ends it all.

    Raises what was raised first; ConnectionAbortedError when one of the others just ended.
    """
    wanted = asyncio.ensure_future(main)
    beside = [asyncio.ensure_future(other) for other in others]
    try:
        await asyncio.wait((wanted, *beside), return_when=asyncio.FIRST_COMPLETED)
        for one in beside:
            if one.done():
                one.result()
                raise ConnectionAbortedError(f"{one.get_name()} ended")
        return wanted.result()
    finally:
        await cancel(wanted, *beside)


async def cancel(*tasks: asyncio.Future[Any]) -> None:
    """And wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
