"""One scheduler process on one machine: production code from the session up, in surroundings that are pretended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from scheduler.changelog.errors import FormatTooNew, Unreadable
from scheduler.changelog.zookeeper import ZooKeeperChangelog
from scheduler.changelog.zookeeper_reading import Truncated
from scheduler.contracts import ALWAYS, Changelog, Entry, Outcome, Permission, TaskReport
from scheduler.controller.controller import Controller
from scheduler.controller.gateway import Gateway
from scheduler.core.effects import AskCoordinator, Effect
from scheduler.core.ops import Op
from scheduler.core.state import State, apply
from scheduler.failpoints import Failpoint, arm, disarm
from scheduler.leadership.driver import Driver
from scheduler.leadership.leading import CannotLead, Leading
from scheduler.leadership.shared import Ensemble as Members, Shared
from scheduler.leadership.sweeping import Sweeping
from scheduler.leadership.term import Term
from scheduler.lifecycle import Input, Lifecycle, Stage
from scheduler.testing.simulation.broken import Broken
from scheduler.testing.simulation.loop import SimulatedLoop
from scheduler.testing.simulation.several.disk import MemoryCheckpoint
from scheduler.testing.simulation.several.door import Door
from scheduler.testing.simulation.several.log import LAYOUT, LOG_ROOT, SERVERSET
from scheduler.testing.simulation.watched import WatchedController
from scheduler.zk.client import Client, Condition
from scheduler.zk.serverset import Endpoint

if TYPE_CHECKING:
    from scheduler.testing.simulation.several.machine import Machine
    from scheduler.testing.simulation.several.world import SeveralWorld

SESSION_MS: Final = 4_000
TOO_OLD_AGAIN_MS: Final = 15_000
"""A supervisor waits longer for what ends again and again."""
PRUNE_EVERY_S: Final = 30
ACTING: Final = ("after-decide", "before-append", "after-append", "after-commit", "before-effect")
KEEPING: Final = (
    *("entry-part", "fold-before-swap", "fold-after-swap"),
    *("snapshot-part", "before-snapshot-pointer", "after-snapshot-pointer"),
    *("before-truncate", "truncating", "after-truncate"),
)
READING: Final = "follow-before-apply"
DEATHS: Final = (*ACTING, *KEEPING)
"""Failpoints of the production code at which a leader is killed or frozen."""


class Died(BaseException):
    """The process ended here. Nothing in production catches it."""


@frozen
class _There(Members):
    process: Process = field(kw_only=True)

    def client(self) -> Client:
        wire = self.process.machine.network.wire
        return _WatchedClient(self.process, self.endpoints, session_timeout_ms=self.session_timeout_ms, wire=wire)

    def changelog(self, client: Client, data_dir: Path | None, cluster: str) -> ZooKeeperChangelog:
        return _WatchedLog(self.process, client)


class _WatchedLog(ZooKeeperChangelog):
    def __init__(self, process: Process, client: Client) -> None:
        super().__init__(client, LAYOUT)
        self.checkpoint = MemoryCheckpoint(process.machine.disk, process.level)
        self.level = process.level
        self._process = process

    async def follow(
        self, apply: Callable[[Op], None], upto: int | None = None, *, watch: Callable[[], None] | None = None
    ) -> int:
        begun = self.offset
        try:
            return await super().follow(apply, upto, watch=watch)
        except Truncated:
            how = "was cut meanwhile" if self.offset == begun else "is cut while it is read"
            self._process.world.coverage.note("met", f"the log {how}")
            raise


class _WatchedClient(Client):
    """Without a connection a request is refused at once; it never waits for one."""

    def __init__(self, process: Process, hosts: str, **more: Any) -> None:
        super().__init__(hosts, **more)
        self._process = process

    def _send(self, request: Any, read: Callable[[Any], Any], size: int = 0) -> asyncio.Future[Any]:
        condition = self.condition
        asked = super()._send(request, read, size)
        if condition is not Condition.CONNECTED and not asked.done():
            what = f"{type(request).__name__} of {self._process.machine.name} waits while {condition.value}"
            self._process.world.fail(Broken("nothing is queued", what))
        return asked


class _Read:
    """Implements `leadership.reader.Reader`."""

    def __init__(self) -> None:
        self.state = State()

    def begin(self, lineage: str) -> Callable[[Op], None]:
        state = self.state = State()
        return lambda op: apply(state, op)

    def passed(self, entry: Entry) -> None:
        """Nobody else follows."""

    def caught_up(self, offset: int) -> None: ...


class _WatchedLifecycle(Lifecycle):
    def __init__(self, process: Process) -> None:
        super().__init__()
        self._process = process

    def feed(self, what: Input) -> bool:
        before = self.stage
        changed = super().feed(what)
        if changed:
            self._process.turned(before, what)
        return changed


class _WatchedGateway(Gateway):
    def __init__(self, process: Process) -> None:
        super().__init__()
        self._process = process

    def open(self, controller: Controller, permission: Permission = ALWAYS) -> None:
        super().open(controller, permission)
        self._process.opened()


class _WatchedChangelog:
    def __init__(self, process: Process, inner: Changelog) -> None:
        self._process = process
        self._inner = inner

    async def append(self, entry: Entry) -> None:
        self._process.gathered(entry)
        await self._inner.append(entry)


class _NoCoordinators:
    """No job of a run has a coordinator."""

    def ask(self, question: AskCoordinator) -> None:
        raise AssertionError(question)

    async def stop(self) -> None: ...


class _Pruning:
    def __init__(self, process: Process, driver: Driver) -> None:
        self._process = process
        self._loop = process.loop
        self._driver = driver
        self._sweeping = Sweeping(driver)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._timer = self._loop.call_later(PRUNE_EVERY_S, self._prune)

    def _prune(self) -> None:
        if self._driver is not self._process.driver:
            self._process.world.fail(Broken("no timer outlives a term", f"{self._process.machine.name} prunes"))
        self._sweeping.begin()
        self.start()

    def stop(self) -> None:
        self._sweeping.stop()
        if self._timer is not None:
            self._timer.cancel()


class Process:
    """Implements `leadership.leading.House`, and is what callers call."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.level = machine.level
        """The newest format level that it reads."""
        self.world: SeveralWorld = machine.world
        self.loop = SimulatedLoop(self.world.agenda, self._failed)  # type: ignore[abstract]
        self.gateway: Gateway = _WatchedGateway(self)
        self.lifecycle: Lifecycle = _WatchedLifecycle(self)
        self.controller_now: WatchedController | None = None
        self.permission: Permission = ALWAYS
        self.driver: Driver | None = None
        self.read = _Read()
        self.shared: Shared | None = None
        self.stopping = asyncio.Event()
        self.is_dead = False
        self._asleep: list[tuple[Callable[..., object], tuple[Any, ...]]] = []

    # --- life ---

    def start(self) -> None:
        self.loop.create_task(self._run())

    async def _run(self) -> None:
        leading = Leading(self, self.stopping, is_alone=False)
        try:
            await leading.until_stopped(await leading.join())
            self.machine.exited(self, "stopped")
        except CannotLead as wrong:
            self.machine.exited(self, str(wrong))
        except FormatTooNew as wrong:
            self.world.process_is_too_old(self, wrong)
            self.machine.exited(self, "too old", TOO_OLD_AGAIN_MS)
        except Unreadable as wrong:
            self.world.fail(Broken("the log can be read", f"{self.machine.name}: {wrong}"))
        except Exception as raised:
            if not self.is_dead:
                self.world.fail_with(raised)

    def _failed(self, error: BaseException) -> None:
        if not self.is_dead and isinstance(error, Exception):
            self.world.fail_with(error)

    def kill(self) -> None:
        self.is_dead = True
        self.loop.kill()
        self.controller_now = None

    def when_awake(self, deed: Callable[..., object], *args: Any) -> None:
        if self.loop.is_frozen:
            self._asleep.append((deed, args))
        else:
            deed(*args)

    def wake(self) -> None:
        asleep, self._asleep = self._asleep, []
        for deed, args in asleep:
            self.world.agenda.after(0, deed, *args)

    # --- what leading asks for ---

    def join(self) -> Shared:
        there = _There("pretended", SERVERSET, LOG_ROOT, SESSION_MS, process=self)
        own = Endpoint(self.machine.name, 8081)
        self.shared = Shared(there, None, "east", self.read, lambda: own)
        return self.shared

    def controller(self, term: Term) -> Controller:
        term.changelog = _WatchedChangelog(self, term.changelog)
        made = WatchedController(
            term.state,
            self.world.core_world_of(self.machine, term),
            self.machine.clock,
            epoch=term.epoch,
            offset=term.offset,
            shown_to=lambda decision: self.world.process_decided(self, made, decision),
        )
        self.controller_now, self.permission = made, term.permission
        self.world.process_loaded(self, made)
        return made

    def engine(self, on_fenced: Callable[[int], None]) -> Door:
        return Door(self, on_fenced)

    def periodic(self, driver: Driver) -> _Pruning:
        self.driver = driver
        return _Pruning(self, driver)

    def coordinators(self, driver: Driver) -> _NoCoordinators:
        return _NoCoordinators()

    def committed(self, entry: Entry) -> None:
        """Seen where it happens: at the ensemble."""

    def begun(self, term: Term) -> None: ...

    def leads(self, term: Term) -> None:
        if not self.is_dead:
            self.world.process_advertised(self)

    def closing(self, why: str) -> None: ...

    def closed(self, why: str) -> None:
        self.driver = None
        if self.controller_now is not None and not self.is_dead:
            self.world.process_deposed(self, why)
        self.controller_now = None

    def hang_up(self) -> None: ...

    # --- what it is seen to do ---

    @property
    def session_id(self) -> int:
        wires = self.machine.network.wires
        return wires[-1].session_id if wires else 0

    @property
    def is_idle(self) -> bool:
        """It leads, and has nothing to decide, to append or to carry out."""
        made = self.controller_now
        return (
            made is not None
            and self.driver is not None
            and self.lifecycle.stage is Stage.LEADING
            and self.driver.in_flight is not Outcome.UNKNOWN
            and made.decided_offset == made.durable_offset
            and made.owes_nothing
        )

    def turned(self, before: Stage, what: Input) -> None:
        if not self.is_dead:
            self.world.coverage.note("lifecycle", f"{before.value}, {what.value}")

    def opened(self) -> None:
        if not self.is_dead:
            self.world.process_leads(self)

    def gathered(self, entry: Entry) -> None:
        assert self.controller_now is not None
        self.world.process_gathered(self, self.controller_now, entry)

    def reconciles(self, present: tuple[TaskReport, ...]) -> None:
        if self.controller_now is not None:
            self.world.process_reconciles(self, present)

    @property
    def taken(self) -> list[Effect]:
        return [] if self.controller_now is None else self.controller_now.taken

    def acts(self, effect: Effect) -> None:
        if not self.is_dead:
            self.world.process_acts(self, effect)


def at_failpoint(process: Process, place: str, nth: int, then: Callable[[], None]) -> None:
    """When this process comes by, and only then."""

    def reached() -> None:
        if asyncio._get_running_loop() is process.loop:
            disarm(place)
            process.world.armed.discard(place)
            then()

    process.world.armed.add(place)
    arm(Failpoint(place, reached, nth))
