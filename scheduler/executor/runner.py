"""The executor's loop: start what may run, notice what ended, check health, stop when told, and record the end."""

from __future__ import annotations

import os
import sys
from select import POLLIN, poll
from time import monotonic

from scheduler.executor import children
from scheduler.executor.folder import SANDBOX, AlreadyRunning, TaskFolder, now_ms, process_start_time
from scheduler.executor.health import Health
from scheduler.executor.light import SIGKILL, SIGTERM, SIGUSR1, Signals, become_subreaper, dumps
from scheduler.executor.probe import HttpRequest
from scheduler.executor.processes import Process, Processes
from scheduler.executor.stopping import KILL, POST, Escalation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SHUTDOWN_CALL_SECS = 2.0
RETRY_SECS = 1.0
NUDGE_RETRY_SECS = 0.05
IDLE_SECS = 3600.0


class Runner:
    """Runs one task to its end. SIGTERM: stop it step by step. SIGUSR1: kill everything now."""

    def __init__(self, folder: TaskFolder, spec: dict[str, Any], signals: Signals) -> None:
        self._folder = folder
        self._spec = spec
        self._signals = signals
        self._processes = Processes(
            spec["processes"], max_failures=spec["max_failures"], max_concurrency=spec["max_concurrency"]
        )
        self._health: Health | None = None
        self._stopping: Escalation | None = None
        self._end: tuple[str, str] | None = None
        self._request: HttpRequest | None = None
        self._children_left = False
        self._asked: set[int] = set()
        """The process groups that have had TERM."""
        self._running_reported = False

    def run(self) -> None:
        os.makedirs(f"{self._folder.path}/{SANDBOX}", exist_ok=True)
        os.chdir(f"{self._folder.path}/{SANDBOX}")
        children.limit_open_files(self._spec["open_files"])
        self._folder.note("STARTING")
        if self._spec["health"]:
            self._health = Health(self._spec["health"], monotonic())
        signals = self._signals.drain()  # a TERM that came first: nothing is started then
        while True:
            self._obey(signals)
            self._reap()
            self._decide()
            if self._end and not self._processes.running() and not self._children_left:
                break
            self._act(monotonic())
            self._wait()
            signals = self._signals.drain()
        self._record_end(*self._end)

    # --- what came in ------------------------------------------------------------------------------------------------

    def _obey(self, signals: set[int]) -> None:
        if SIGTERM in signals or SIGUSR1 in signals:
            how = "killed" if SIGUSR1 in signals else "stopped"
            self._stop("KILLED", f"{how} on the scheduler's order")
        if SIGUSR1 in signals and self._stopping:
            self._stopping.skip_to_kill()

    def _reap(self) -> None:
        changed = False
        ended, self._children_left = children.reap()
        for pid, code in ended:
            p = self._processes.by_pid(pid)
            if p:
                self._processes.ended(p, code)
                changed = True
        if changed:
            self._folder.record_processes(self._processes.summary())

    def _decide(self) -> None:
        """Has the task come to its end? If its processes ended unasked, what they left behind is not asked either."""
        if not self._end:
            outcome = self._processes.outcome()
            if outcome:
                self._stop(*outcome, calls=False)
        if self._stopping and not self._stopping.has_asked and not self._processes.running():
            self._stopping.skip_to_kill()

    def _stop(self, status: str, message: str, *, calls: bool = True) -> None:
        """Settle the end, once; from now on nothing is started. What still runs is stopped step by step.

        `calls`: with the HTTP calls that ask the task to end by itself, as long as it has not.
        """
        if self._end:
            return
        self._end = (status, message)
        self._drop_request()
        self._stopping = Escalation(self._spec["shutdown"] if calls else None, self._spec["finalization_wait_secs"])

    # --- what to do --------------------------------------------------------------------------------------------------

    def _act(self, now: float) -> None:
        if self._request:
            self._request.step(now)
            if self._request.done:
                self._answered(self._request, now)
        if self._stopping:
            self._escalate(now)
            return
        ready = self._processes.ready(now)
        for p in ready:
            self._start(p, now)
        if ready:
            self._folder.record_processes(self._processes.summary())
        if self._health is None:
            self._report_running("started")
        elif not self._request and now >= self._health.next_at:
            health = self._health
            self._request = HttpRequest("GET", health.port, health.endpoint, timeout_secs=health.timeout_secs, now=now)

    def _start(self, p: Process, now: float) -> None:
        try:
            pid = children.spawn(p.argv, self._spec["environ"], f".logs/{p.name}")
        except (OSError, ValueError) as e:  # ValueError: what no command can hold
            complain(f"cannot start process {p.name}: {e}")
            self._processes.not_started(p, getattr(e, "strerror", None) or str(e), now)
            return
        self._processes.started(p, pid, now, process_start_time(pid))

    def _report_running(self, message: str) -> None:
        if not self._running_reported:
            self._running_reported = True
            self._folder.note("RUNNING", message)

    def _answered(self, request: HttpRequest, now: float) -> None:
        self._request = None
        if self._stopping:
            if request.error or request.code >= 400:
                self._stopping.hurry()
        elif self._health:
            unhealthy = self._health.count(self._health.judge(request), now)
            if unhealthy:
                self._stop("FAILED", unhealthy)
            elif self._health.is_healthy:
                self._report_running("healthy")

    def _drop_request(self) -> None:
        if self._request:
            self._request.close()
            self._request = None

    def _escalate(self, now: float) -> None:
        assert self._stopping is not None
        step = self._stopping.next(now)
        if step:
            self._drop_request()
            if step.action == POST:
                timeout = min(SHUTDOWN_CALL_SECS, step.wait_secs)
                self._request = HttpRequest("POST", step.port, step.path, timeout_secs=timeout, now=now)
            elif step.action == KILL:
                for p in self._processes.running():
                    children.signal_group(p.pid, SIGKILL)
        if self._stopping.is_killing:
            if not self._processes.running():
                children.kill_children()
        elif self._stopping.has_asked:
            self._ask()

    def _ask(self) -> None:
        """TERM to the groups of our processes, and of orphans as they become ours. To each once: a shell may be gone
        at once and what it waited for still be at its clean end."""
        groups = {p.pid for p in self._processes.running()} | children.groups()
        for group in groups - self._asked:
            children.signal_group(group, SIGTERM)
        self._asked |= groups

    # --- waiting -----------------------------------------------------------------------------------------------------

    def _wait(self) -> None:
        """Until a signal comes, the request can go on, or something is due."""
        now = monotonic()
        poller = poll()
        poller.register(self._signals.fd, POLLIN)
        if self._request and not self._request.done:
            poller.register(self._request.fd, self._request.events)
        poller.poll(max(0.0, min(self._dues(now)) - now) * 1000 + 1)
        if self._folder.notes_wait:
            self._folder.write_notes()
        elif self._folder.nudge_waits:
            self._folder.nudge()

    def _dues(self, now: float) -> list[float]:
        dues = [now + IDLE_SECS]
        if self._folder.notes_wait:
            dues.append(now + RETRY_SECS)
        if self._folder.nudge_waits:
            dues.append(now + NUDGE_RETRY_SECS)
        if self._request:
            dues.append(self._request.deadline)
        if self._stopping:
            if not self._stopping.is_killing:
                dues.append(self._stopping.until)
            elif not self._processes.running():
                dues.append(now + NUDGE_RETRY_SECS)  # orphans are being killed
            return dues
        if self._processes.outcome():
            dues.append(now)  # none could be started
        due = self._processes.next_due()
        if due is not None:
            dues.append(due)
        if self._health and not self._request:
            dues.append(self._health.next_at)
        return dues

    # --- the end -----------------------------------------------------------------------------------------------------

    def _record_end(self, status: str, message: str) -> None:
        record: dict[str, Any] = {"status": status, "message": message, "timestamp_ms": now_ms(), **children.usage()}
        summary = self._processes.summary()
        if len(dumps(summary)) < 3000:  # else it would not fit into the room put aside
            record["processes"] = summary
        record_end(self._folder, record, self._signals)


