"""One row of the table of pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

Endpoint = Callable[[Request], Awaitable[Response] | Response]


@frozen
class Page:
    """`path` in Starlette's form."""

    path: str
    answer: Endpoint
    methods: tuple[str, ...] = ("GET",)
