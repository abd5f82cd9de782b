"""A stage for stories: the real core and controller on a clock turned by hand, with tasks moved by hand.

Nothing here decides anything. Entries are durable as soon as they are gathered; a restart replays them into an empty
state and begins a new epoch, as a new leader does. With `through_codec` entries are kept as the bytes the changelog
stores, and a restart reads those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC
from functools import partial
from itertools import count
from random import Random
from typing import Final

import attrs

from scheduler.changelog.codec import decode, encode
from scheduler.changelog.configs import Configs
from scheduler.changelog.frame import genesis
from scheduler.contracts import Entry, Ticket
from scheduler.controller.controller import Controller
from scheduler.core import invariants, takeover
from scheduler.core.answers import Answer
from scheduler.core.effects import Effect, Launch, Reconcile, Say, Terminate
from scheduler.core.policy import Policy
from scheduler.core.records import ExecutorConfig, Host, JobKey, Resource, ResourceKind, Task, TaskConfig, TaskStatus
from scheduler.core.state import State, apply
from scheduler.core.transaction import World
from scheduler.cron_times import next_run
from scheduler.testing.clock import VirtualClock

ROOMY_HOST = Host("host-1", "agent-1", cpus=1e6, ram_mb=10**9, disk_mb=10**9, ports=tuple(range(31000, 32000)))
RESOURCES = (Resource(ResourceKind.CPUS, 1.0), Resource(ResourceKind.RAM_MB, 64), Resource(ResourceKind.DISK_MB, 64))
EXECUTOR = "AuroraExecutor"
LINEAGE: Final = bytes(range(16))


def service(job: JobKey, data: str) -> TaskConfig:
    """A service's configuration; `data` tells one version from another."""
    return TaskConfig(job=job, is_service=True, executor=ExecutorConfig(EXECUTOR, data), resources=RESOURCES)


class Log:
    """The entries, as records or as the bytes that the changelog stores."""

    def __init__(self, *, as_bytes: bool) -> None:
        self._as_bytes = as_bytes
        self._entries: list[Entry] = []
        self._frames: list[bytes] = []
        self._configs = Configs()
        self._checksum = genesis(LINEAGE)

    def append(self, entry: Entry) -> None:
        if not self._as_bytes:
            self._entries.append(entry)
            return
        frame, self._checksum = encode(entry, lineage=LINEAGE, previous=self._checksum, configs=self._configs)
        self._frames.append(frame)

    def __len__(self) -> int:
        return len(self._frames) if self._as_bytes else len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return self._read(Configs())

    def reopened(self) -> Iterator[Entry]:
        """All entries, for whoever will append the next one: it knows the configurations that it read, no others."""
        self._configs = Configs()
        return self._read(self._configs)

    def _read(self, configs: Configs) -> Iterator[Entry]:
        yield from self._entries
        checksum = genesis(LINEAGE)
        for offset, frame in enumerate(self._frames, 1):
            entry, checksum = decode(frame, offset=offset, lineage=LINEAGE, previous=checksum, configs=configs)
            yield entry


def replayed(entries: Iterable[Entry]) -> State:
    """What the entries amount to."""
    state = State()
    for entry in entries:
        for op in entry.ops:
            apply(state, op)
    return state


class Stage:
    """One scheduler under a virtual clock. `on_entry` and `on_effect` are told of each, when it is durable."""

    def __init__(
        self, policy: Policy | None = None, *, seed: int = 0, now_ms: int = 0, through_codec: bool = False
    ) -> None:
        self.clock = VirtualClock(now_ms)
        given = policy or Policy()
        self.policy = attrs.evolve(given, next_run=partial(next_run, where=UTC))
        self.log = Log(as_bytes=through_codec)
        self.effects: list[Effect] = []
        self.hosts: tuple[Host, ...] = (ROOMY_HOST,)
        self.on_entry: Callable[[Entry], None] = lambda entry: None
        self.on_effect: Callable[[Effect], None] = lambda effect: None
        self._ids = count(1)
        self._random = Random(seed)
        self._epoch = 0
        self._is_beginning = False
        self.controller = self._lead()

    def _lead(self) -> Controller:
        self._epoch += 1
        world = World(self.policy, "scheduler-1", lambda: f"id-{next(self._ids)}", self._random.random)
        controller = Controller(
            replayed(self.log.reopened()), world, self.clock, epoch=self._epoch, offset=len(self.log)
        )
        self.controller = controller
        controller.write(takeover.begin_epoch, self._epoch)
        self._is_beginning = True  # a leader compares at its beginning: that its first hosts ask for it is no news
        self.offer(self.hosts)
        self._is_beginning = False
        return controller

    @property
    def state(self) -> State:
        return self.controller.state

    def restart(self) -> None:
        """The scheduler dies and the next one takes over: only what was durable is left."""
        self._lead()

    def offer(self, hosts: tuple[Host, ...]) -> None:
        """These are all the hosts there are from now on."""
        self.hosts = hosts
        self.controller.write(takeover.offer_hosts, hosts)
        self.controller.want_placement()
        self.settle()

    def settle(self) -> None:
        """Decide and commit until nothing is left to do at this moment. Checks all invariants."""
        while True:
            more = self.controller.tick()
            entry = self.controller.next_entry(b"\0" * 16)
            if entry is not None:
                self.log.append(entry)
                self.controller.committed(entry.offset)
                self.on_entry(entry)
            for effect in self.controller.take_effects():
                if self._is_beginning and isinstance(effect, Reconcile):
                    continue
                self.effects.append(effect)
                self.on_effect(effect)
            if self.controller.failures:
                raise self.controller.failures[0][1]
            if not more and entry is None:
                break
        wrong = invariants.broken(self.state)
        assert not wrong, wrong

    def advance(self, by_ms: int) -> None:
        """Turn the clock, stopping at every deadline on the way."""
        end_ms = self.clock.mono_ms() + by_ms
        while True:
            next_ms = self.controller.deadlines.next_ms()
            if next_ms is None or next_ms > end_ms:
                break
            self.clock.advance(max(0, next_ms - self.clock.mono_ms()))
            self.settle()
        self.clock.advance(end_ms - self.clock.mono_ms())
        self.settle()

    def ask(self, decision: object, *args: object) -> Answer:
        """A request, its answer, and everything that follows at once."""
        ticket: Ticket = self.controller.write(decision, *args)  # type: ignore[arg-type]
        self.settle()
        return ticket.answer

    def report(self, task: Task, status: TaskStatus, message: str | None = None) -> None:
        """The engine says that a task came to a state."""
        self.controller.write(takeover.take_reports, [(task.task_id, status, message, None)])
        self.settle()

    def run(self, task: Task) -> None:
        """The engine starts a task and it runs."""
        self.report(task, TaskStatus.STARTING)
        self.report(task, TaskStatus.RUNNING)

    def active(self, job: JobKey, instance: int) -> Task:
        return self.state.tasks.active[job][instance]

    def launched(self) -> list[str]:
        return [effect.task.task_id for effect in self.effects if isinstance(effect, Launch)]

    def terminated(self) -> list[str]:
        return [effect.task_id for effect in self.effects if isinstance(effect, Terminate)]

    def said(self) -> list[str]:
        return [f"{effect.subject}: {effect.sentence}" for effect in self.effects if isinstance(effect, Say)]
