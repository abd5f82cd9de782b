"""One scheduler process: it loads, begins its epoch, attaches the engine, leads, and may die between any two of these.

It does what the server's own loop does around the controller, one step of the agenda at a time, with a place to die
at between each two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from scheduler.contracts import (
    ChangelogError,
    EngineError,
    EngineSnapshot,
    Entry,
    LaunchOrder,
    Outcome,
    OutcomeUnknown,
    Signal,
    TaskReport,
)
from scheduler.controller.gateway import Gateway
from scheduler.core import pruning, takeover
from scheduler.core.effects import Effect, Forget, Launch, Reconcile, Terminate
from scheduler.core.records import ASSIGNED_STATES, Host
from scheduler.lifecycle import Input, Lifecycle, Stage
from scheduler.testing.simulation.store import Append
from scheduler.testing.simulation.surroundings import Surroundings
from scheduler.testing.simulation.watched import Decision, WatchedController

PRUNE_EVERY_MS: Final = 30_000
RECONCILE_AGAIN_MS: Final = 5_000
RETRY_MS: Final = 1_000
LOAD_MS: Final = 20

NOW = "now"
LOADING = "loading"
BEGINNING = "beginning"
AFTER_DECIDE = "after-decide"
IN_FLIGHT = "in-flight"
AFTER_APPEND = "after-append"
AFTER_COMMIT = "after-commit"
BEFORE_EFFECT = "before-effect"
RECONCILING = "reconciling"
PLACES: Final = (
    NOW,
    LOADING,
    BEGINNING,
    AFTER_DECIDE,
    IN_FLIGHT,
    AFTER_APPEND,
    AFTER_COMMIT,
    BEFORE_EFFECT,
    RECONCILING,
)
"""Where a scheduler can die."""


def _uuid(epoch: int, offset: int) -> bytes:
    """Names one append, the same in every run."""
    return epoch.to_bytes(8, "big") + offset.to_bytes(8, "big")


@frozen
class Trap:
    """Die at `place`, or at once when it is not reached soon. `kept`: what becomes of the append on its way."""

    place: str
    kept: bool
    down_ms: int


class Died(Exception):
    """The process ended here."""


class Node:
    """One process, again and again."""

    def __init__(self, name: str, around: Surroundings) -> None:
        self.name = name
        self.around = around
        self.gateway = Gateway()
        self.lifecycle = Lifecycle()
        self.controller: WatchedController | None = None
        self.up = False
        self.life = 0
        """Counts lives: a deed planned in an earlier one is not done."""
        self.trap: Trap | None = None
        self.appending: Append | None = None
        self.loaded_ms = 0
        self._alarm_ms: int | None = None
        self._turning = False
        self._attached = False

    @property
    def is_idle(self) -> bool:
        """It leads, and has nothing to decide, to append or to carry out."""
        return self._attached and not self._turning and self.appending is None

    # --- life and death ---

    def boot(self) -> None:
        """The process starts and is elected."""
        self.up = True
        self.life += 1
        self.gateway, self.lifecycle = Gateway(), Lifecycle()
        self._lead()

    def _lead(self) -> None:
        self.lifecycle.feed(Input.ELECTED)
        self._later(LOAD_MS, self._load)

    def _later(self, wait_ms: int, deed: object, *args: object) -> None:
        self.around.agenda.after(wait_ms, self._if_alive, self.life, deed, *args)

    def _if_alive(self, life: int, deed: object, *args: object) -> object:
        if life != self.life:
            return False
        assert callable(deed)
        try:
            return deed(*args)
        except Died:
            return True

    def die(self, place: str, *, kept: bool, down_ms: int) -> None:
        """Nothing of the process survives. What was being appended is kept or lost."""
        within = self.appending is not None and not self.appending.over
        self.around.node_died(self, place, within_commit=within, kept=kept)
        self.around.store.cut(self.appending, kept=kept)
        self._drop()
        self.up = False
        self.trap = None
        self.around.agenda.after(down_ms, self.boot)

    def _drop(self) -> None:
        self.life += 1
        self.around.engine.detach(self)
        self.controller = None
        self.appending = None
        self._alarm_ms = None
        self._turning = self._attached = False

    def set_trap(self, trap: Trap) -> None:
        if trap.place == NOW:
            self.die(NOW, kept=trap.kept, down_ms=trap.down_ms)
            return
        if trap.place in (LOADING, BEGINNING, RECONCILING):
            self.die(NOW, kept=trap.kept, down_ms=trap.down_ms)
        self.trap = trap
        self.around.agenda.after(3_000 + trap.down_ms, self._spring, trap)

    def _spring(self, trap: Trap) -> bool:
        if self.trap is not trap or not self.up:
            return False
        self.die(NOW, kept=trap.kept, down_ms=trap.down_ms)
        return True

    def _maybe_die(self, place: str) -> None:
        trap = self.trap
        if trap is not None and trap.place == place:
            self.die(place, kept=trap.kept, down_ms=trap.down_ms)
            raise Died

    # --- taking over ---

    def _load(self) -> None:
        around = self.around
        self._maybe_die(LOADING)
        state = around.store.load()
        epoch = state.epoch + 1
        self.loaded_ms = around.agenda.now_ms
        controller = WatchedController(
            state,
            around.core_world(self),
            around.clock,
            epoch=epoch,
            offset=around.store.durable,
            shown_to=lambda decision: self._shown(controller, decision),
        )
        self.controller = controller
        around.node_loaded(self, controller)
        controller.write(takeover.begin_epoch, epoch)
        controller.ready = self.wake
        self._turn()
        if self.trap is not None and self.trap.place == BEGINNING:
            self._later(0, self._maybe_die, BEGINNING)

    def _shown(self, controller: WatchedController, decision: Decision) -> None:
        self.around.node_decided(self, controller, decision)

    def _begun(self) -> None:
        """The first entry is durable: the epoch has begun."""
        assert self.controller is not None
        try:
            self.around.engine.attach(self, self.controller.epoch)
        except EngineError as wrong:
            self._deposed(wrong)
            return
        self._attached = True
        self.lifecycle.feed(Input.EPOCH_BEGUN)
        self.around.node_leads(self)
        self.gateway.open(self.controller)
        self._later(PRUNE_EVERY_MS, self._prune)
        self._ask_engine(frozenset(), 2)
        self._act()

    def _deposed(self, wrong: Exception) -> None:
        """Store or engine refused us: memory and deadlines go; the next epoch begins from what is durable."""
        assert self.controller is not None
        controller = self.controller
        self.lifecycle.feed(Input.DEPOSED)
        self.gateway.close(f"The scheduler does not lead now: {wrong}")
        self._drop()
        self.around.node_deposed(self, wrong)
        controller.end(Outcome.UNKNOWN if isinstance(wrong, OutcomeUnknown) else Outcome.REFUSED)
        self._later(RETRY_MS, self._lead)

    # --- the loop ---

    def wake(self) -> None:
        if not self._turning and self.appending is None:
            self._turning = True
            self._later(0, self._turn)

    def _turn(self) -> bool:
        """Deadlines and placement, then the commit of what was decided."""
        self._turning = False
        controller = self.controller
        if controller is None or self.appending is not None:
            return False
        more = controller.tick()
        entry = controller.next_entry(
            controller.epoch.to_bytes(8, "big") + controller.durable_offset.to_bytes(8, "big")
        )
        if entry is None:
            self._act()
            self._set_alarm()
        else:
            self.around.node_gathered(self, controller, entry)
            self._maybe_die(AFTER_DECIDE)
            self.appending = self.around.store.append(entry, lambda wrong: self._appended(entry, wrong))
            if self.trap is not None and self.trap.place == IN_FLIGHT:
                self._later(0, self._maybe_die, IN_FLIGHT)
        if more:
            self.wake()
        return True

    def _appended(self, entry: Entry, wrong: ChangelogError | None) -> None:
        try:
            self._settle(entry, wrong)
        except Died:
            return

    def _settle(self, entry: Entry, wrong: ChangelogError | None) -> None:
        self.appending = None
        if wrong is not None:
            self._deposed(wrong)
            return
        self._maybe_die(AFTER_APPEND)
        assert self.controller is not None
        self.controller.committed(entry.offset)
        self._maybe_die(AFTER_COMMIT)
        if self.lifecycle.stage is Stage.TAKING_OVER and not self._attached:
            self._begun()
        else:
            self._act()
        self.wake()

    def _set_alarm(self) -> None:
        assert self.controller is not None
        next_ms = self.controller.deadlines.next_ms()
        if next_ms is None:
            return
        due_ms = self.around.agenda.now_ms + max(0, next_ms - self.around.clock.mono_ms())
        if self._alarm_ms is None or due_ms < self._alarm_ms:
            self._alarm_ms = due_ms
            self.around.agenda.at(due_ms, self._if_alive, self.life, self._ring, due_ms)

    def _ring(self, due_ms: int) -> bool:
        if self._alarm_ms != due_ms:
            return False
        self._alarm_ms = None
        self.wake()
        return False

    def _prune(self) -> None:
        assert self.controller is not None
        for decision, jobs in pruning.steps(self.controller.state):
            self.controller.attempt(decision, jobs)
        self._later(PRUNE_EVERY_MS, self._prune)

    # --- the engine ---

    def _act(self) -> None:
        """Carry out what is decided and durable. Before the engine is attached it waits."""
        if not self._attached or self.controller is None:
            return
        for effect in self.controller.take_effects():
            self.around.node_acts(self, effect)
            if isinstance(effect, (Launch, Terminate)):
                self._maybe_die(BEFORE_EFFECT)
            self._perform(effect, self.controller.epoch)

    def _perform(self, effect: Effect, epoch: int) -> None:
        engine = self.around.engine
        if isinstance(effect, Launch):
            task = effect.task
            assert task.host is not None
            engine.launch(LaunchOrder(epoch, task.task_id, task.instance_id, task.config, task.host, task.ports))
        elif isinstance(effect, Terminate):
            engine.signal(effect.task_id, Signal.KILL if effect.hard else Signal.TERM, epoch=epoch, host=effect.host)
        elif isinstance(effect, Forget):
            engine.forget(effect.task_ids)
        elif isinstance(effect, Reconcile):
            self._ask_engine(frozenset(), 2)

    def _ask_engine(self, missing_before: frozenset[str], times: int) -> None:
        """Reconcile: what the engine has now, on the way to us behind the reports it sent before."""
        try:
            snapshot = self.around.engine.snapshot()
        except EngineError:
            self._later(RECONCILE_AGAIN_MS, self._ask_engine, frozenset(), 2)
            return
        if self.trap is not None and self.trap.place == RECONCILING:
            self._later(0, self._maybe_die, RECONCILING)
        self.around.engine.in_order(self._if_alive, self.life, self._told_all, snapshot, missing_before, times)

    def _told_all(self, snapshot: EngineSnapshot, missing_before: frozenset[str], times: int) -> None:
        assert self.controller is not None
        self.around.node_reconciles(self, snapshot.tasks)
        self.reported(snapshot.tasks)
        missing: list[str] = []
        statuses = {report.task_id: report.status for report in snapshot.tasks}
        by_status = self.controller.state.tasks.by_status
        wanted = [task_id for status in ASSIGNED_STATES for task_id in by_status[status]]
        self.controller.attempt(takeover.reconcile, wanted, statuses, snapshot.hosts, missing_before, missing)
        self.controller.attempt(takeover.end_unwanted, list(statuses.items()))
        if missing and times > 1:
            self._later(RECONCILE_AGAIN_MS, self._ask_engine, frozenset(missing), times - 1)

    def reported(self, reports: Sequence[TaskReport]) -> None:
        assert self.controller is not None
        rows = [(report.task_id, report.status, report.message, report.timestamp_ms) for report in reports]
        self.controller.attempt(takeover.take_reports, rows)

    def hosts_changed(self, hosts: Sequence[Host]) -> None:
        assert self.controller is not None
        self.controller.attempt(takeover.offer_hosts, hosts)
        self.controller.want_placement()
