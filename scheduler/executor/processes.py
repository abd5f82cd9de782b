"""Which of a task's processes may run, and how the task ended: a table, without any process of its own.

The rules are those of Thermos processes (Aurora's documentation, configuration reference): a process that fails is
run again until `max_failures` (0: for ever), a daemon also after success, at most once in `min_duration_secs`;
an ephemeral process is not waited for; the task fails with its `max_failures`-th failed process (0: never).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

WAITING, RUNNING, SUCCEEDED, FAILED = "waiting", "running", "succeeded", "failed"


def describe_exit(code: int) -> str:
    return f"exited with code {code}" if code >= 0 else f"was ended by signal {-code}"


class Process:
    """One process of the task; `code` is its last exit code, negative for a signal."""

    __slots__ = ("after", "argv", "code", "daemon", "ephemeral", "failures", "max_failures", "min_duration_secs",
                 "name", "not_before", "obstacle", "pid", "runs", "start_time", "started_at", "state")  # fmt: skip

    def __init__(self, spec: dict[str, Any]) -> None:
        self.name: str = spec["name"]
        self.argv: list[str] = spec["argv"]
        self.after: list[str] = spec["after"]
        self.max_failures: int = spec["max_failures"]
        self.min_duration_secs: float = spec["min_duration_secs"]
        self.daemon: bool = spec["daemon"]
        self.ephemeral: bool = spec["ephemeral"]
        self.state = WAITING
        self.pid = 0
        self.start_time = 0
        self.runs = 0
        self.failures = 0
        self.code: int | None = None
        self.obstacle = ""
        """Why its last run could not even begin."""
        self.started_at = 0.0
        self.not_before = 0.0


class Processes:
    """All processes of a task. Times are seconds of one monotonic clock."""

    def __init__(self, specs: Iterable[dict[str, Any]], *, max_failures: int, max_concurrency: int) -> None:
        self.all = [Process(spec) for spec in specs]
        self._by_name = {p.name: p for p in self.all}
        self._behind: dict[str, list[Process]] = {p.name: [] for p in self.all}
        for p in self.all:
            for name in p.after:
                self._behind[name].append(p)
        self._max_failures = max_failures
        self._max_concurrency = max_concurrency

    def running(self) -> list[Process]:
        return [p for p in self.all if p.state is RUNNING]

    def by_pid(self, pid: int) -> Process | None:
        return next((p for p in self.all if p.state is RUNNING and p.pid == pid), None)

    def _free(self, p: Process) -> bool:
        return p.state is WAITING and all(self._by_name[name].state is SUCCEEDED for name in p.after)

    def ready(self, now: float) -> list[Process]:
        """Those to start now, in their order in the task."""
        due = [p for p in self.all if self._free(p) and p.not_before <= now]
        return due[: max(0, self._max_concurrency - len(self.running()))] if self._max_concurrency else due

    def next_due(self) -> float | None:
        """When the next one that waits for its `min_duration_secs` may run again."""
        if self._max_concurrency and len(self.running()) >= self._max_concurrency:
            return None
        return min((p.not_before for p in self.all if self._free(p)), default=None)

    def started(self, p: Process, pid: int, now: float, start_time: int = 0) -> None:
        """`start_time` is the kernel's word, which with the pid says who it is."""
        p.state, p.pid, p.started_at, p.start_time = RUNNING, pid, now, start_time
        p.obstacle = ""
        p.runs += 1

    def not_started(self, p: Process, obstacle: str, now: float) -> None:
        """Counts as a run that failed with a shell's code for that."""
        self.started(p, 0, now)
        p.obstacle = obstacle
        self.ended(p, 127)

    def ended(self, p: Process, code: int) -> None:
        p.code = code
        p.not_before = p.started_at + p.min_duration_secs
        if code == 0:
            p.state = WAITING if p.daemon else SUCCEEDED
            return
        p.failures += 1
        p.state = FAILED if p.max_failures and p.failures >= p.max_failures else WAITING

    def _hopeless(self, failed: list[Process]) -> set[str]:
        """Names of those that wait behind one that failed, and of those behind them: they never run."""
        found: set[str] = set()
        behind = list(failed)
        while behind:
            for p in self._behind[behind.pop().name]:
                if p.state is WAITING and p.name not in found:
                    found.add(p.name)
                    behind.append(p)
        return found

    def outcome(self) -> tuple[str, str] | None:
        """The task's end, status and sentence, once its processes have decided it."""
        failed = [p for p in self.all if p.state is FAILED]
        if self._max_failures and len(failed) >= self._max_failures:
            last = failed[-1]
            tries = f", run {last.runs} times" if last.runs > 1 else ""
            how = f"cannot be started: {last.obstacle}" if last.obstacle else describe_exit(last.code or 0)
            return "FAILED", f"process {last.name} {how}{tries}"
        hopeless = self._hopeless(failed)
        if all(p.ephemeral or p.state in (SUCCEEDED, FAILED) or p.name in hopeless for p in self.all):
            names = ", ".join(p.name for p in failed)
            return "FINISHED", f"finished, though {names} failed" if names else "finished"
        return None

    def summary(self) -> list[dict[str, Any]]:
        """Name, runs and last exit code of each; of those that run, who they are."""
        return [
            {"name": p.name, "runs": p.runs, "exit_code": p.code}
            | ({"pid": p.pid, "start_time": p.start_time} if p.state is RUNNING else {})
            for p in self.all
        ]
