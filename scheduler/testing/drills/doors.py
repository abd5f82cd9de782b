"""How clients call whoever leads, and the list of all answers with who gave them."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen
from thriftpy2.rpc import make_client

from scheduler.interface import aurora, thesan
from scheduler.testing.drills.place import Node
from scheduler.testing.drills.watch import Watch

__all__ = ["Answered", "Answers", "LeaderDoor", "NobodyLeads"]

TIMEOUT_S: Final = 2.0


class NobodyLeads(ConnectionError):
    """There is nobody to call; nothing was asked."""


@frozen
class Answered:
    """An OK from the state, and from whom, in which epoch as the caller knew it."""

    began: float
    ended: float
    node: str
    epoch: int


class Answers:
    """All of them. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[Answered] = []

    def add(self, answered: Answered) -> None:
        with self._lock:
            self._all.append(answered)

    def all(self) -> list[Answered]:
        with self._lock:
            return list(self._all)


class LeaderDoor:
    """A raw connection to the leader, as `watch` knows it; a new one as soon as it does not answer as one.

    `ways`: for each node's name another host and port to reach it by. A `crash.doors.Door`.
    """

    def __init__(
        self, watch: Watch, answers: Answers | None = None, *, ways: Mapping[str, tuple[str, int]] | None = None
    ) -> None:
        self._watch = watch
        self._answers = answers
        self._ways = ways or {}
        self._client: Any = None
        self._led: tuple[Node, int] | None = None

    def open(self) -> None:
        """Raises NobodyLeads, and what stands in `cluster.BROKEN`."""
        self._led = self._watch.leader()
        if self._led is None:
            raise NobodyLeads("nobody leads")
        node, _ = self._led
        host, port = self._ways.get(node.name, (node.host, node.thrift_port))
        self._client = make_client(thesan.Scheduler, host, port, timeout=int(TIMEOUT_S * 1000))

    def call(self, method: str, **arguments: Any) -> Any:
        if self._client is None or self._led is None:
            self.open()  # the answer before said that this one does not lead
        assert self._led is not None
        node, epoch = self._led
        began = time.monotonic()
        response = getattr(self._client, method)(**arguments)
        code = getattr(response, "responseCode", None)
        if code == aurora.ResponseCode.OK and self._answers is not None:
            self._answers.add(Answered(began, time.monotonic(), node.name, epoch))
        if code == aurora.ResponseCode.ERROR_TRANSIENT:
            self.close()
        return response

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
