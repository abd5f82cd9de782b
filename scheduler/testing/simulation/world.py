"""One run: the production core and controller, what surrounds them, what is done to them, and what is checked."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from random import Random
from typing import Final

from scheduler.contracts import Entry, TaskReport
from scheduler.core import invariants
from scheduler.core.effects import Effect, Say
from scheduler.core.ops import FORMAT_LEVEL
from scheduler.core.records import JobKey
from scheduler.core.transaction import World as CoreWorld
from scheduler.core.updates.plan import Plan, make_plan
from scheduler.core.updates.records import UpdateKey
from scheduler.testing.clock import VirtualClock
from scheduler.testing.simulation.agenda import Agenda
from scheduler.testing.simulation.broken import Broken
from scheduler.testing.simulation.catalog import JOBS
from scheduler.testing.simulation.chance import Chance, mix
from scheduler.testing.simulation.checks.answers import Answers
from scheduler.testing.simulation.checks.base import Check, Witness
from scheduler.testing.simulation.checks.causes import Causes
from scheduler.testing.simulation.checks.commits import Commits, Effects
from scheduler.testing.simulation.checks.cron import Cron
from scheduler.testing.simulation.checks.exits import Exits
from scheduler.testing.simulation.checks.gate import Gate, Silence
from scheduler.testing.simulation.checks.hosts import Hosts
from scheduler.testing.simulation.checks.maintenance import Maintenance
from scheduler.testing.simulation.checks.orders import Orders
from scheduler.testing.simulation.checks.poison import Poison
from scheduler.testing.simulation.checks.preemption import Preemption
from scheduler.testing.simulation.checks.replay import Replay
from scheduler.testing.simulation.checks.sla import Sla
from scheduler.testing.simulation.checks.takeover import TakeOver
from scheduler.testing.simulation.checks.told import Told
from scheduler.testing.simulation.checks.waits import Waits
from scheduler.testing.simulation.checks.words import Words
from scheduler.testing.simulation.clients import Callee, Clients, Request
from scheduler.testing.simulation.coverage import Coverage, row_name
from scheduler.testing.simulation.deeds import DEEDS
from scheduler.testing.simulation.engine import EngineTask, SimulatedEngine
from scheduler.testing.simulation.fleet import policy_of_run
from scheduler.testing.simulation.ledger import ENDED, Ledger, Moved, Removed, Turned
from scheduler.testing.simulation.monitors import Monitors
from scheduler.testing.simulation.node import IN_FLIGHT, Node
from scheduler.testing.simulation.poison import Fuse, poisoned
from scheduler.testing.simulation.script import Action
from scheduler.testing.simulation.store import Fault, Store
from scheduler.testing.simulation.trace import Trace
from scheduler.testing.simulation.watched import Decision, WatchedController

SWEEP_EVERY: Final = 50


class World:
    """See the module. Everything is made from the seed and from the actions `do` is given."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.schedulers = 1
        self.policy = policy_of_run(seed)
        self.clock = VirtualClock(1_700_000_000_000)
        self.agenda = Agenda(self.clock)
        self.trace = Trace()
        self.coverage = self._make_coverage()
        chance = Chance(seed)
        self.store = Store(self.agenda, chance, self._durable, self._log_failed)
        self.engine = SimulatedEngine(self.agenda, chance, self._launched)
        self.durable = Ledger()
        self.poisons: dict[UpdateKey, Fuse] = {}
        self.steps = 0
        self.restarts = 0
        self.restarted_at_step = 0
        self.last_decision: Decision | None = None
        self.witness: Witness | None = None
        self._worked = False
        self._touched: set[JobKey] = set()
        self._sweep_due = SWEEP_EVERY
        self._ids = count(1)
        self._orders = Orders(self)
        self.broken: Broken | None = None
        """What a check said while somebody else would have caught it."""
        kinds = (
            Words,
            Gate,
            Silence,
            Causes,
            Commits,
            Effects,
            Exits,
            TakeOver,
            Replay,
            Answers,
            Poison,
            Waits,
            Hosts,
            Told,
            Cron,
            Maintenance,
            Preemption,
            Sla,
        )
        self.checks: list[Check] = [*(kind(self) for kind in kinds), self._orders]
        self.clients = self._make_clients(chance)
        self._make_schedulers(chance)
        self.monitors = Monitors(self.agenda, self.clients, self.engine, self.node)
        for number, job in enumerate(JOBS):
            self.monitors.add(number, job)
        self.boot()

    def _make_coverage(self) -> Coverage:
        return Coverage()

    def _make_clients(self, chance: Chance) -> Clients:
        return Clients(self, lambda: self.last_decision)

    def _make_schedulers(self, chance: Chance) -> None:
        self._node = Node("scheduler-1", self)

    @property
    def node(self) -> Node:
        """The scheduler that clients take for the leader."""
        return self._node

    def boot(self) -> None:
        self.node.boot()

    # --- turning ---

    def advance_to(self, at_ms: int) -> None:
        """Everything that happens until then."""
        while True:
            next_ms = self.agenda.next_ms()
            if next_ms is None or next_ms > at_ms:
                break
            self.turn()
        self.clock.advance(max(0, at_ms - self.agenda.now_ms))

    def turn(self) -> None:
        self.agenda.turn()
        if self.broken is not None:
            raise self.broken
        self._after_step()

    def do(self, action: Action) -> None:
        self.advance_to(action.at_ms)
        self.trace.tell(self.agenda.now_ms, f"-- {action.do} {action.args}")
        self.deed(action.do)(self, **action.args)
        self._after_step()

    def deed(self, name: str) -> Callable[..., None]:
        """What a script calls by this name."""
        return DEEDS[name]

    def _after_step(self) -> None:
        """Check what the step touched; everything now and then, when nothing is on its way."""
        if not self._worked:
            return
        self._worked = False
        self.steps += 1
        witness = self.witness
        if witness is None:
            self._touched.clear()
            return
        if self._touched:
            self._must_hold(invariants.broken(witness.controller.state, self._touched))
            self._touched.clear()
        if self.steps >= self._sweep_due and self.is_quiet():
            self.sweep()

    def is_quiet(self) -> bool:
        """Everything decided is durable and carried out, and somebody leads."""
        node = self.node
        if self.witness is None or not self.witness.leads or node.controller is None:
            return False
        return node.is_idle and node.controller.decided_offset == node.controller.durable_offset

    def sweep(self) -> None:
        assert self.witness is not None
        self._sweep_due = self.steps + SWEEP_EVERY
        self._must_hold(invariants.broken(self.witness.controller.state))
        for check in self.checks:
            check.swept(self.witness)

    def _must_hold(self, wrong: list[str]) -> None:
        if wrong:
            raise Broken("state", "; ".join(sorted(wrong)[:3]))

    # --- what scripts need ---

    def update_of(self, job: int, which: str) -> UpdateKey:
        """The key of an update of the job, as somebody who has looked would know it."""
        rows = [row for row in self.durable.updates.values() if row.key.job == JOBS[job]]
        active = [row.key for row in rows if row.status not in ENDED]
        ended = [row.key for row in rows if row.status in ENDED]
        chosen = {"active": active or ended, "ended": ended}.get(which, [])
        return chosen[-1] if chosen else UpdateKey(JOBS[job], "unknown")

    def spread_poison(self, key: UpdateKey, plan: Plan) -> None:
        assert self.node.controller is not None
        self.node.controller.state.updates.plans[key] = poisoned(plan, self.poisons[key])

    # --- what the scheduler does (Surroundings) ---

    def core_world(self, node: Node) -> CoreWorld:
        random = Random(mix(self.seed, node.life))
        return CoreWorld(self.policy, node.name, lambda: f"id-{next(self._ids)}", random.random)

    def node_loaded(self, node: Node, controller: WatchedController) -> None:
        self._worked = True
        self.witness = Witness(controller, self.durable.copy())
        for check in self.checks:
            check.loaded(self.witness)
        for key in self.poisons:
            update = controller.state.updates.get(key)
            if update is not None and update.status not in ENDED:
                self.spread_poison(key, make_plan(update.instructions))

    def node_leads(self, node: Node) -> None:
        assert self.witness is not None
        self.witness.leads = True
        self.trace.tell(self.agenda.now_ms, "leads")

    def node_decided(self, node: Node, controller: WatchedController, decision: Decision) -> None:
        witness = self.witness
        assert witness is not None
        self._worked = True
        self.last_decision = decision
        for check in self.checks:
            check.deciding(witness, decision)
        for op in decision.ops:
            change = witness.ledger.fold(op)
            if change is None:
                continue
            for check in self.checks:
                check.changed(witness, decision, op, change)
            if isinstance(change, Moved):
                self._touched.add(change.task.job)
                self.coverage.note("task", row_name(change.old, change.task.status))
            elif isinstance(change, Turned):
                self._touched.add(change.update.key.job)
                self.coverage.note("update", row_name(change.old, change.update.status))
                if change.update.status in ENDED:
                    self.coverage.note("update ends", change.update.status.name)
            elif isinstance(change, Removed):
                for task in change.tasks:
                    gone_how = "KILLING" if task.status.name in ("PENDING", "THROTTLED") else "(gone)"
                    self.coverage.note("task", f"{task.status.name} -> {gone_how}")
        for check in self.checks:
            check.decided(witness, decision)

    def node_gathered(self, node: Node, controller: WatchedController, entry: Entry) -> None:
        self._worked = True
        assert self.witness is not None
        for check in self.checks:
            check.gathered(self.witness, entry)

    def node_acts(self, node: Node, effect: Effect) -> None:
        if isinstance(effect, Say):
            return
        self._worked = True
        assert self.witness is not None
        for check in self.checks:
            check.acts(self.witness, effect)
        self.trace.acts(self.agenda.now_ms, effect)

    def node_reconciles(self, node: Node, present: tuple[TaskReport, ...]) -> None:
        assert self.witness is not None
        for check in self.checks:
            check.reconciles(self.witness, present)

    def node_died(self, node: Node, place: str, *, within_commit: bool, kept: bool) -> None:
        self._worked = True
        self.witness = None
        what = f"{place}, {'kept' if kept else 'lost'}" if place == IN_FLIGHT else place
        self.trace.tell(self.agenda.now_ms, f"the scheduler dies: {what}")
        self.coverage.note("fault", f"died {what}")
        inside = within_commit or place in (IN_FLIGHT, "after-decide", "after-append", "after-commit")
        self.coverage.note("restart", "inside a commit" if inside else "between commits")
        self.restarts += 1
        self.restarted_at_step = self.steps
        self.clients.cut_off(node)

    def node_deposed(self, node: Node, wrong: Exception) -> None:
        self._worked = True
        self.witness = None
        self.trace.tell(self.agenda.now_ms, f"the scheduler leads no longer: {wrong}")

    def format_level_of(self, epoch: int) -> int:
        """What every scheduler could read in this epoch."""
        return FORMAT_LEVEL

    def witness_of(self, node: Callee) -> Witness | None:
        return self.witness

    def heal(self) -> None:
        """No fault of schedulers or of their store from here on."""
        self.store.slow_until_ms = 0
        self.store.next_fault = None
        self.node.trap = None

    def end(self) -> None:
        """The run is over."""

    # --- what else happens ---

    def _durable(self, entry: Entry) -> None:
        self._worked = True
        for op in entry.ops:
            self.durable.fold(op)
        for check in self.checks:
            check.durable(entry)
        self.trace.durable(self.agenda.now_ms, entry)

    def _log_failed(self, fault: Fault) -> None:
        self.coverage.note("fault", f"log {fault.value}")

    def _launched(self, task: EngineTask) -> None:
        self._orders.launched(task)

    def request_made(self, node: Callee, request: Request) -> None:
        for check in self.checks:
            check.asked(self.witness_of(node), request)

    def request_over(self, request: Request) -> None:
        self.coverage.note("call", request.fate.value)
        for check in self.checks:
            check.answered(request)
        self.trace.answered(self.agenda.now_ms, request)

    def request_raised(self, request: Request, failure: Exception) -> None:
        raise Broken("requests do not raise", f"{request.what} {request.args} raised {failure!r}") from failure
