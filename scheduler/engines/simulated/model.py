"""The simulated cluster: what happens to orders in the course of time. No input or output, no clock of its own.

`step(now_ms, orders)` carries everything forward to `now_ms`, then takes the orders; what it returns is what an engine
would report. Same options, same orders at the same times: same reports. The fence is the local engine's: orders of an
older epoch are refused, a task id is launched once for ever, and calling one dead that never was here buries its id.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Final

from attrs import define, frozen

from scheduler.contracts import LaunchOrder, Signal, TaskReport
from scheduler.core.records import TERMINAL_STATES, Host, TaskStatus
from scheduler.engines.simulated.hosts import HostPlan, Outage, hosts_of
from scheduler.engines.simulated.options import METADATA_KEY, Behaviour, Options, behaviour


@frozen
class Begin:
    """A leader attaches: its epoch counts from now on."""

    cluster: str
    lineage: str
    epoch: int


@frozen
class Launch:
    """What the simulation needs of a launch order. `told`: the task's `simulate` metadata."""

    epoch: int
    task_id: str
    host: str
    ports: tuple[int, ...] = ()
    told: str | None = None

    @classmethod
    def of(cls, order: LaunchOrder) -> Launch:
        told = next((m.value for m in order.config.metadata if m.key == METADATA_KEY), None)
        return cls(order.epoch, order.task_id, order.host, tuple(port for _, port in order.ports), told)


@frozen
class Send:
    epoch: int
    task_id: str
    signal: Signal
    host: str | None = None
    """Where the task is, if the scheduler knows."""


@frozen
class Forget:
    task_ids: tuple[str, ...]


@frozen
class LoseHost:
    """A host goes away with everything on it."""

    host: str


@frozen
class RestoreHost:
    """It comes back, empty."""

    host: str


@frozen
class SilenceHost:
    """Nothing is heard of a host any more, and it hears nothing; what runs there runs on."""

    host: str


@frozen
class HealHost:
    """It is heard again, and tells what happened meanwhile."""

    host: str


Order = Launch | Send | Forget | LoseHost | RestoreHost | SilenceHost | HealHost


@frozen
class Step:
    """What came of a step. `fenced`: the newer epoch, if an order was refused because of it."""

    reports: tuple[TaskReport, ...] = ()
    hosts_changed: bool = False
    fenced: int | None = None


class Refused(Exception):
    """This leader may not attach; the sentence says why."""


@define(eq=False)
class _Task:
    task_id: str
    report: TaskReport
    host: str = ""
    ports: tuple[int, ...] = ()
    behaviour: Behaviour | None = None
    stopping: Signal | None = None
    shown: TaskReport | None = None
    """What is known of it while its host is silent."""
    turn: int = 0
    """Counts what is planned for the task: of everything planned earlier, nothing happens any more."""

    @property
    def lives(self) -> bool:
        return self.report.status not in TERMINAL_STATES


