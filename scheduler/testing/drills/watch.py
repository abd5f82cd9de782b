"""A look at every scheduler, many times a second: what it is, and so who leads. One thread for each."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Final

from attrs import frozen

from scheduler.testing.drills.place import Node

__all__ = ["Look", "Role", "Watch"]

EVERY_S: Final = 0.1
TIMEOUT_S: Final = 1.0


class Role(Enum):
    """What a scheduler says that it is."""

    LEADING = "leads"
    TAKING_OVER = "takes over"
    SUSPENDED = "suspended"
    STANDBY = "follows"
    SILENT = "does not answer"


_STAGES: Final = {
    "scheduler_lifecycle_LEADING": Role.LEADING,
    "scheduler_lifecycle_SUSPENDED": Role.SUSPENDED,
    "scheduler_lifecycle_TAKING_OVER": Role.TAKING_OVER,
    "scheduler_lifecycle_STANDBY": Role.STANDBY,
}


@frozen
class Look:
    """One answer, or none. Instants of `time.monotonic`."""

    node: str
    began: float
    ended: float
    role: Role
    epoch: int = 0
    """Of the term it leads or is suspended in."""


class Watch:
    """Use as a context. `looks` has everything that was seen, in the order in which it ended."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.looks: list[Look] = []
        self._nodes = list(nodes)
        self._last: dict[str, Look] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._follow, args=(node,), daemon=True) for node in nodes]

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def leader(self) -> tuple[Node, int] | None:
        """Who said last that it leads, in the newest epoch, and that epoch."""
        with self._lock:
            leading = [(one.epoch, one.node) for one in self._last.values() if one.role is Role.LEADING]
        if not leading:
            return None
        epoch, name = max(leading)
        return next(node for node in self._nodes if node.name == name), epoch

    def role_of(self, node: Node) -> Role:
        with self._lock:
            last = self._last.get(node.name)
        return Role.SILENT if last is None else last.role

    def _follow(self, node: Node) -> None:
        connection = http.client.HTTPConnection(node.host, node.http_port, timeout=TIMEOUT_S)
        while not self._stop.is_set():
            look = _look(node, connection)
            with self._lock:
                self._last[node.name] = look
                self.looks.append(look)
            self._stop.wait(EVERY_S)
        connection.close()


def _look(node: Node, connection: http.client.HTTPConnection, clock: Callable[[], float] = time.monotonic) -> Look:
    began = clock()
    try:
        connection.request("GET", "/vars.json")
        figures: dict[str, Any] = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        connection.close()
        return Look(node.name, began, clock(), Role.SILENT)
    role = next((role for name, role in _STAGES.items() if figures.get(name)), Role.SILENT)
    epoch = int(figures.get("scheduler_epoch", 0)) if role in (Role.LEADING, Role.SUSPENDED) else 0
    return Look(node.name, began, clock(), role, epoch)
