"""Where a drill happens: schedulers that share a log in ZooKeeper and one engine, and the faults that can be made."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from attrs import frozen

from scheduler.contracts import TaskReport

__all__ = ["Node", "Place"]


@frozen
class Node:
    """One scheduler, as the drill reaches it."""

    name: str
    host: str
    thrift_port: int
    http_port: int


class Place(Protocol):
    """A method that makes a fault returns when it is in force."""

    folder: Path
    """For what the drill writes down; goes away with the place."""
    nodes: list[Node]
    session_ms: int
    """The session timeout T that ZooKeeper granted."""
    tick_ms: int
    """ZooKeeper's own unit of time."""

    def kill(self, node: Node) -> None: ...

    def restart(self, node: Node) -> None: ...

    def freeze(self, node: Node) -> None: ...

    def thaw(self, node: Node) -> None: ...

    def cut_zookeeper(self, node: Node) -> None:
        """From this node alone nothing reaches ZooKeeper, and nothing comes back. Connections stay open."""

    def heal_zookeeper(self, node: Node) -> None: ...

    def engine_tasks(self, leader: Any) -> dict[str, TaskReport]:
        """What the engine has, by task id; asked in the name of the leader, whose ServerState this is."""

    def last_words(self) -> str:
        """Of all schedulers, for a drill that could not be finished."""
