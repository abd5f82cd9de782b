"""Several real schedulers over one log in ZooKeeper, with faults of machines and of the network.

>>> with ZooKeeper.temporary() as zookeeper, Fleet(zookeeper.port) as fleet:
...     fleet.start(3)
...     old = fleet.leader()
...     old.kill()
...     fleet.leader(after=old.epoch)

Each scheduler reaches ZooKeeper through a proxy of its own, so that one can be cut off and not the others. They share
the engine, as the schedulers of one machine do.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, Final

from scheduler.testing.cluster import BROKEN, LOOK_EVERY_S, START_S, Cluster, DidNotStart, Scheduler
from scheduler.testing.proxy import Proxy

__all__ = ["Fleet", "Member", "NoLeader"]

SESSION_MS: Final = 1_500
"""Short, so that tests need not wait; the server's tick must be half of it at most."""


FRESH_MS: Final = 5_000
"""A standby that looked so lately follows."""


class NoLeader(AssertionError):
    """Nobody leads in time."""


class Member:
    """One scheduler and its way to ZooKeeper."""

    def __init__(self, scheduler: Scheduler, network: Proxy) -> None:
        self.scheduler = scheduler
        self.network = network

    @property
    def name(self) -> str:
        return self.scheduler.name

    def state(self) -> Any:
        """What getServerState says; None when it does not answer."""
        if not self.scheduler.alive:
            return None
        with suppress(*BROKEN), self.scheduler.client(timeout_s=1) as client:
            return client.getServerState()
        return None

    @property
    def epoch(self) -> int:
        """Of the term it is in; 0 when it does not lead, or does not answer."""
        state = self.state()
        return 0 if state is None else int(state.epoch)

    def http(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> http.client.HTTPResponse:
        """One request on a connection of its own; redirects are not followed. The body was read."""
        connection = http.client.HTTPConnection("127.0.0.1", self.scheduler.http_port, timeout=5)
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        response.body = response.read()  # type: ignore[attr-defined]
        connection.close()
        return response

    def follows_or_leads(self) -> bool:
        """It knows who leads, and if that is another one it has read the log to its end."""
        status = self.http("/leaderhealth").status
        return status == 200 or (status == 503 and self.vars().get("standby_staleness_ms", FRESH_MS) < FRESH_MS)

    def vars(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.http("/vars.json").body)  # type: ignore[attr-defined]
        return found


class Fleet:
    """The schedulers of one cluster. Use as a context."""

    def __init__(
        self,
        zookeeper_port: int,
        *,
        engine: str = "simulated",
        flags: Sequence[str] = (),
        session_ms: int = SESSION_MS,
        path: str = "",
    ) -> None:
        """`path` is the chroot in ZooKeeper: fleets that share a server need one each."""
        self.path = path
        self._zookeeper_port = zookeeper_port
        self._cluster = Cluster(engine=engine, flags=flags)
        self.folder = self._cluster.folder
        self._flags = ["--engine-dir", str(self.folder), "--zk-session-timeout", f"{session_ms}ms"]
        if path:
            self._flags += ["--zk-chroot-path", path]
        self._stack = ExitStack()
        self.members: list[Member] = []

    def __enter__(self) -> Fleet:
        self._stack.enter_context(self._cluster)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def add(self, *flags: str) -> Member:
        """One more, not started yet."""
        network = self._stack.enter_context(Proxy(self._zookeeper_port))
        scheduler = self._cluster.scheduler(flags=[*self._flags, "--zk-endpoints", network.address, *flags])
        self.members.append(Member(scheduler, network))
        return self.members[-1]

    def start(self, count: int, *flags: str) -> Member:
        """So many, all at once. Returns the one that leads, when the others follow."""
        for member in [self.add(*flags) for _ in range(count)]:
            member.scheduler.start(wait=False)
        found = self.leader()
        self.until_all_follow()
        return found

    def leader(self, *, after: int = 0, within_s: float = START_S) -> Member:
        """Who leads in an epoch later than `after`; waits for one. Raises NoLeader."""
        give_up_at = time.monotonic() + within_s
        while time.monotonic() < give_up_at:
            for member in self.members:
                if member.epoch > after:
                    return member
            time.sleep(LOOK_EVERY_S)
        raise NoLeader(f"nobody leads after epoch {after} within {within_s:g} s\n{self.last_words()}")

    def others(self, member: Member) -> list[Member]:
        return [other for other in self.members if other is not member and other.scheduler.alive]

    def until_all_follow(self, within_s: float = START_S) -> None:
        """Until every scheduler that is alive and does not lead has read the log and knows who does."""
        give_up_at = time.monotonic() + within_s
        while time.monotonic() < give_up_at:
            with suppress(*BROKEN, ValueError):
                if all(one.follows_or_leads() for one in self.members if one.scheduler.alive):
                    return
            time.sleep(LOOK_EVERY_S)
        raise DidNotStart(f"not all follow within {within_s:g} s\n{self.last_words()}")

    def last_words(self) -> str:
        return "\n".join(f"--- {one.name} last said:\n{one.scheduler.last_words()}" for one in self.members)
