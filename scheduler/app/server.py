"""The composition root: the only module that knows every other. One `Server` is one `thesan serve`.

Start: take the data folder, open the ports (every request is told to try again), then take part: `leadership.leading`
leads whenever this scheduler is elected, which one alone always is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable

from scheduler.app.archive import LOOK_EVERY_S, Archive
from scheduler.app.edge import Edge
from scheduler.app.engines import make_engine, make_policy
from scheduler.app.members import Members
from scheduler.app.observers import tell
from scheduler.app.ports import CannotStart
from scheduler.app.status import Status
from scheduler.changelog.errors import DataDirRefused, Unreadable
from scheduler.changelog.gc_policy import quiet_moment
from scheduler.contracts import Engine, Entry
from scheduler.controller.controller import Controller
from scheduler.controller.gateway import Copy, Gateway
from scheduler.coordinators.asking import FIGURES, Coordinators
from scheduler.core.sla.figures import Category
from scheduler.core.transaction import World
from scheduler.leadership.driver import Driver
from scheduler.leadership.leading import CannotLead, Leading
from scheduler.leadership.sweeping import Sweeping
from scheduler.leadership.term import Membership, Term
from scheduler.lifecycle import Lifecycle
from scheduler.rpc.simple_json import simple
from scheduler.rpc.to_thrift.tasks import scheduled_task
from scheduler.settings import Settings
from scheduler.stream.reader import Stream
from scheduler.telemetry.mistakes import Mistakes
from scheduler.telemetry.sla import Sla
from scheduler.telemetry.tally import Tally
from scheduler.timers import Timers
from scheduler.web.pages.process import Ending
from scheduler.zk.serverset import Endpoint

LOG = logging.getLogger("thesan")

QUIET_MOMENT_EVERY_S = 300


class SystemClock:
    """The two clocks of this machine. The second counts on while the machine sleeps, as a lease must."""

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def mono_ms(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


class Server:
    """One scheduler: alone with its own store, or one of several with theirs in ZooKeeper."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.clock = SystemClock()
        self._policy = make_policy(settings)
        self.gateway = Gateway()
        self.lifecycle = Lifecycle()
        self.status = Status(settings.cluster_name, self.clock.wall_ms(), self.gateway, self.lifecycle)
        self.stream = Stream()
        self._stop = asyncio.Event()
        self.members = Members(settings, self.stream, self.lifecycle)
        self.archive = Archive(
            settings.backup_dir or settings.data_dir / "backups",
            settings.cluster_name,
            interval_ms=settings.backup_interval_ms,
            keep=settings.max_saved_backups,
        )
        self.edge = Edge(
            settings, self.gateway, self.status, self.stream, self.archive, self.members.leader, self._ending()
        )
        self.status.add(self.members.metrics)
        self.status.instance_id = lambda: self.members.instance_id
        reading = self.members.reading
        self.status.read = lambda: (reading.lineage, reading.offset)
        self.gateway.standing_by = self.members.standing_by
        if settings.serve_stale_reads_ms:
            self.gateway.copy = Copy(
                lambda: reading.state, self._policy, self.members.age_ms, settings.serve_stale_reads_ms
            )
        self.tally = Tally()
        self.status.add(self.tally.figures)
        self._mistakes = Mistakes()
        self.status.add(lambda: {"uncaught_exceptions": self._mistakes.count})
        self._driver: Driver | None = None
        """That of the last term; it counts how often engine and state were compared."""
        self.status.add(self._of_driver)
        self._sweeping: Sweeping | None = None
        """That of the last term, too."""
        self._asked: Counter[str] = Counter()
        """Of coordinators."""
        self._sla = Sla(
            [Category[name] for name in settings.sla_prod_metrics],
            [Category[name] for name in settings.sla_non_prod_metrics],
            interval_ms=settings.sla_stat_refresh_interval_ms,
        )
        self.status.add(self._sla.figures)
        self.status.add(lambda: {f"sla_coordinator_{name}": self._asked[name] for name in FIGURES})

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises CannotStart."""
        logging.getLogger().addHandler(self._mistakes)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        leading = Leading(self, self._stop, is_alone=self.settings.zk_endpoints is None)
        try:
            membership = await leading.join()
            async with contextlib.AsyncExitStack() as stack:
                await stack.enter_async_context(self.edge)
                self.members.own = Endpoint(self.settings.advertised_host, self.edge.http_port)
                await leading.until_stopped(membership)
        except (DataDirRefused, Unreadable, OSError, CannotLead) as wrong:
            raise CannotStart(str(wrong)) from wrong

    # --- what leading asks for (`leadership.leading.House`) ---

    def join(self) -> Membership:
        return self.members.join()

    def controller(self, term: Term) -> Controller:
        self.tally.begin(term.state.cron_jobs.values())
        return Controller(term.state, self._world(term.format_level), self.clock, epoch=term.epoch, offset=term.offset)

    def engine(self, on_fenced: Callable[[int], None]) -> Engine:
        return make_engine(self.settings, on_fenced=on_fenced)

    def committed(self, entry: Entry) -> None:
        self.members.reading.committed(entry)
        tell("the tally", self.tally.committed, entry)

    def begun(self, term: Term) -> None:
        self.archive.open(term.copies, term.lineage)

    def leads(self, term: Term) -> None:
        self.status.steps = term.steps

    def closing(self, why: str) -> None:
        self.stream.close(why)

    def closed(self, why: str) -> None:
        self._sla.stop()
        if self._sweeping is not None:
            self._sweeping.stop()
        self.archive.close()
        self.members.reading.close(why)

    def hang_up(self) -> None:
        self.edge.hang_up()

    def periodic(self, driver: Driver) -> Timers:
        self._driver = driver
        timers = Timers()
        self._sweeping = Sweeping(driver)
        prune_s = self.settings.prune_interval_ms / 1000
        timers.every("history", prune_s, self._sweeping.begin)
        sla_s = self.settings.sla_stat_refresh_interval_ms / 1000
        timers.every("SLA figures", sla_s, lambda: self._sla.begin(driver.controller.state, self.clock.wall_ms()))
        timers.every("backups", LOOK_EVERY_S, self.archive.look)
        timers.every("quiet moment", QUIET_MOMENT_EVERY_S, quiet_moment)
        return timers

    def coordinators(self, driver: Driver) -> Coordinators:
        return Coordinators(
            driver.attempt,
            describe=lambda task: simple(scheduled_task(task, with_data=True)),
            cluster=self.settings.cluster_name,
            now_ms=self.clock.wall_ms,
            timeout_s=self.settings.sla_coordinator_timeout_ms / 1000,
            most_at_once=self.settings.max_parallel_coordinated_maintenance,
            hosts=self.settings.policy.sla_coordinator_hosts,
            figures=self._asked,
        )

    def _of_driver(self) -> dict[str, int]:
        reconciler = None if self._driver is None else self._driver.reconciler
        return {
            "reconciliation_explicit_runs": 0 if reconciler is None else reconciler.explicit_runs,
            "reconciliation_implicit_runs": 0 if reconciler is None else reconciler.implicit_runs,
        }

    def _ending(self) -> Ending:
        return Ending(quit=self._stop.set, abort=lambda: os._exit(os.EX_SOFTWARE))

    def _world(self, format_level: int) -> World:
        settings = self.settings
        return World(self._policy, settings.hostname, lambda: str(uuid.uuid4()), random.random, format_level)
