"""A place on this machine: a real ZooKeeper and three real schedulers, each with a network of its own."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from scheduler.contracts import EngineListener, TaskReport
from scheduler.core.records import Host
from scheduler.engines.simulated.client import SimulatedEngine
from scheduler.testing.drills.place import Node
from scheduler.testing.fleet import Fleet, Member
from scheduler.testing.zookeeper import ZooKeeper

__all__ = ["Local", "local", "tasks_in"]

SCHEDULERS: Final = 3
TICK_MS: Final = 200
SESSION_MS: Final = 1_500


class Local:
    """Implements `place.Place`."""

    def __init__(self, fleet: Fleet) -> None:
        self.folder = fleet.folder
        self.session_ms, self.tick_ms = SESSION_MS, TICK_MS
        self._fleet = fleet
        self._members = {member.name: member for member in fleet.members}
        self.nodes = [
            Node(one.name, "127.0.0.1", one.scheduler.thrift_port, one.scheduler.http_port) for one in fleet.members
        ]

    def _member(self, node: Node) -> Member:
        return self._members[node.name]

    def kill(self, node: Node) -> None:
        self._member(node).scheduler.kill()

    def restart(self, node: Node) -> None:
        self._member(node).scheduler.start(wait=False)

    def freeze(self, node: Node) -> None:
        self._member(node).scheduler.signal(signal.SIGSTOP)

    def thaw(self, node: Node) -> None:
        self._member(node).scheduler.signal(signal.SIGCONT)

    def cut_zookeeper(self, node: Node) -> None:
        self._member(node).network.lose()

    def heal_zookeeper(self, node: Node) -> None:
        self._member(node).network.heal()

    def engine_tasks(self, leader: Any) -> dict[str, TaskReport]:
        engine = SimulatedEngine(self.folder / "simulated.sock", cluster=leader.clusterName)
        return asyncio.run(tasks_in(engine, leader.lineage, leader.epoch))

    def last_words(self) -> str:
        return self._fleet.last_words()


class _Deaf(EngineListener):
    def reported(self, reports: Sequence[TaskReport]) -> None: ...

    def hosts_changed(self, hosts: Sequence[Host]) -> None: ...


async def tasks_in(engine: SimulatedEngine, lineage: str, epoch: int) -> dict[str, TaskReport]:
    """What this engine has, asked in the name of the leader of that epoch. Raises EngineError."""
    await engine.start(_Deaf(), epoch=epoch, lineage=lineage)
    try:
        return {report.task_id: report for report in (await engine.reconcile()).tasks}
    finally:
        await engine.stop()


@contextmanager
def local() -> Iterator[Local]:
    """A new one, with a leader and two that follow; everything ends with it."""
    with ZooKeeper.temporary(tick_ms=TICK_MS) as zookeeper, Fleet(zookeeper.port, session_ms=SESSION_MS) as fleet:
        fleet.start(SCHEDULERS)
        yield Local(fleet)
