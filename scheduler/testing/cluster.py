"""Real schedulers in a folder of their own, to be started, killed and started again.

>>> with Cluster() as cluster:
...     scheduler = cluster.scheduler()
...     scheduler.start()
...     with scheduler.client() as client:
...         client.getServerState().epoch
...     scheduler.kill()
...     scheduler.start(failpoint="after-append:3")
1

On leaving, everything that was started for the folder is ended, tasks and engine servers too, and the folder goes away.
What would not end is an error.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from thriftpy2.rpc import make_client
from thriftpy2.thrift import TException

from scheduler.failpoints.from_env import VARIABLE
from scheduler.interface import thesan
from scheduler.testing.leftovers import belonging_to, end_all

__all__ = ["BROKEN", "Cluster", "DidNotStart", "Scheduler", "free_port"]

START_S: Final = 20.0
STOP_S: Final = 20.0
LOOK_EVERY_S: Final = 0.02
_PORTS: Final = range(20_000, 30_000)
"""Below the range the system takes outgoing ports from: a client that calls a dead scheduler's port must not get that
very port as its own and so talk to itself."""

BROKEN: Final[tuple[type[Exception], ...]] = (OSError, EOFError, TException)
"""What a client raises when its connection breaks: whether the call was carried out is then open."""


class DidNotStart(Exception):
    """A scheduler ended, or did not lead in time; its last words are in the message."""


def free_port(taken: Sequence[int] = ()) -> int:
    """A port of loopback that nobody listens on now."""
    for port in random.sample(_PORTS, 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            if port not in taken:
                return port
    raise OSError(f"no free port between {_PORTS.start} and {_PORTS.stop}")


class Scheduler:
    """One `thesan serve`: the same data directory and the same ports, however often it is started."""

    def __init__(self, name: str, folder: Path, flags: Sequence[str]) -> None:
        self.name = name
        self.folder = folder
        self.data_dir = folder / f"{name}-data"
        self.thrift_port = free_port()
        self.http_port = free_port([self.thrift_port])
        self.flags = list(flags)
        self.log_path = folder / f"{name}.log"
        """What it said, of all its lives."""
        self.lives = 0
        self.ahead_ms = 0
        """How far its machine's wall clock is ahead, from the next start on."""
        self._process: subprocess.Popen[bytes] | None = None

    # --- its life ---

    def start(self, *, failpoint: str | None = None, wait: bool = True) -> None:
        """Start it. `failpoint`: `name[:nth][:action]`, where it is to stop itself. `wait`: until it leads.

        Raises DidNotStart.
        """
        if self.alive:
            raise RuntimeError(f"{self.name} runs already, as process {self.pid}")
        program = ["scheduler.testing.ahead", str(self.ahead_ms)] if self.ahead_ms else ["scheduler"]
        words = [sys.executable, "-m", *program, "serve", "--data-dir", str(self.data_dir)]
        words += ["--http-port", str(self.http_port), "--thrift-port", str(self.thrift_port), *self.flags]
        environ = {name: value for name, value in os.environ.items() if name != VARIABLE}
        if failpoint is not None:
            environ[VARIABLE] = failpoint
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(words, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.lives += 1
        if wait:
            self.wait_until_leading()

    def wait_until_leading(self, timeout_s: float = START_S) -> None:
        """Until it answers from its state. Raises DidNotStart."""
        give_up_at = time.monotonic() + timeout_s
        while time.monotonic() < give_up_at:
            if not self.alive:
                raise DidNotStart(f"{self.name} ended with {self.exit_status}:\n{self.last_words()}")
            with suppress(*BROKEN), self.client(timeout_s=1) as client:
                if client.getServerState().epoch > 0:
                    return
            time.sleep(LOOK_EVERY_S)
        raise DidNotStart(f"{self.name} does not lead after {timeout_s:g} s:\n{self.last_words()}")

    def kill(self) -> None:
        """As `kill -9` does. Nothing when it is dead."""
        self.signal(signal.SIGKILL)
        self.wait_for_end()

    def stop(self) -> int:
        """Ask it to end (SIGTERM) and wait. Returns its exit status."""
        self.signal(signal.SIGTERM)
        return self.wait_for_end()

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def wait_for_end(self, timeout_s: float = STOP_S) -> int:
        """Until it is dead. Returns its exit status, that of a killed one is -9. Raises subprocess.TimeoutExpired."""
        assert self._process is not None, f"{self.name} was never started"
        return self._process.wait(timeout_s)

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exit_status(self) -> int | None:
        return None if self._process is None else self._process.poll()

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    # --- talking to it ---

    @contextmanager
    def client(self, *, timeout_s: float = 10) -> Iterator[Any]:
        """A client of `thesan.Scheduler` on a raw connection of its own. Raises what stands in `BROKEN`."""
        client = make_client(thesan.Scheduler, "127.0.0.1", self.thrift_port, timeout=int(timeout_s * 1000))
        try:
            yield client
        finally:
            client.close()

    def ask(self, method: str, *arguments: Any) -> Any:
        """One call on a connection of its own."""
        with self.client() as client:
            return getattr(client, method)(*arguments)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def log(self) -> str:
        try:
            return self.log_path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def last_words(self, lines: int = 15) -> str:
        return "\n".join(self.log().splitlines()[-lines:])


class Cluster:
    """A new temporary folder and the schedulers in it. Use as a context.

    `inside` is where the folder is made; its name is random, since whatever process names it will be ended with it.
    `keep` leaves the folder behind, for people to look at.
    """

    def __init__(
        self, inside: Path | None = None, *, engine: str = "local", flags: Sequence[str] = (), keep: bool = False
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="thesan-", dir=inside)).resolve()
        self.schedulers: list[Scheduler] = []
        self._keep = keep
        self._flags = ["--engine", engine, *flags]

    def scheduler(self, *, flags: Sequence[str] = ()) -> Scheduler:
        """One more scheduler, not started yet."""
        made = Scheduler(f"scheduler-{len(self.schedulers) + 1}", self.folder, [*self._flags, *flags])
        self.schedulers.append(made)
        return made

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            said = "\n".join(f"--- {one.name} last said:\n{one.last_words()}" for one in self.schedulers)
            error.add_note(said)
        self.close()

    def close(self) -> None:
        """End all that was started here, and make sure of it. Raises RuntimeError for what would not end."""
        for scheduler in self.schedulers:
            scheduler.kill() if scheduler.lives else None
        left = end_all(self.folder) or belonging_to(self.folder)
        if not self._keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        if left:
            raise RuntimeError("these would not end: " + ", ".join(f"{one.pid} ({one.command})" for one in left))
