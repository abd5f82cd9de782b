"""What a pretended scheduler process needs of the run it is part of, and whom it shows what it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from scheduler.contracts import Entry, TaskReport
from scheduler.core.effects import Effect
from scheduler.core.transaction import World as CoreWorld
from scheduler.testing.clock import VirtualClock
from scheduler.testing.simulation.agenda import Agenda
from scheduler.testing.simulation.engine import SimulatedEngine
from scheduler.testing.simulation.store import Store
from scheduler.testing.simulation.watched import Decision, WatchedController

if TYPE_CHECKING:
    from scheduler.testing.simulation.node import Node


class Surroundings(Protocol):
    clock: VirtualClock
    agenda: Agenda
    store: Store
    engine: SimulatedEngine

    def core_world(self, node: Node) -> CoreWorld:
        """Policy, name, ids and chance of one life of a scheduler."""

    def node_loaded(self, node: Node, controller: WatchedController) -> None:
        """It has read the log and is about to begin its epoch."""

    def node_leads(self, node: Node) -> None:
        """Its epoch has begun durably; from now on it answers."""

    def node_decided(self, node: Node, controller: WatchedController, decision: Decision) -> None: ...

    def node_gathered(self, node: Node, controller: WatchedController, entry: Entry) -> None:
        """It is about to append."""

    def node_acts(self, node: Node, effect: Effect) -> None:
        """It is about to carry out an effect."""

    def node_reconciles(self, node: Node, present: tuple[TaskReport, ...]) -> None:
        """It has the complete list of what the engine has."""

    def node_died(self, node: Node, place: str, *, within_commit: bool, kept: bool) -> None: ...

    def node_deposed(self, node: Node, wrong: Exception) -> None: ...
