"""Starting and stopping the simulated engine's server process. Synchronous."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

from scheduler.contracts import EngineError
from scheduler.engines.simulated.options import Options, to_arguments
from scheduler.engines.simulated.wire import frame
from scheduler.engines.unix_path import short_path

START_SECS = 10.0


def _connect(path: Path) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(START_SECS)
    try:
        with short_path(path) as address:
            connection.connect(address)
    except OSError:
        connection.close()
        return None
    return connection


def ensure_server(path: Path, options: Options, *, idle_exit_secs: float | None = None) -> int | None:
    """Start the server of this socket unless one answers there. Returns its pid if it was started here.

    It runs in a session of its own and outlives us. Its output goes to `<path>.log`. Raises EngineError.
    """
    path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = _connect(path)
    if connection is not None:
        connection.close()
        return None
    log = path.with_name(path.name + ".log")
    pid = _spawn(path, options, idle_exit_secs, log)
    give_up_at = time.monotonic() + START_SECS
    ended = False
    while time.monotonic() < give_up_at:
        connection = _connect(path)
        if connection is not None:
            connection.close()
            return pid
        if ended:
            break
        # When it has ended, another one may have been faster: look once more.
        ended = os.waitpid(pid, os.WNOHANG)[0] == pid
        time.sleep(0.02)
    raise EngineError(f"the simulated engine did not start at {path}; see {log}")


def _spawn(path: Path, options: Options, idle_exit_secs: float | None, log: Path) -> int:
    words = [sys.executable, "-m", "scheduler.engines.simulated.server", "--socket", str(path), *to_arguments(options)]
    if idle_exit_secs is not None:
        words += ["--idle-exit-secs", str(idle_exit_secs)]
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.posix_spawn(
        sys.executable,
        words,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def stop_server(path: Path) -> None:
    """End the server of this socket, and so all its tasks; does nothing when there is none."""
    connection = _connect(path)
    if connection is None:
        return
    with connection:
        connection.sendall(frame({"shutdown": True}))
        while connection.recv(4096):
            pass
