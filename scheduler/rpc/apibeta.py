"""/apibeta/{method}: one call as JSON, arguments by name in, a Response out; for scripts that know no Thrift.

The same processor answers as for /api: the same checks, the same rule that nothing is seen before it is durable.
"""

from __future__ import annotations

from typing import Final

from scheduler.rpc.http import Api, Receive, Scope
from scheduler.rpc.messages import Codec
from scheduler.rpc.plain_json import PLAIN, answer_of, read_call
from scheduler.rpc.processor import Pending
from scheduler.rpc.shapes import ARGS

PREFIX: Final = "/apibeta/"

_CODES: Final = {401: "AUTH_FAILED", 405: "INVALID_REQUEST", 413: "INVALID_REQUEST", 503: "ERROR_TRANSIENT"}
"""Of a refusal with this status; ERROR else, as in Aurora."""


class NoMethod(Exception):
    """The path names no method of the interface."""


class ApiBeta(Api):
    """The ASGI application for every path that begins with `/apibeta/`."""

    methods = ("POST",)

    async def pending(self, scope: Scope, receive: Receive) -> tuple[Pending, Codec]:
        method = scope["path"].removeprefix(PREFIX)
        if method not in ARGS:
            raise NoMethod(f"there is no method {method[:100]!r} here")
        body = await self.body(scope["headers"], receive)
        return self.processor.answer(read_call(method, body), PLAIN, self.caller(scope)), PLAIN

    def refusal(self, status: int, sentence: str) -> tuple[int, bytes, bytes]:
        return status, PLAIN.content_type, answer_of(_CODES.get(status, "ERROR"), sentence)

    def status_of(self, wrong: Exception) -> int | None:
        return 404 if isinstance(wrong, NoMethod) else super().status_of(wrong)
