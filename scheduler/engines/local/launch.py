"""Starting a task's executor: its folder, its spec, its process. Synchronous."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import sys
from functools import cache
from pathlib import Path
from typing import Any

from scheduler.contracts import LaunchOrder
from scheduler.engines.local.folder import write_file
from scheduler.engines.local.limits import make_room
from scheduler.engines.local.posix_spawn import spawn as posix_spawn
from scheduler.engines.local.remains import MARKER
from scheduler.engines.local.tasks import LOCK, SANDBOX, SPEC
from scheduler.engines.plan import HEALTH_PORT, ProcessPlan, TaskPlan
from scheduler.engines.templates import fill

EXECUTOR = Path(__file__).parent.parent.parent / "executor" / "__main__.py"
EXECUTOR_LOG = "executor.log"
_LOCK_FD = 3
_PASSED_ON = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TZ", "USER")


def write_spec(path: Path, order: LaunchOrder, plan: TaskPlan, *, cluster: str) -> None:
    """All the executor will know, with the references filled in."""
    (path / SANDBOX).mkdir(mode=0o755)
    write_file(path / SPEC, to_spec(path, order, plan, cluster=cluster))


def to_spec(path: Path, order: LaunchOrder, plan: TaskPlan, *, cluster: str) -> dict[str, Any]:
    ports = dict(order.ports)
    return {
        "task_id": order.task_id,
        "job": str(order.config.job),
        "instance": order.instance_id,
        "ports": ports,
        "processes": [_process(p, order, ports) for p in plan.processes],
        "environ": environment(path, order, cluster=cluster),
        "open_files": make_room(),
        "max_failures": plan.max_failures,
        "max_concurrency": plan.max_concurrency,
        "finalization_wait_secs": plan.finalization_wait_secs,
        "health": plan.health and _health(plan, ports[HEALTH_PORT]),
        "shutdown": plan.shutdown and _shutdown(plan, ports[plan.shutdown.port]),
    }


def _process(p: ProcessPlan, order: LaunchOrder, ports: dict[str, int]) -> dict[str, Any]:
    cmdline = fill(p.cmdline, instance_id=order.instance_id, hostname=order.host, task_id=order.task_id, ports=ports)
    return {
        "name": p.name,
        "argv": [_shell(p.shell), "-c", cmdline],
        "after": list(p.after),
        "max_failures": p.max_failures,
        "min_duration_secs": p.min_duration_secs,
        "daemon": p.daemon,
        "ephemeral": p.ephemeral,
    }


def _health(plan: TaskPlan, port: int) -> dict[str, Any]:
    health = plan.health
    assert health is not None
    return {
        "port": port,
        "endpoint": health.endpoint,
        "expected_response": health.expected_response,
        "expected_response_code": health.expected_response_code,
        "initial_interval_secs": health.initial_interval_secs,
        "interval_secs": health.interval_secs,
        "timeout_secs": health.timeout_secs,
        "max_consecutive_failures": health.max_consecutive_failures,
        "min_consecutive_successes": health.min_consecutive_successes,
    }


def _shutdown(plan: TaskPlan, port: int) -> dict[str, Any]:
    shutdown = plan.shutdown
    assert shutdown is not None
    return {
        "port": port,
        "graceful_endpoint": shutdown.graceful_endpoint,
        "graceful_wait_secs": shutdown.graceful_wait_secs,
        "endpoint": shutdown.endpoint,
        "wait_secs": shutdown.wait_secs,
    }


@cache
def _shell(name: str) -> str:
    """Thermos command lines are bash's; where there is none, sh has to do."""
    return shutil.which(name) or "/bin/sh"


def environment(path: Path, order: LaunchOrder, *, cluster: str) -> dict[str, str]:
    """A task's environment: a few of ours, none that could hold a secret, and the task's own facts."""
    environ = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environ.setdefault("PATH", os.defpath)
    job = order.config.job
    sandbox = str(path / SANDBOX)
    environ |= {
        MARKER: sandbox,
        "THESAN_TASK_ID": order.task_id,
        "THESAN_CLUSTER": cluster,
        "THESAN_ROLE": job.role,
        "THESAN_ENVIRONMENT": job.environment,
        "THESAN_JOB": job.name,
        "THESAN_INSTANCE": str(order.instance_id),
        "THESAN_HOST": order.host,
        "MESOS_SANDBOX": sandbox,
    }
    for name, port in order.ports:
        environ["THESAN_PORT_" + re.sub(r"\W", "_", name, flags=re.ASCII).upper()] = str(port)
    return environ


def spawn(path: Path) -> int:
    """Start the executor in a session of its own. Returns its pid; it is our child until we die. Raises OSError.

    It is born with the lock of its folder, so from its first moment on the task is known to be alive, and with its
    signals blocked, so that a TERM before it listens is not lost.
    """
    fd = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        environ = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
        return posix_spawn(
            # -I -S: nothing but the standard library, whatever the environment says.
            [sys.executable, "-I", "-S", "-X", "utf8", str(EXECUTOR), str(path), str(_LOCK_FD)],
            environ,
            opened=[
                (0, os.devnull, os.O_RDONLY),
                (1, str(path / EXECUTOR_LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND),
            ],
            passed_on=[(1, 2), (fd, _LOCK_FD)],
            blocked=[signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD],
        )
    finally:
        os.close(fd)
