"""What a task configuration asks an engine to run, once it has been understood. Made by `thermos.parse`."""

from __future__ import annotations

from attrs import frozen

HEALTH_PORT = "health"
"""Health checks and the HTTP shutdown calls go to the port of this name, as in Aurora."""


@frozen
class ProcessPlan:
    """One process. `after`: the names of those that must have succeeded before it starts."""

    name: str
    cmdline: str
    shell: str = "bash"
    max_failures: int = 1
    min_duration_secs: float = 5
    daemon: bool = False
    ephemeral: bool = False
    after: tuple[str, ...] = ()


@frozen
class HealthPlan:
    """HTTP health checks, with Aurora's defaults. An expectation of "" or 0 is none."""

    endpoint: str = "/health"
    expected_response: str = "ok"
    expected_response_code: int = 0
    initial_interval_secs: float = 15
    interval_secs: float = 10
    timeout_secs: float = 1
    max_consecutive_failures: int = 0
    min_consecutive_successes: int = 1


@frozen
class ShutdownPlan:
    """HTTP calls that ask the task to end, before it is signalled. An empty endpoint is not called."""

    port: str = HEALTH_PORT
    graceful_endpoint: str = "/quitquitquit"
    endpoint: str = "/abortabortabort"
    graceful_wait_secs: float = 5
    wait_secs: float = 5


@frozen
class TaskPlan:
    """A task's processes and how it is watched and stopped."""

    processes: tuple[ProcessPlan, ...]
    max_failures: int = 1
    max_concurrency: int = 0
    finalization_wait_secs: float = 30
    health: HealthPlan | None = None
    shutdown: ShutdownPlan | None = None

    @property
    def stop_wait_ms(self) -> int:
        """How long after TERM the task may take, before its executor kills it: all steps together."""
        waits = self.finalization_wait_secs
        if self.shutdown:
            waits += self.shutdown.graceful_wait_secs if self.shutdown.graceful_endpoint else 0
            waits += self.shutdown.wait_secs if self.shutdown.endpoint else 0
        return int(waits * 1000)
