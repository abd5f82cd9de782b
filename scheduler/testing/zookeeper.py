"""Real ZooKeeper servers on loopback, from Debian's libzookeeper-java, one or an ensemble: started, killed, frozen.

>>> with ZooKeeper.temporary() as server:
...     server.address
'127.0.0.1:27431'

Each needs about 60 MB and a third of a second to start. What was written is kept between `kill` and `start`. A server
ends with the thread that started it, however that one ends. For faults of the network see `proxy.py`.
"""

from __future__ import annotations

import atexit
import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Final

from kazoo.client import KazooClient

from scheduler.testing.cluster import free_port

__all__ = ["JARS", "Ensemble", "NoZooKeeper", "ZooKeeper", "expire_session", "shared_server"]

JARS: Final = (Path("/usr/share/java/zookeeper.jar"), Path("/usr/share/java/slf4j-simple.jar"))
_START_S: Final = 30.0
_LOOK_EVERY_S: Final = 0.02
_JAVA: Final = (
    "java",
    "-XX:TieredStopAtLevel=1",  # a third of the time to start
    "-XX:+UseSerialGC",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)


class NoZooKeeper(Exception):
    """It is not installed, or did not start; the sentence says what to do, or its last words."""


class ZooKeeper:
    """One server. `tick_ms` decides what session timeouts it grants: from two ticks on. All it holds is in its heap."""

    def __init__(self, folder: Path, *, tick_ms: int = 200, number: int = 1, heap_mb: int = 128) -> None:
        self.folder = folder
        self.tick_ms = tick_ms
        self.number = number
        self.heap_mb = heap_mb
        self.port = free_port()
        self.quorum: tuple[str, ...] = ()
        """Lines of the configuration that name the ensemble; empty for a server alone."""
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextlib.contextmanager
    def temporary(cls, *, tick_ms: int = 200, heap_mb: int = 128) -> Iterator[ZooKeeper]:
        """A running one in a folder that goes away with it."""
        with (
            tempfile.TemporaryDirectory(prefix="thesan-zk-") as folder,
            cls(Path(folder), tick_ms=tick_ms, heap_mb=heap_mb) as server,
        ):
            server.start()
            yield server

    def __enter__(self) -> ZooKeeper:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.kill()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def launch(self) -> None:
        """Start the process and do not wait. Raises NoZooKeeper."""
        missing = [str(jar) for jar in JARS if not jar.exists()]
        if shutil.which("java") is None:
            missing.append("java")
        if missing:
            raise NoZooKeeper(
                f"{', '.join(missing)} not found; as root: apt-get install -y libzookeeper-java libslf4j-java"
                " default-jre-headless"
            )
        (self.folder / "data").mkdir(parents=True, exist_ok=True)
        (self.folder / "data" / "myid").write_text(f"{self.number}\n")
        config = self.folder / "zoo.cfg"
        config.write_text("\n".join((*self._config(), *self.quorum)) + "\n")
        java = (*_JAVA, f"-Xmx{self.heap_mb}m", "-cp", ":".join(map(str, JARS)))
        main = "quorum.QuorumPeerMain" if self.quorum else "ZooKeeperServerMain"
        guard = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*guard, *java, f"org.apache.zookeeper.server.{main}", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _config(self) -> tuple[str, ...]:
        return (
            f"tickTime={self.tick_ms}",
            f"dataDir={self.folder / 'data'}",
            f"clientPort={self.port}",
            "clientPortAddress=127.0.0.1",
            "maxSessionTimeout=60000",
            "maxClientCnxns=0",
            "admin.enableServer=false",
            "4lw.commands.whitelist=*",
        )

    def start(self) -> None:
        """Start and wait until it serves. Raises NoZooKeeper."""
        self.launch()
        self.wait_until_serving()

    def wait_until_serving(self, within_s: float = _START_S) -> None:
        give_up_at = time.monotonic() + within_s
        while self.mode is None:
            if self._process is None or self._process.poll() is not None or time.monotonic() > give_up_at:
                self.kill()
                raise NoZooKeeper(f"ZooKeeper does not serve: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(_LOOK_EVERY_S)

    @property
    def mode(self) -> str | None:
        """'standalone', 'leader', 'follower', or None while it does not serve."""
        for line in self.ask("srvr").splitlines():
            if line.startswith("Mode: "):
                return line.removeprefix("Mode: ")
        return None

    def ask(self, word: str) -> str:
        """The answer to one of ZooKeeper's four-letter words; empty when there is none."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
            connection.sendall(word.encode())
            return b"".join(iter(lambda: connection.recv(65_536), b"")).decode()
        return ""

    def freeze(self) -> None:
        """It stops in the middle of whatever it does; its connections stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """kill -9. Nothing happens when it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Ensemble:
    """Three servers that agree on everything."""

    def __init__(self, folder: Path, *, tick_ms: int = 200, size: int = 3, sync_limit: int = 4) -> None:
        """`sync_limit` is after how many ticks a follower gives up a leader it does not hear of, and its clients."""
        self.servers = [ZooKeeper(folder / str(n), tick_ms=tick_ms, number=n) for n in range(1, size + 1)]
        taken: list[int] = []
        for _ in range(2 * size):
            taken.append(free_port(taken))
        peers = [f"server.{n}=127.0.0.1:{taken[2 * n - 2]}:{taken[2 * n - 1]}" for n in range(1, size + 1)]
        for server in self.servers:
            server.quorum = ("initLimit=20", f"syncLimit={sync_limit}", "standaloneEnabled=false", *peers)

    @classmethod
    @contextlib.contextmanager
    def temporary(cls, *, tick_ms: int = 200, sync_limit: int = 4) -> Iterator[Ensemble]:
        """A running one in a folder that goes away with it."""
        with tempfile.TemporaryDirectory(prefix="thesan-zk-") as folder:
            ensemble = cls(Path(folder), tick_ms=tick_ms, sync_limit=sync_limit)
            try:
                ensemble.start()
                yield ensemble
            finally:
                for server in ensemble.servers:
                    server.kill()

    def start(self) -> None:
        """All of them, until each serves."""
        for server in self.servers:
            server.launch()
        for server in self.servers:
            server.wait_until_serving()

    @property
    def addresses(self) -> str:
        return ",".join(server.address for server in self.servers)

    @property
    def leader(self) -> ZooKeeper:
        """Raises LookupError while there is none."""
        for server in self.servers:
            if server.mode == "leader":
                return server
        raise LookupError("the ensemble has no leader now")

    @property
    def followers(self) -> list[ZooKeeper]:
        return [server for server in self.servers if server.mode == "follower"]


@cache
def shared_server() -> ZooKeeper:
    """One for this whole process: the cheapest. Let each test use a chroot of its own, and never stop it."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(ZooKeeper.temporary())


def expire_session(address: str, session_id: int, password: bytes) -> None:
    """End a session on the server, as if its owner had not been heard of for too long. Blocks for milliseconds."""
    double = KazooClient(address, client_id=(session_id, password))
    double.start(timeout=10)
    double.stop()
    double.close()
