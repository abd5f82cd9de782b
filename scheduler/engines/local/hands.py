"""What the local engine does on its threads: everything that touches the disk or /proc for long. Synchronous.

Nothing here keeps state but on disk. Who leads is asked of the folder each time, under its lock.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from attrs import frozen

from scheduler.contracts import EngineError, LaunchOrder, TaskReport
from scheduler.core.records import TaskStatus
from scheduler.engines.local.folder import EngineFolder, folder_name, read_file
from scheduler.engines.local.hosts import port_is_free
from scheduler.engines.local.launch import spawn, write_spec
from scheduler.engines.local.remains import Remains, end_remains, find_remains
from scheduler.engines.local.tasks import (
    EXECUTOR,
    SPEC,
    Life,
    bury,
    end_of,
    life_of,
    now_ms,
    open_executor,
    task_id_of,
    was_of_another_boot,
)
from scheduler.engines.thermos import parse
from scheduler.failpoints import failpoint

log = logging.getLogger(__name__)

SHOWN_TASKS = 3


@frozen
class Found:
    """A task's folder as it was found: alive (with its executor's descriptor, once that is known), or ended."""

    task_id: str
    path: Path
    pidfd: int | None = None
    end: TaskReport | None = None
    ports: tuple[int, ...] = ()


@frozen
class Dead:
    """A task whose executor is gone and has left no word. Message empty: to be found out."""

    task_id: str
    path: Path
    status: TaskStatus = TaskStatus.LOST
    message: str = ""


class _Refusal(Exception):
    """A launch that cannot be; the task ends with this status."""

    def __init__(self, status: TaskStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class Hands:
    """Raises EngineError, OldEpoch, OSError."""

    def __init__(self, folder: EngineFolder, *, cluster: str, host_name: str) -> None:
        self.folder = folder
        self.host_name = host_name
        """Once attached: the name under which the tasks of this folder run."""
        self._cluster = cluster
        self._epoch = 0

    # --- attaching ---------------------------------------------------------------------------------------------------

    def attach(self, epoch: int, lineage: str) -> list[Found]:
        """Make the folder ours, raise its epoch, and look at every task in it. What is dead is buried."""
        self.folder.make()
        with self.folder.locked():
            self._claim(lineage)
            stored = self.folder.epoch()
            if epoch < stored:
                raise EngineError(
                    f"{self.folder.path}: epoch {epoch} is older than {stored}: another scheduler leads, "
                    "or this one's data directory was set back"
                )
            self.folder.raise_epoch(epoch)
            self._settle_name()
        self._epoch = epoch
        return self.survey(self.folder.task_names())

    def _claim(self, lineage: str) -> None:
        """A folder of another cluster or lineage is taken over only when nothing lives in it."""
        ours = {"cluster": self._cluster, "lineage": lineage}
        identity = self.folder.identity()
        if identity is not None and ours.items() <= identity.items():
            return
        paths = [self.folder.tasks / name for name in self.folder.task_names()]
        if paths:
            self._refuse_living(paths, identity or {}, ours)
        for path in paths:
            self.folder.throw_away(path)
        self.folder.claim(self._cluster, lineage)

    def _refuse_living(self, paths: list[Path], theirs: dict[str, object], ours: dict[str, str]) -> None:
        living = {path.name for path in paths if life_of(path) is Life.ALIVE}
        left = find_remains({r.task_id: r for r in (Remains.of(task_id_of(path), path) for path in paths)})
        living |= {folder_name(task_id) for task_id, _ in left.values()}
        if not living:
            return
        shown = ", ".join(sorted(living)[:SHOWN_TASKS]) + (", ..." if len(living) > SHOWN_TASKS else "")
        raise EngineError(
            f"{self.folder.path} holds {len(living)} living tasks ({shown}) of cluster "
            f"{theirs.get('cluster', 'unknown')!r}, lineage {theirs.get('lineage', 'unknown')!r}; this is cluster "
            f"{ours['cluster']!r}, lineage {ours['lineage']!r}. They would all be unknown here and be killed. "
            "Start with the data directory they belong to, give this server another folder, or end them first."
        )

    def _settle_name(self) -> None:
        """The scheduler knows tasks by their host. As long as one lives here the host keeps its name, whatever the
        machine is called now: under another one its room would be given away twice, and it would count as lost."""
        known = (self.folder.identity() or {}).get("host", self.host_name)
        living = 0
        if known != self.host_name:
            living = sum(life_of(self.folder.tasks / name) is Life.ALIVE for name in self.folder.task_names())
        if living:
            log.warning(
                "this host stays %s, not %s, as long as tasks live here: %d do. At a start without any it is renamed",
                known,
                self.host_name,
                living,
            )
            self.host_name = known
        else:
            self.folder.name_host(self.host_name)

    def survey(self, names: Iterable[str]) -> list[Found]:
        """Look at these task folders. Whose executor died without a word is LOST: what it left is ended first."""
        found: list[Found] = []
        dead: list[Dead] = []
        for name in names:
            path = self.folder.tasks / name
            task_id = task_id_of(path)
            life = life_of(path)
            if life is Life.ALIVE:
                found.append(self._alive(task_id, path))
            elif life is Life.ENDED:
                found.append(Found(task_id, path, end=end_of(path, task_id)))
            else:
                dead.append(Dead(task_id, path))
        ends = self.bury(dead) if dead else []
        return found + [Found(d.task_id, d.path, end=end) for d, end in zip(dead, ends, strict=True)]

    def _alive(self, task_id: str, path: Path) -> Found:
        spec = read_file(path / SPEC) or {}
        return Found(task_id, path, open_executor(path), ports=tuple((spec.get("ports") or {}).values()))

    def bury(self, dead: Sequence[Dead]) -> list[TaskReport]:
        """End what these tasks left running, with one look through /proc for all, and write down how they ended."""
        here = [d for d in dead if not was_of_another_boot(d.path)]
        left = end_remains({d.task_id: Remains.of(d.task_id, d.path) for d in here})
        with self.folder.locked(self._epoch):
            return [self._bury(d.path, d.task_id, left.get(d.task_id, []), d.status, d.message) for d in dead]

    def _bury(
        self, path: Path, task_id: str, left: list[int], status: TaskStatus = TaskStatus.LOST, message: str = ""
    ) -> TaskReport:
        known = end_of(path, task_id)
        if known:
            return known
        message = message or _why_dead(path)
        if left:
            message += f"; processes {', '.join(map(str, left))} do not go away"
        try:
            return bury(path, task_id, status, message)
        except OSError as e:
            # The folder stands, so the id can never be launched again; the next survey finds it dead once more.
            log.error("cannot write the end of %s: %s", task_id, e)
            return TaskReport(task_id, status, message, now_ms())

    # --- one task ----------------------------------------------------------------------------------------------------

    def launch(self, order: LaunchOrder) -> Found | None:
        """Start a task, once. None: its id was used before."""
        with self.folder.locked(order.epoch):
            path = self.folder.task(order.task_id)
            try:
                path.mkdir(mode=0o700)
            except FileExistsError:
                return None
            failpoint("engine-made")
            try:
                self._prepare(path, order)
                pid = spawn(path)
                failpoint("engine-spawned")
            except _Refusal as e:
                return Found(order.task_id, path, end=self._bury(path, order.task_id, [], e.status, str(e)))
            except OSError as e:
                message = f"cannot be started: {e}"
                return Found(order.task_id, path, end=self._bury(path, order.task_id, [], TaskStatus.LOST, message))
        return Found(order.task_id, path, _open_child(pid), ports=tuple(port for _, port in order.ports))

    def _prepare(self, path: Path, order: LaunchOrder) -> None:
        if order.host != self.host_name:
            raise _Refusal(TaskStatus.LOST, f"host {order.host} is not this machine, which is {self.host_name}")
        for name, port in order.ports:
            if not port_is_free(port):
                raise _Refusal(TaskStatus.LOST, f"port {port} ({name}) was taken by another process of this machine")
        try:
            plan = parse(order.config)
        except ValueError as e:
            raise _Refusal(TaskStatus.FAILED, f"cannot be run here: {e}") from None
        missing = set(order.config.port_names()) - {name for name, _ in order.ports}
        if missing:
            raise _Refusal(TaskStatus.LOST, f"launched without the ports {', '.join(sorted(missing))}")
        write_spec(path, order, plan, cluster=self._cluster)

    def entomb(self, task_id: str, epoch: int, host: str | None) -> Found | bool:
        """Before a signal: an id never launched here is made dead, so that it never will be. True: it has a folder.
        False: it has none, and is on another host, of which nobody here can tell."""
        with self.folder.locked(epoch):
            path = self.folder.task(task_id)
            if host not in (None, self.host_name) and not path.exists():
                return False
            try:
                path.mkdir(mode=0o700)
            except FileExistsError:
                return True
            return Found(
                task_id, path, end=self._bury(path, task_id, [], TaskStatus.LOST, "never started on this host")
            )

    def throw_away(self, paths: Iterable[Path]) -> None:
        for path in paths:
            self.folder.throw_away(path)


def _open_child(pid: int) -> int | None:
    """A descriptor of the executor just started; it is our child and not reaped, so the pid is its own."""
    try:
        return os.pidfd_open(pid)
    except OSError as e:  # it lives all the same: the watch looks for it again
        log.error("cannot watch process %d: %s", pid, e)
        return None


def _why_dead(path: Path) -> str:
    if was_of_another_boot(path):
        return "the machine was restarted"
    if not (path / EXECUTOR).exists():
        return "its start was cut off before anything ran"
    return "its executor died"