def complain(sentence: str) -> None:
    """Into the executor's log, if there is room: its disk may be the one that is full."""
    try:  # noqa: SIM105  # contextlib costs every task memory
        print(sentence, file=sys.stderr, flush=True)
    except OSError:
        pass


def record_end(folder: TaskFolder, record: dict[str, Any], signals: Signals) -> None:
    """Write the exit record, for as long as it takes; meanwhile the engine is told by word of mouth.

    We stay, and hold the lock, until it is written, SIGUSR1 says that nobody needs it, or there is nowhere to write it:
    the task may have removed its own folder.
    """
    complained = False
    while True:
        try:
            folder.write_exit(record)
            folder.nudge()
            return
        except OSError as e:
            if not complained:
                complain(f"cannot write the end of the task: {e}")
                complained = True
            folder.nudge(dumps({**record, "unwritten": str(e)}))
            if folder.is_gone and not folder.nudge_waits:
                return
        poller = poll()
        poller.register(signals.fd, POLLIN)
        poller.poll(RETRY_SECS * 1000)
        if SIGUSR1 in signals.drain():
            return


def main(argv: list[str]) -> int:
    """Run the task in the folder `argv[1]`, whose lock is open as descriptor `argv[2]` if given."""
    if len(argv) not in (2, 3):
        print(f"usage: {argv[0]} TASK_FOLDER [LOCK_FD]", file=sys.stderr)
        return 2
    signals = Signals()
    os.umask(0o022)
    try:
        folder = TaskFolder(argv[1], int(argv[2]) if len(argv) == 3 else None)
    except AlreadyRunning as e:
        print(f"another executor runs in {e}", file=sys.stderr)
        return 1
    become_subreaper()
    folder.record_executor()
    try:
        Runner(folder, folder.read_spec(), signals).run()
    except Exception as e:
        while children.reap()[1]:
            children.kill_children()
            poll().poll(20)
        end = {"status": "LOST", "message": f"the executor failed: {e!r}", "timestamp_ms": now_ms()}
        record_end(folder, end, signals)
        raise
    return 0
