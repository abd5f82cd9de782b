"""A run with several schedulers: the same callers, engine and checks as with one, over a pretended ZooKeeper."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from scheduler.changelog.errors import FormatTooNew
from scheduler.contracts import Entry, TaskReport
from scheduler.core.effects import Effect, Say
from scheduler.core.ops import FORMAT_LEVEL, EpochBegun, Op
from scheduler.core.state import dump
from scheduler.core.transaction import World as CoreWorld
from scheduler.failpoints import disarm
from scheduler.leadership.term import Term
from scheduler.testing.simulation.broken import Broken
from scheduler.testing.simulation.chance import Chance, mix
from scheduler.testing.simulation.checks.base import Witness
from scheduler.testing.simulation.checks.replay import difference
from scheduler.testing.simulation.clients import Ask, Callee, Clients, Request
from scheduler.testing.simulation.coverage import Coverage
from scheduler.testing.simulation.several.coverage import SeveralCoverage
from scheduler.testing.simulation.several.deeds import SEVERAL
from scheduler.testing.simulation.several.log import LogWatch
from scheduler.testing.simulation.several.machine import Machine
from scheduler.testing.simulation.several.process import Process
from scheduler.testing.simulation.watched import Decision, WatchedController
from scheduler.testing.simulation.world import World
from scheduler.testing.simulation.zookeeper.ensemble import Ensemble

if TYPE_CHECKING:
    from scheduler.testing.simulation.node import Node

_ROUTE: Final = 501
_JUST_NOW_MS: Final = 3_000
_TURNS_AT_ONCE: Final = 20_000
_IN_MEMORY: Final = Path("/dev/shm")


class Callers(Clients):
    """They speak to whom they take for the leader: mostly rightly, sometimes to a standby or to the last leader."""

    world: SeveralWorld

    def _choose(self, node: Callee, request: Request) -> Callee:
        return self.world.route(request.number)

    def _put(self, node: Callee, request: Request, ask: Ask) -> None:
        """A frozen process hears of it when it wakes; until then the caller waits."""
        assert isinstance(node, Machine)
        process = node.process
        if process is not None and process.loop.is_frozen:
            self._waiting[request.number] = node, request
            process.loop.call_soon(self._put_late, process, node, request, ask)
        else:
            super()._put(node, request, ask)

    def _put_late(self, process: Process, node: Machine, request: Request, ask: Ask) -> None:
        if not process.is_dead and node.process is process and self._waiting.pop(request.number, None) is not None:
            super()._put(node, request, ask)


class SeveralWorld(World):
    """See the module. The checks look at the newest leader; all others may neither decide nor answer nor act."""

    machines: list[Machine]
    ensemble: Ensemble

    def __init__(self, seed: int, schedulers: int) -> None:
        self.newest: Machine | None = None
        self.before_newest: Machine | None = None
        self.log = LogWatch(self)
        self._disks = TemporaryDirectory(prefix="simulate-", dir=_IN_MEMORY if _IN_MEMORY.is_dir() else None)
        self.expired: set[int] = set()
        """Sessions that were ended though their owners were well: their leases may outlast them."""
        self._format_levels: dict[int, int] = {}
        """By epoch, as its leader has found it out."""
        self.armed: set[str] = set()
        """Failpoints at which something is to happen, as long as they were not reached."""
        self._turns_now = 0
        self._standby_looked_at = 0
        self._folded: tuple[int, tuple[Op, ...]] = (0, ())
        self._count = schedulers
        super().__init__(seed)
        self.schedulers = schedulers

    def _make_coverage(self) -> Coverage:
        return SeveralCoverage()

    def _make_clients(self, chance: Chance) -> Clients:
        self._chance = chance
        made = Callers(self, lambda: self.last_decision)
        made.world = self
        return made

    def _make_schedulers(self, chance: Chance) -> None:
        self.ensemble = Ensemble(self.agenda, chance, self.log.committed)
        self.machines = [Machine(number, self, chance) for number in range(self._count)]

    def boot(self) -> None:
        for machine in self.machines:
            self.agenda.after(machine.number * 40, machine.boot)

    @property
    def node(self) -> Node:
        return self.newest or self.machines[0]  # type: ignore[return-value]

    def route(self, number: int) -> Machine:
        draw = self._chance.between(0, 99, _ROUTE, number)
        if draw < 6:
            return self.machines[draw % len(self.machines)]
        if draw < 14 and self.before_newest is not None:
            return self.before_newest
        return self.newest or self.machines[number % len(self.machines)]

    def fold(self, offset: int) -> tuple[Op, ...] | None:
        """The durable state, if it is at this offset."""
        if offset != self.store.durable:
            return None
        if self._folded[0] != offset:
            self._folded = offset, tuple(dump(self.store.mirror))
        return self._folded[1]

    def folder_of(self, number: int) -> Path:
        """The disk of a machine, of which only bases are real."""
        folder = Path(self._disks.name) / str(number)
        folder.mkdir()
        return folder

    def deed(self, name: str) -> Callable[..., None]:
        return SEVERAL.get(name) or super().deed(name)

    def turn(self) -> None:
        now_ms = self.agenda.now_ms
        super().turn()
        self._turns_now = self._turns_now + 1 if self.agenda.now_ms == now_ms else 0
        if self._turns_now >= _TURNS_AT_ONCE:
            busy = [machine.name for machine in self.machines if machine.process is not None]
            raise Broken("time goes on", f"{_TURNS_AT_ONCE} turns at one instant: {'; '.join(busy)}")

    # --- what must not happen ---

    def fail(self, broken: Broken) -> None:
        """Also where somebody would catch it."""
        if self.broken is None:
            self.broken = broken

    def fail_with(self, raised: Exception) -> None:
        if isinstance(raised, Broken):
            self.fail(raised)
        else:
            broken = Broken(f"raised {type(raised).__name__}", repr(raised))
            broken.__cause__ = raised
            self.fail(broken)

    def guarded(self, what: Any, *args: Any) -> None:
        try:
            what(*args)
        except Broken as broken:
            self.fail(broken)
            raise

    # --- what schedulers do ---

    def core_world_of(self, machine: Machine, term: Term) -> CoreWorld:
        random = Random(mix(self.seed, machine.number, machine.life, self.store.epoch))
        self._format_levels[term.epoch] = term.format_level
        return CoreWorld(self.policy, machine.name, lambda: f"id-{next(self._ids)}", random.random, term.format_level)

    def is_excused(self, process: Process) -> bool:
        """Its session was ended by force, which no lease can know of before it is told."""
        return process.session_id in self.expired

    def is_newest(self, process: Process) -> bool:
        return self.newest is not None and self.newest.process is process

    def process_loaded(self, process: Process, controller: WatchedController) -> None:
        if self.newest is not process.machine:
            self.before_newest = self.newest
        self.newest = process.machine
        self.guarded(self.node_loaded, process.machine, controller)

    def process_leads(self, process: Process) -> None:
        if self.is_newest(process) and self.witness is not None:
            self.witness.leads = True
            self.trace.tell(self.agenda.now_ms, f"{process.machine.name} leads")

    def process_advertised(self, process: Process) -> None:
        self.trace.tell(self.agenda.now_ms, f"{process.machine.name} is advertised")

    def process_decided(self, process: Process, controller: WatchedController, decision: Decision) -> None:
        if process.is_dead:
            return
        where = f"{process.machine.name} of epoch {controller.epoch}: {decision.name}"
        if not self.is_newest(process) and not self.is_excused(process):
            self.fail(Broken("one leader", f"{where}, and epoch {self.store.epoch} has begun"))
        if decision.name != "begin_epoch" and not process.permission.is_valid:
            self.fail(Broken("suspended decides nothing", where))
        if self.witness is not None and self.witness.controller is controller:
            self.guarded(self.node_decided, process.machine, controller, decision)

    def process_gathered(self, process: Process, controller: WatchedController, entry: Entry) -> None:
        if process.is_dead:
            return
        self.log.given[entry.uuid] = entry
        if self.witness is not None and self.witness.controller is controller:
            self.guarded(self.node_gathered, process.machine, controller, entry)

    def process_acts(self, process: Process, effect: Effect) -> None:
        if isinstance(effect, Say):
            return
        what = type(effect).__name__
        if not self.is_newest(process) or self.witness is None:
            if self.is_excused(process):
                return
            self.fail(Broken("a deposed leader does nothing", f"{process.machine.name}: {what}"))
        elif not process.permission.is_valid:
            self.fail(Broken("suspended does nothing", f"{process.machine.name}: {what}"))
        else:
            self.guarded(self.node_acts, process.machine, effect)

    def process_reconciles(self, process: Process, present: tuple[TaskReport, ...]) -> None:
        if self.is_newest(process) and self.witness is not None:
            self.guarded(self.node_reconciles, process.machine, present)

    def process_deposed(self, process: Process, why: str) -> None:
        self._worked = True
        if self.is_newest(process):
            self.witness = None
        elif self.agenda.now_ms - process.machine.woke_ms < _JUST_NOW_MS:
            self.coverage.note("met", "a leader that hears of its end on waking")
        self.trace.tell(self.agenda.now_ms, f"{process.machine.name} leads no longer")

    def process_died(self, process: Process, place: str) -> None:
        self._worked = True
        if self.is_newest(process):
            self.witness = None
        role = process.lifecycle.stage.value
        self.trace.tell(self.agenda.now_ms, f"{process.machine.name} ({role}) is killed: {place}")
        self.coverage.note("fault", f"killed, {place}")
        self.coverage.note("killed while", role)
        self.clients.cut_off(process.machine)

    def process_froze(self, process: Process, place: str, for_ms: int) -> None:
        self.trace.tell(self.agenda.now_ms, f"{process.machine.name} is frozen for {for_ms} ms: {place}")
        self.coverage.note("fault", f"frozen, {place}")

    def process_exited(self, process: Process, why: str) -> None:
        self.trace.tell(self.agenda.now_ms, f"{process.machine.name} ends: {why}")
        self.clients.cut_off(process.machine)

    def process_is_too_old(self, process: Process, wrong: FormatTooNew) -> None:
        """It met an entry above the format level it reads."""
        if process.level == FORMAT_LEVEL:
            self.fail(Broken("the log can be read", f"{process.machine.name}: {wrong}"))
        self.coverage.note("met", "an older scheduler stops at an entry that it cannot read")

    def fenced_order(self, process: Process) -> None:
        self.coverage.note("met", "an order that the engine refused")
        self.trace.tell(self.agenda.now_ms, f"an order of {process.machine.name} is refused by the engine")

    # --- the log ---

    def appended(self, entry: Entry, as_read: Entry) -> None:
        """It is in the log. `as_read`: as somebody reads it who did not write it."""
        if isinstance(entry.ops[0], EpochBegun):
            self.restarts += entry.epoch > 1
            self.restarted_at_step = self.steps
        self.guarded(self.store.take, entry, as_read)

    def claimed(self, session: int) -> None:
        """An epoch, by this session. From here on nobody else may believe that it leads."""
        for machine in self.machines:
            process = machine.process
            if process is None or process.controller_now is None or process.shared is None:
                continue
            ours = process.session_id == session or self.is_excused(process)
            if not ours and process.permission.is_valid and not process.loop.is_frozen:
                self.fail(Broken("one leader", f"an epoch is claimed while the lease of {machine.name} holds"))

    # --- checking ---

    def request_made(self, node: Callee, request: Request) -> None:
        assert isinstance(node, Machine)
        excused = node.process is not None and self.is_excused(node.process)
        if node is self.newest or not excused:
            self.guarded(super().request_made, node, request)

    def request_over(self, request: Request) -> None:
        self.guarded(super().request_over, request)

    def request_raised(self, request: Request, failure: Exception) -> None:
        self.guarded(super().request_raised, request, failure)

    def format_level_of(self, epoch: int) -> int:
        return self._format_levels[epoch]

    def witness_of(self, node: Callee) -> Witness | None:
        return self.witness if node is self.newest else None

    def is_quiet(self) -> bool:
        newest = self.newest
        if self.witness is None or not self.witness.leads or newest is None or newest.process is None:
            return False
        return newest.process.is_idle and not newest.is_frozen

    def sweep(self) -> None:
        super().sweep()
        self._standby_looked_at += 1
        machine = self.machines[self._standby_looked_at % len(self.machines)]
        process = machine.process
        if machine is self.newest or process is None or process.shared is None or process.controller_now is not None:
            return
        if process.shared.follower is not None and process.shared.changelog.offset == self.store.durable:
            self.coverage.note("met", "a standby compared with the log")
            wrong = difference(self.store.mirror, process.read.state)
            if wrong:
                raise Broken("standbys follow", f"{machine.name}: {wrong}")

    def end(self) -> None:
        disarm()
        for machine in self.machines:
            for process in (*machine.graves, machine.process):
                if process is not None:
                    process.is_dead = True
                    process.loop.bury()
        self._disks.cleanup()

    def heal(self) -> None:
        disarm()
        for machine in self.machines:
            machine.network.set_cut(set())
            machine.network.next_cut = machine.network.then = None
            machine.thaw()
            if machine.level < FORMAT_LEVEL:
                machine.install(FORMAT_LEVEL, 0)
            machine.boot()
        for server in self.ensemble.servers:
            server.lag_ms = 0
            if not server.is_linked:
                self.ensemble.heal(server)
