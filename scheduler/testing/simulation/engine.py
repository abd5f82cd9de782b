"""The pretended engine: tasks on hosts, which do what they are told, or what a fault makes them do.

It outlives schedulers and is shared by them. Its fence is that of a real engine: orders of an older epoch are refused,
an id is launched once for ever, and an id called dead before it came cannot be launched any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Final, Protocol

from attrs import define, evolve

from scheduler.contracts import EngineError, EngineSnapshot, LaunchOrder, Signal, TaskReport
from scheduler.core.records import TERMINAL_STATES, Host, TaskStatus
from scheduler.testing.simulation.agenda import GRID_MS, Agenda, Deed
from scheduler.testing.simulation.chance import Chance

HOSTS: Final = tuple(
    Host(f"host-{i}", f"agent-{i}", cpus=24.0, ram_mb=10**6, disk_mb=10**6, ports=tuple(range(31000, 31030)))
    for i in range(3)
)
ALL_HOSTS: Final = frozenset(host.name for host in HOSTS)
SHORT: Final = "short"
"""Tasks with this in their data end by themselves."""
_WHY: Final = {
    TaskStatus.KILLED: "ended on order",
    TaskStatus.FAILED: "exited with code 1",
    TaskStatus.FINISHED: "done",
}
Place = tuple[int, int]
"""Job number and instance: what chance and faults are named by, since task ids change with everything."""


class Draw(IntEnum):
    STARTING = 101
    RUNNING = 102
    ENDING = 103
    BAD = 104
    CRASH = 105
    FINISH = 106


@define(eq=False)
class EngineTask:
    task_id: str
    place: Place
    attempt: int
    host: str
    data: str
    status: TaskStatus | None = None
    """None: accepted, not started."""
    message: str | None = None
    at_ms: int = 0
    hangs: bool = False
    deaf: bool = False
    """It ignores TERM."""
    crashes: bool = False
    turn: int = 0
    """What was planned for an earlier turn does not happen any more."""

    @property
    def lives(self) -> bool:
        return self.status not in TERMINAL_STATES

    def report(self) -> TaskReport:
        when_ms = self.at_ms if self.attempt % 2 else None  # some engines know when it happened, some do not
        return TaskReport(self.task_id, self.status or TaskStatus.STARTING, self.message, when_ms)


class Listener(Protocol):
    """The scheduler that is attached."""

    def reported(self, reports: Sequence[TaskReport]) -> None: ...

    def hosts_changed(self, hosts: Sequence[Host]) -> None: ...


class SimulatedEngine:
    """See the module. `launched` is told of every launch that had an effect."""

    def __init__(self, agenda: Agenda, chance: Chance, launched: Callable[[EngineTask], None]) -> None:
        self._agenda = agenda
        self._chance = chance
        self._launched = launched
        self.tasks: dict[str, EngineTask] = {}
        self.buried: set[str] = set()
        self.epoch = 0
        self.listener: Listener | None = None
        self.unreachable_until_ms = 0
        self._told_until_ms = 0
        self.away: set[str] = set()
        self.leaves_at: dict[str, int] = {}
        """When hosts will go away that have said so, by the wall's clock."""
        self.silent: dict[str, list[tuple[str, Signal]]] = {}
        """Hosts that nobody hears of, and what their tasks were told in vain. What runs there runs on."""
        self.attempts: dict[Place, int] = {}
        self.next_hang: dict[Place, str] = {}
        self.next_crashes: dict[Place, int] = {}
        self.deaf: set[Place] = set()
        self.fenced = 0

    # --- the scheduler's side ---

    def attach(self, listener: Listener, epoch: int) -> None:
        """Raises EngineError when it cannot be reached."""
        self._reach()
        self.epoch = max(self.epoch, epoch)
        self.listener = listener
        listener.hosts_changed(self.hosts())

    def detach(self, listener: Listener) -> None:
        if self.listener is listener:
            self.listener = None

    def hosts(self) -> list[Host]:
        there = [host for host in HOSTS if host.name not in self.away and host.name not in self.silent]
        return [
            evolve(host, unavailable_from_ms=self.leaves_at[host.name]) if host.name in self.leaves_at else host
            for host in there
        ]

    def snapshot(self) -> EngineSnapshot:
        """All tasks but those of silent hosts, for which it does not speak. Raises EngineError."""
        self._reach()
        told = tuple(task.report() for task in self.tasks.values() if task.host not in self.silent)
        return EngineSnapshot(ALL_HOSTS - self.silent.keys(), told)

    def _reach(self) -> None:
        if self._agenda.now_ms < self.unreachable_until_ms:
            raise EngineError("the engine does not answer")

    def launch(self, order: LaunchOrder) -> None:
        known = self.tasks.get(order.task_id)
        if self._refused(order.epoch):
            return
        if known is not None:
            self._report(known)
            return
        if order.task_id in self.buried:
            self._tell(TaskReport(order.task_id, TaskStatus.LOST, "its id is buried here"))
            return
        if order.host in self.silent:
            self.buried.add(order.task_id)
            self._tell(TaskReport(order.task_id, TaskStatus.LOST, f"host {order.host} is not heard of"))
            return
        place = (int(order.config.job.name.rpartition("-")[2]), order.instance_id)
        attempt = self.attempts[place] = self.attempts.get(place, 0) + 1
        data = order.config.executor.data if order.config.executor is not None else ""
        task = EngineTask(order.task_id, place, attempt, order.host, data, deaf=place in self.deaf)
        task.at_ms = self._agenda.wall_ms
        self.tasks[task.task_id] = task
        self._launched(task)
        if order.host in self.away:
            self._end(task, TaskStatus.LOST, f"host {order.host} is not here")
            return
        task.crashes = self._will_crash(task)
        if self.next_hang.get(place) == "assigned":
            del self.next_hang[place]
            task.hangs = True
        else:
            self._plan(task, Draw.STARTING, 0, 3, TaskStatus.STARTING)

    def _will_crash(self, task: EngineTask) -> bool:
        crashes = self.next_crashes.get(task.place, 0)
        if crashes > 0:
            self.next_crashes[task.place] = crashes - 1
            return True
        return "bad" in task.data and self._chance.share(Draw.BAD, *task.place, task.attempt) < 0.6

    def signal(self, task_id: str, signal: Signal, *, epoch: int, host: str | None = None) -> None:
        if self._refused(epoch):
            return
        task = self.tasks.get(task_id)
        where = host if task is None else task.host
        if where in self.silent:
            self.silent[where].append((task_id, signal))
            return
        self._signal(task_id, task, signal)

    def _signal(self, task_id: str, task: EngineTask | None, signal: Signal) -> None:
        if task is None:
            self.buried.add(task_id)
            self._tell(TaskReport(task_id, TaskStatus.LOST, "never started here"))
        elif not task.lives:
            self._report(task)
        elif signal is Signal.KILL or not task.deaf:
            self._plan(task, Draw.ENDING, 0, 4, TaskStatus.KILLED)

    def forget(self, task_ids: Sequence[str]) -> None:
        for task_id in task_ids:
            if task_id in self.tasks and not self.tasks[task_id].lives:
                del self.tasks[task_id]

    def _refused(self, epoch: int) -> bool:
        self.fenced += epoch < self.epoch
        return epoch < self.epoch

    # --- what becomes of tasks ---

    def _plan(self, task: EngineTask, draw: Draw, low: int, high: int, to: TaskStatus) -> None:
        """`low` to `high` steps of the grid from now, unless something else is planned meanwhile."""
        task.turn += 1
        steps = self._chance.between(low, high, draw, *task.place, task.attempt)
        self._agenda.on_grid(steps * GRID_MS, self._planned, task, task.turn, to)

    def _planned(self, task: EngineTask, turn: int, to: TaskStatus) -> bool:
        if task.turn != turn or not task.lives:
            return False
        if to in TERMINAL_STATES:
            self._end(task, to, _WHY[to])
            return True
        self._come_to(task, to, "started" if to is TaskStatus.RUNNING else None)
        self._go_on(task)
        return True

    def _go_on(self, task: EngineTask) -> None:
        """Plan what follows from where the task is."""
        if task.status is None:
            self._plan(task, Draw.STARTING, 0, 3, TaskStatus.STARTING)
        elif task.status is TaskStatus.STARTING:
            early = task.crashes and self._chance.share(Draw.CRASH, *task.place, task.attempt) < 0.4
            if self.next_hang.get(task.place) == "starting":
                del self.next_hang[task.place]
                task.hangs = True
            else:
                self._plan(task, Draw.RUNNING, 0, 4, TaskStatus.FAILED if early else TaskStatus.RUNNING)
        elif task.crashes:
            self._plan(task, Draw.CRASH, 1, 8, TaskStatus.FAILED)
        elif SHORT in task.data:
            self._plan(task, Draw.FINISH, 4, 120, TaskStatus.FINISHED)

    def _come_to(self, task: EngineTask, to: TaskStatus, message: str | None) -> None:
        task.status, task.message, task.at_ms = to, message, self._agenda.wall_ms
        self._report(task)

    def _end(self, task: EngineTask, to: TaskStatus, why: str) -> None:
        task.turn += 1
        task.hangs = False
        self._come_to(task, to, why)

    def _report(self, task: EngineTask) -> None:
        if task.host not in self.silent:
            self._tell(task.report())

    def _tell(self, report: TaskReport) -> None:
        """On the way to whoever is attached when it arrives; an engine that cannot be reached tells later."""
        self.in_order(self._deliver, report)

    def in_order(self, deed: Deed, *args: object) -> None:
        """Tell a scheduler something, behind everything that was told before."""
        now_ms = self._agenda.now_ms
        at_ms = max(now_ms, self.unreachable_until_ms, self._told_until_ms)
        self._told_until_ms = at_ms
        self._agenda.on_grid(at_ms - now_ms, deed, *args)

    def _deliver(self, report: TaskReport) -> bool:
        if self.listener is None:
            return False
        self.listener.reported((report,))
        return True

    # --- faults ---

    def at(self, place: Place) -> EngineTask | None:
        """The youngest living task of an instance."""
        found = [task for task in self.tasks.values() if task.place == place and task.lives]
        return found[-1] if found else None

    def exit(self, task: EngineTask, to: TaskStatus, why: str) -> None:
        """It ends by itself, or is lost."""
        self._end(task, to, why)

    def vanish(self, task: EngineTask) -> None:
        """Nobody knows of it any more, and nobody is told. Its id is not used again."""
        task.turn += 1
        self.buried.add(task.task_id)
        del self.tasks[task.task_id]

    def partition(self, task: EngineTask) -> None:
        """Its host falls silent; `heal_partition` or `exit` follows."""
        task.turn += 1
        self._come_to(task, TaskStatus.PARTITIONED, "agent unreachable")

    def heal_partition(self, task: EngineTask, to: TaskStatus) -> bool:
        if task.status is not TaskStatus.PARTITIONED:
            return False
        self._come_to(task, to, "agent is back")
        if task.lives:
            self._go_on(task)
        return True

    def repeat(self, task: EngineTask) -> None:
        self._report(task)

    def silence_host(self, name: str) -> None:
        """Nothing is heard of it, and it hears nothing; what runs there runs on."""
        if name not in self.away:
            self.silent.setdefault(name, [])
            self._tell_hosts()

    def hear_host(self, name: str) -> None:
        """It is back with its tasks, and takes what they were told in vain."""
        in_vain = self.silent.pop(name, None)
        if in_vain is None:
            return
        self._tell_hosts()
        for task in list(self.tasks.values()):
            if task.host == name:
                self._report(task)
        for task_id, signal in in_vain:
            self._signal(task_id, self.tasks.get(task_id), signal)

    def lose_host(self, name: str) -> None:
        self.silent.pop(name, None)
        self.away.add(name)
        self._tell_hosts()
        for task in list(self.tasks.values()):
            if task.host == name and task.lives:
                self._end(task, TaskStatus.LOST, f"host {name} was lost")

    def restore_host(self, name: str) -> None:
        self.away.discard(name)
        self._tell_hosts()

    def announce(self, name: str, at_ms: int) -> None:
        """It says that it will go away then."""
        self.leaves_at[name] = at_ms
        self._tell_hosts()

    def take_back(self, name: str) -> bool:
        if self.leaves_at.pop(name, None) is None:
            return False
        self._tell_hosts()
        return True

    def depart(self, name: str, at_ms: int) -> bool:
        """It goes, if it still wants to go then."""
        if self.leaves_at.get(name) != at_ms:
            return False
        self.lose_host(name)
        return True

    def come_back(self, name: str, at_ms: int) -> bool:
        if self.leaves_at.get(name) != at_ms:
            return False
        del self.leaves_at[name]
        self.restore_host(name)
        return True

    def _tell_hosts(self) -> None:
        if self.listener is not None:
            self.listener.hosts_changed(self.hosts())

    def heal(self) -> None:
        """No fault from here on; what hung goes on."""
        self.unreachable_until_ms = 0
        self.next_hang.clear()
        self.next_crashes.clear()
        self.deaf.clear()
        for name in list(self.leaves_at):
            self.take_back(name)
        for name in list(self.away):
            self.restore_host(name)
        for name in list(self.silent):
            self.hear_host(name)
        for task in list(self.tasks.values()):
            task.deaf = False
            if task.lives and task.status is TaskStatus.PARTITIONED:
                self.heal_partition(task, TaskStatus.RUNNING)
            elif task.lives and task.hangs:
                task.hangs = False
                self._go_on(task)
