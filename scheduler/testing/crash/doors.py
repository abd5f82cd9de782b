"""Two ways to call a scheduler: the raw port and HTTP. Both say plainly whether anything was sent."""

from __future__ import annotations

import http.client
from itertools import count
from typing import Any, Final, Protocol

from thriftpy2.rpc import make_client

from scheduler.client.wire import CONTENT_TYPE, NotAnAnswer, decode_answer, encode_call
from scheduler.interface import thesan
from scheduler.testing.cluster import Scheduler

__all__ = ["Door", "HttpDoor", "RawDoor"]

TIMEOUT_S: Final = 10.0


class Door(Protocol):
    """One connection."""

    def open(self) -> None:
        """Connect. Raises what stands in `cluster.BROKEN`; nothing was asked then."""

    def call(self, method: str, **arguments: Any) -> Any:
        """Ask. Raises what stands in `cluster.BROKEN`; whether it was carried out is open then."""

    def close(self) -> None: ...


class RawDoor:
    def __init__(self, scheduler: Scheduler) -> None:
        self._port = scheduler.thrift_port
        self._client: Any = None

    def open(self) -> None:
        timeout_ms = int(TIMEOUT_S * 1000)
        self._client = make_client(thesan.Scheduler, "127.0.0.1", self._port, timeout=timeout_ms)

    def call(self, method: str, **arguments: Any) -> Any:
        return getattr(self._client, method)(**arguments)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


class HttpDoor:
    def __init__(self, scheduler: Scheduler) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", scheduler.http_port, timeout=TIMEOUT_S)
        self._headers = {"Content-Type": CONTENT_TYPE, "Accept": CONTENT_TYPE}
        self._numbers = count(1)

    def open(self) -> None:
        self._connection.connect()

    def call(self, method: str, **arguments: Any) -> Any:
        body = encode_call(method, arguments, next(self._numbers))
        try:
            self._connection.request("POST", "/api", body, self._headers)
            answer = self._connection.getresponse()
            data = answer.read()
            if answer.status != 200:
                raise ConnectionError(f"HTTP {answer.status} {answer.reason}")
            return decode_answer(method, data)
        except (http.client.HTTPException, NotAnAnswer) as wrong:
            raise ConnectionError(repr(wrong)) from wrong

    def close(self) -> None:
        self._connection.close()