class Model:
    """The cluster. Times are milliseconds of any clock that never goes back."""

    def __init__(self, options: Options, hosts: Sequence[HostPlan] | None = None) -> None:
        """`hosts`: these, instead of those that the options ask for."""
        self.options = options
        self.identity: tuple[str, str] | None = None
        self.epoch = 0
        self._tasks: dict[str, _Task] = {}
        self._plans = hosts_of(options) if hosts is None else hosts
        self._hosts = {plan.host.name: plan.host for plan in self._plans}
        self._away: set[str] = set()
        self._silent: dict[str, list[Send]] = {}
        """Hosts nobody hears of, and what they were told in vain."""
        self._ports: dict[tuple[str, int], str] = {}
        self._planned: list[tuple[float, int, Callable[[], None]]] = []
        self._counter = 0
        self._now_ms = 0.0
        self._reports: list[TaskReport] = []
        self._hosts_changed = False
        self._chance = Random(f"{options.seed}/hosts")
        self._unstable = [name for name in self._hosts if self._chance.random() < options.lost_host_rate]
        self._begun = False

    # --- looking -----------------------------------------------------------------------------------------------------

    def hosts(self) -> tuple[Host, ...]:
        """Those that are there and heard of."""
        return tuple(host for name, host in self._hosts.items() if name not in self._away and name not in self._silent)

    def all_hosts(self) -> list[str]:
        """The names of all, those too that are away or silent: of each it is known what runs there."""
        return list(self._hosts)

    def tasks(self) -> tuple[TaskReport, ...]:
        return tuple(task.shown or task.report for task in self._tasks.values())

    def next_ms(self) -> float | None:
        """When something will happen by itself."""
        return self._planned[0][0] if self._planned else None

    # --- going on ----------------------------------------------------------------------------------------------------

    def begin(self, leader: Begin) -> None:
        """Raises Refused; then nothing has changed."""
        identity = (leader.cluster, leader.lineage)
        if self.identity is not None and self.identity != identity:
            living = sum(task.lives for task in self._tasks.values())
            if living:
                raise Refused(
                    f"this engine holds {living} living tasks of cluster {self.identity[0]!r}, "
                    f"lineage {self.identity[1]!r}; "
                    f"this is cluster {leader.cluster!r}, lineage {leader.lineage!r}"
                )
            self._tasks.clear()
            self.epoch = 0
        if leader.epoch < self.epoch:
            raise Refused(f"epoch {leader.epoch} is older than {self.epoch}: another scheduler leads")
        self.identity = identity
        self.epoch = leader.epoch

    def step(self, now_ms: float, orders: Sequence[Order] = ()) -> Step:
        if not self._begun:
            self._begun = True
            self._now_ms = now_ms
            for host in self._unstable:
                self._at(self._about(self.options.lost_host_every_ms), partial(self._lose_for_a_while, host))
            for plan in self._plans:
                for outage in plan.failures:
                    self._at(outage.after_ms, partial(self._out, plan.host.name, outage, self._lose, self._restore))
                for outage in plan.partitions:
                    self._at(outage.after_ms, partial(self._out, plan.host.name, outage, self._silence, self._heal))
        while self._planned and self._planned[0][0] <= now_ms:
            due_ms, _, deed = heapq.heappop(self._planned)
            self._now_ms = max(self._now_ms, due_ms)
            deed()
        self._now_ms = max(self._now_ms, now_ms)
        fenced = None
        for order in orders:
            if isinstance(order, (Launch, Send)) and order.epoch < self.epoch:
                fenced = self.epoch
            else:
                self._take(order)
        step = Step(tuple(self._reports), self._hosts_changed, fenced)
        self._reports = []
        self._hosts_changed = False
        return step

    def _take(self, order: Order) -> None:
        if isinstance(order, Launch):
            self._launch(order)
        elif isinstance(order, Send):
            self._send(order)
        elif isinstance(order, Forget):
            for task_id in order.task_ids:
                known = self._tasks.get(task_id)
                if known is not None and known.shown is None and not known.lives:
                    del self._tasks[task_id]
        else:
            _HOST_ORDERS[type(order)](self, order.host)

    # --- tasks -------------------------------------------------------------------------------------------------------

    def _launch(self, order: Launch) -> None:
        known = self._tasks.get(order.task_id)
        if known is not None:
            self._reports.append(known.shown or known.report)
            return
        try:
            will = behaviour(self.options, order.task_id, order.told)
        except ValueError as e:
            self._bury(order.task_id, TaskStatus.FAILED, f"cannot be run here: {e}")
            return
        if order.host not in self._hosts or order.host in self._away:
            self._bury(order.task_id, TaskStatus.LOST, f"host {order.host} is not here")
            return
        if order.host in self._silent:
            self._bury(order.task_id, TaskStatus.LOST, f"host {order.host} is not heard of")
            return
        taken = [port for port in order.ports if (order.host, port) in self._ports]
        if taken:
            self._bury(order.task_id, TaskStatus.LOST, f"port {taken[0]} of {order.host} is taken")
            return
        assigned = TaskReport(order.task_id, TaskStatus.STARTING, "accepted", int(self._now_ms))
        task = _Task(order.task_id, assigned, order.host, order.ports, will)
        self._tasks[order.task_id] = task
        self._ports |= {(order.host, port): order.task_id for port in order.ports}
        self._plan(task, will.start_ms, TaskStatus.STARTING, None)

    def _send(self, order: Send) -> None:
        task = self._tasks.get(order.task_id)
        if task is None:
            if order.host is None or order.host in self._hosts:  # of another cluster's hosts nothing is known here
                self._bury(order.task_id, TaskStatus.LOST, "never started here")
        elif task.host in self._silent:
            self._silent[task.host].append(order)
        elif not task.lives:
            self._reports.append(task.report)
        elif task.behaviour and task.stopping not in (order.signal, Signal.KILL):
            if order.signal is Signal.TERM and task.behaviour.ignore_term:
                return
            what = "stopped" if order.signal is Signal.TERM else "killed"
            if task.stopping is None:
                task.turn += 1
            task.stopping = order.signal
            self._plan(task, task.behaviour.stop_ms, TaskStatus.KILLED, f"{what} on the scheduler's order")

    def _move(self, task: _Task, status: TaskStatus, message: str | None) -> None:
        will = task.behaviour
        assert will is not None
        task.report = TaskReport(task.task_id, status, message, int(self._now_ms))
        if task.host not in self._silent:
            self._reports.append(task.report)
        if status is TaskStatus.STARTING:
            self._plan(task, will.run_ms, TaskStatus.RUNNING, "started")
        elif status is TaskStatus.RUNNING:
            ends = [(will.crash_after_ms, TaskStatus.FAILED, "process simulated exited with code 1"),
                    (will.finish_after_ms, TaskStatus.FINISHED, "finished")]  # fmt: skip
            for after_ms, end, why in ends:
                if after_ms is not None:
                    self._plan(task, after_ms, end, why)
        else:
            self._release(task)

    def _bury(self, task_id: str, status: TaskStatus, message: str) -> None:
        task = _Task(task_id, TaskReport(task_id, status, message, int(self._now_ms)))
        self._tasks[task_id] = task
        self._reports.append(task.report)

    def _release(self, task: _Task) -> None:
        for port in task.ports:
            self._ports.pop((task.host, port), None)

    def _plan(self, task: _Task, after_ms: float, status: TaskStatus, message: str | None) -> None:
        self._at(after_ms, partial(self._go_on, task.task_id, task.turn, status, message))

    def _go_on(self, task_id: str, turn: int, status: TaskStatus, message: str | None) -> None:
        task = self._tasks.get(task_id)
        if task is not None and task.turn == turn and task.lives:
            self._move(task, status, message)

    def _at(self, after_ms: float, deed: Callable[[], None]) -> None:
        self._counter += 1
        heapq.heappush(self._planned, (self._now_ms + after_ms, self._counter, deed))

    # --- hosts -------------------------------------------------------------------------------------------------------

    def _about(self, ms: float) -> float:
        return ms * (0.5 + self._chance.random())

    def _lose_for_a_while(self, host: str) -> None:
        self._lose(host)
        self._at(self._about(self.options.lost_host_for_ms), partial(self._restore_for_a_while, host))

    def _restore_for_a_while(self, host: str) -> None:
        self._restore(host)
        self._at(self._about(self.options.lost_host_every_ms), partial(self._lose_for_a_while, host))

    def _out(self, host: str, outage: Outage, begin: Callable[[str], None], end: Callable[[str], None]) -> None:
        begin(host)
        self._at(outage.for_ms, partial(end, host))
        if outage.every_ms is not None:
            self._at(outage.every_ms, partial(self._out, host, outage, begin, end))

    def _lose(self, host: str) -> None:
        if host not in self._hosts or host in self._away:
            return
        self._away.add(host)
        self._silent.pop(host, None)
        self._hosts_changed = True
        for task in self._tasks.values():
            if task.host == host and (task.lives or task.shown is not None):
                task.turn += 1
                task.shown = None
                self._move(task, TaskStatus.LOST, f"host {host} was lost")

    def _restore(self, host: str) -> None:
        if host in self._away:
            self._away.remove(host)
            self._hosts_changed = True

    def _silence(self, host: str) -> None:
        if host not in self._hosts or host in self._away or host in self._silent:
            return
        self._silent[host] = []
        self._hosts_changed = True
        for task in self._tasks.values():
            if task.host == host and task.lives:
                why = f"host {host} is not heard of"
                task.shown = TaskReport(task.task_id, TaskStatus.PARTITIONED, why, int(self._now_ms))
                self._reports.append(task.shown)

    def _heal(self, host: str) -> None:
        if host not in self._silent:
            return
        told_in_vain = self._silent.pop(host)
        self._hosts_changed = True
        for task in self._tasks.values():
            if task.host == host and task.shown is not None:
                task.shown = None
                self._reports.append(task.report)
        for order in told_in_vain:
            self._send(order)


_HOST_ORDERS: Final[dict[type, Callable[[Model, str], None]]] = {
    LoseHost: Model._lose,
    RestoreHost: Model._restore,
    SilenceHost: Model._silence,
    HealHost: Model._heal,
}
