"""ZooKeeper for an event loop: requests give futures, fail at once when they cannot be sent, and never land later.

>>> client = Client("zk1:2181,zk2:2181", session_timeout_ms=4000)
>>> await client.start(within_s=5)
>>> data, stat = await client.get("/aurora/scheduler/epoch")
>>> await client.close()

One client is one session: when that has ended (`Condition.ENDED`), nothing more can be done with it, and no answer can
be mistaken for one of a later session. ZooKeeper itself says that a session has ended only once it can be reached
again, so there is a deadline of our own: not connected again within the session timeout is the end too.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import Any, Final, TypeVar

from kazoo.exceptions import AuthFailedError, ConnectionLoss, SessionExpiredError
from kazoo.protocol.serialization import Create, Delete, Exists, GetChildren, GetData, SetData, Sync, Transaction
from kazoo.protocol.states import KeeperState, ZnodeStat as Stat
from kazoo.security import CREATOR_ALL_ACL, OPEN_ACL_UNSAFE, READ_ACL_UNSAFE

from scheduler.zk.clock import boot_ms
from scheduler.zk.errors import NodeExists, NotSent, Refusal, SessionOver, TooLarge, Unanswered, ZkError, in_words
from scheduler.zk.ops import ANY_VERSION, Op, refuse
from scheduler.zk.wire import Connection, Wire

__all__ = ["MAX_REQUEST_BYTES", "Client", "Condition", "Stat"]

MAX_REQUEST_BYTES: Final = 512 * 1024
"""Half of what a server takes. Above its limit it closes the connection, and says nothing."""

_WINDOW: Final = 128
"""Requests on their way at a time; the others wait here. More bring nothing."""

Watch = Callable[[], None]
T = TypeVar("T")


class Condition(Enum):
    """How a session is. Requests are sent while CONNECTED only."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    SUSPENDED = "suspended"
    ENDED = "ended"


class _Answer:
    """Carries an answer from the connection's thread to the loop."""

    __slots__ = ("_client", "_future", "_path", "_read", "number")

    def __init__(
        self, client: Client, number: int, future: asyncio.Future[Any], read: Callable[[Any], Any], path: str
    ) -> None:
        self._client = client
        self.number = number
        self._future = future
        self._read = read
        self._path = path
        """What a refusal is about. A multi says it by itself."""

    def set(self, value: Any) -> None:
        self._client._post(self._deliver, value, None)

    def set_exception(self, error: Exception) -> None:
        self._client._post(self._deliver, None, error)

    def refuse(self) -> None:
        self._deliver(None, self._client._not_sent())

    def _deliver(self, value: Any, error: Exception | None) -> None:
        self._client._answered(self.number)
        if self._future.done():
            return
        if error is None:
            try:
                self._future.set_result(self._read(value))
                return
            except Exception as refused:
                error = refused
        if isinstance(error, (ConnectionLoss, SessionExpiredError, AuthFailedError)):
            error = Unanswered("the connection to ZooKeeper broke before the answer came")
        elif isinstance(error, Refusal) and not error.args:
            error.args = (in_words(error, self._path),)
        self._future.set_exception(error)


class Client:
    """One session with an ensemble. Everything but the constructor belongs to one event loop."""

    def __init__(
        self,
        hosts: str,
        *,
        session_timeout_ms: int,
        chroot: str = "",
        credentials: str | None = None,
        wire: Callable[[str, int, str | None, Callable[[str], None]], Connection] = Wire,
    ) -> None:
        """`hosts` is "host:port,host:port". `chroot` is put in front of every path. `credentials` is "user:password":
        nodes made with them may be changed by their owner alone, and read by everybody. `wire` makes the connection.
        """
        if "/" in hosts:
            raise ValueError(f"the ZooKeeper servers are {hosts!r}; a path does not belong there, it is the chroot")
        if chroot and (not chroot.startswith("/") or chroot.endswith("/")):
            raise ValueError(f"the chroot is {chroot!r}; it must begin with a slash and not end with one")
        self.condition = Condition.CONNECTING
        self.why_ended = ""
        self.listeners: list[Callable[[Condition], None]] = []
        """Called on the loop after each change of `condition`."""
        self._chroot = chroot
        self._acl = CREATOR_ALL_ACL + READ_ACL_UNSAFE if credentials else OPEN_ACL_UNSAFE
        self._wire = wire(hosts, session_timeout_ms, credentials, self._changed)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[asyncio.Future[None], None] = {}
        self._numbers = itertools.count()
        self._outstanding: dict[int, int] = {}
        """Request number to when it was sent, oldest first."""
        self._backlog: deque[tuple[Any, _Answer, int]] = deque()
        self._is_pumping = False
        self._watchdog: asyncio.TimerHandle | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._suspended_ms = 0

    # --- the session ---

    async def start(self, within_s: float) -> None:
        """Connect. Raises SessionOver when no server could be reached in time, or none takes the credentials; then it
        has been closed.
        """
        self._loop = asyncio.get_running_loop()
        self._wire.start_async()
        try:
            async with asyncio.timeout(within_s):
                await self.connected()
        except (TimeoutError, SessionOver):
            await self.close(f"no ZooKeeper server could be reached within {within_s:g} s")
            raise SessionOver(self.why_ended) from None

    @property
    def session_id(self) -> int:
        """Nodes that this session made say it as their `ephemeralOwner`."""
        return self._wire.session_id

    @property
    def session_password(self) -> bytes:
        return self._wire.session_password

    @property
    def session_timeout_ms(self) -> int:
        """As granted by the server, once connected; it need not be what was asked for."""
        return self._wire.negotiated_ms

    @property
    def server(self) -> tuple[str, int] | None:
        """Host and port of the server we talk to, None while there is none."""
        return self._wire.peer()

    async def connected(self) -> None:
        """Wait until requests can be sent. Raises SessionOver when that will not be."""
        await asyncio.sleep(0)  # what the connection's thread has said meanwhile comes first
        while self.condition is not Condition.CONNECTED:
            await self.change()

    async def change(self) -> Condition:
        """Wait for the next change of `condition`. Raises SessionOver when there will be none."""
        if self.condition is Condition.ENDED:
            raise SessionOver(self.why_ended)
        assert self._loop is not None
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiting[waiter] = None
        try:
            await waiter
        finally:
            self._waiting.pop(waiter, None)
        return self.condition

    async def close(self, why: str = "it was closed", *, politely: bool = True) -> None:
        """End the session; politely, its ephemeral nodes go at once. Takes up to two seconds when cut off."""
        self._become(Condition.ENDED, why)
        shutting = asyncio.get_running_loop().run_in_executor(None, lambda: self._wire.shut(politely=politely))
        try:
            await asyncio.wait_for(asyncio.shield(shutting), 1)
        except TimeoutError:
            self._wire.break_connection()
            await shutting

    def break_connection(self) -> None:
        """Try another server, in the same session."""
        self._wire.break_connection()

    def _changed(self, state: str) -> None:
        self._post(self._on_change, state)

    def _post(self, call: Callable[..., None], *values: Any) -> None:
        """From any thread. When the loop is gone nobody is left to be told."""
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *values)

    def _on_change(self, state: str) -> None:
        if state == KeeperState.CONNECTED:
            self._become(Condition.CONNECTED)
        elif state == KeeperState.CONNECTING:
            if self.condition is Condition.CONNECTED:
                self._become(Condition.SUSPENDED)
        elif state == KeeperState.EXPIRED_SESSION:
            self._become(Condition.ENDED, "ZooKeeper says that the session has expired")
        elif state == KeeperState.AUTH_FAILED:
            self._become(Condition.ENDED, "ZooKeeper does not accept the credentials")
        else:
            self._become(Condition.ENDED, "the connection was closed")

    def _become(self, condition: Condition, why: str = "") -> None:
        if self.condition in (condition, Condition.ENDED):
            return
        self.condition = condition
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if condition is Condition.ENDED:
            self.why_ended = why
        elif condition is Condition.SUSPENDED:
            self._suspended_ms = boot_ms()
            self._watch_deadline()
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        for listener in list(self.listeners):
            listener(condition)

    def _watch_deadline(self) -> None:
        """Not by the loop's clock alone: that one stands still while the machine sleeps."""
        assert self._loop is not None
        left_ms = self._suspended_ms + self.session_timeout_ms - boot_ms()
        if left_ms > 0:
            self._deadline = self._loop.call_later(left_ms / 1000, self._watch_deadline)
            return
        self._deadline = None
        self._wire.give_up()
        self._become(Condition.ENDED, f"ZooKeeper could not be reached for {self.session_timeout_ms} ms")

    # --- requests ---

    def get(self, path: str, watch: Watch | None = None) -> asyncio.Future[tuple[bytes, Stat]]:
        """Data and stat. `watch` is called once, on the loop: when it changes, or when the connection breaks.

        All requests raise NotSent or Unanswered; those of one client are carried out in the order they were made.
        Raises NoNode.
        """
        return self._send(GetData(self._at(path), self._watcher(watch)), _plain)

    def exists(self, path: str, watch: Watch | None = None) -> asyncio.Future[Stat | None]:
        """Its stat, None when it does not exist; `watch` then waits for its creation."""
        return self._send(Exists(self._at(path), self._watcher(watch)), _plain)

    def children(self, path: str, watch: Watch | None = None) -> asyncio.Future[list[str]]:
        """Names, in no order. Raises NoNode."""
        return self._send(GetChildren(self._at(path), self._watcher(watch)), _plain)

    def create(self, path: str, data: bytes = b"", *, ephemeral: bool = False) -> asyncio.Future[str]:
        """Raises NodeExists, NoNode when the parent does not exist."""
        return self._send(Create(self._at(path), data, self._acl, int(ephemeral)), self._from, len(data))

    def set(self, path: str, data: bytes, version: int) -> asyncio.Future[Stat]:
        """Raises NoNode, BadVersion."""
        return self._send(SetData(self._at(path), data, version), _plain, len(data))

    def delete(self, path: str, version: int = ANY_VERSION) -> asyncio.Future[bool]:
        """Raises NoNode, BadVersion, NotEmpty."""
        return self._send(Delete(self._at(path), version), _plain)

    def sync(self, path: str) -> asyncio.Future[str]:
        """What is read afterwards is no older than now."""
        return self._send(Sync(self._at(path)), self._from)

    def multi(self, ops: Sequence[Op]) -> asyncio.Future[list[Any]]:
        """All or nothing: a result per operation (a created path, a Stat, True). Raises MultiRefused."""
        placed = [self._place(op) for op in ops]
        size = sum(len(getattr(op, "data", b"")) + len(op.path) + 64 for op in placed)
        return self._send(Transaction(placed), lambda results: self._read_multi(placed, results), size)

    async def ensure(self, path: str) -> None:
        """Make a node and those above it, unless they exist. Repeat it until it succeeds: that is safe."""
        whole = self._at(path)
        for end in (*(i for i, c in enumerate(whole) if c == "/" and i), len(whole)):
            # Asked first: to make a node may be forbidden where it exists.
            if await self._send(Exists(whole[:end], None), _plain) is None:
                with contextlib.suppress(NodeExists):
                    await self._send(Create(whole[:end], b"", self._acl, 0), _plain)

    async def patiently(self, ask: Callable[[], Awaitable[T]], within_s: float) -> T:
        """Ask until an answer comes, over reconnections. For what may be done twice, so never around a commit.

        Raises SessionOver, and after `within_s` the last error.
        """
        give_up_ms = boot_ms() + int(within_s * 1000)
        while True:
            try:
                return await ask()
            except (SessionOver, TooLarge):
                raise
            except ZkError:
                left_s = (give_up_ms - boot_ms()) / 1000
                if left_s <= 0:
                    raise
                try:
                    await asyncio.wait_for(self.connected(), left_s)
                except TimeoutError:
                    continue

    def _at(self, path: str) -> str:
        return self._chroot + path if path != "/" else self._chroot or "/"

    def _from(self, path: str) -> str:
        return path.removeprefix(self._chroot)

    def _read_multi(self, placed: list[Any], results: list[Any]) -> list[Any]:
        refuse(placed, results)
        return [self._from(result) if isinstance(result, str) else result for result in results]

    def _place(self, op: Any) -> Any:
        placed = op._replace(path=self._at(op.path))
        return placed._replace(acl=self._acl) if isinstance(placed, Create) else placed

    def _watcher(self, watch: Watch | None) -> Callable[[Any], None] | None:
        return None if watch is None else lambda _event: self._post(watch)

    def _send(self, request: Any, read: Callable[[Any], Any], size: int = 0) -> asyncio.Future[Any]:
        assert self._loop is not None
        future: asyncio.Future[Any] = self._loop.create_future()
        future.add_done_callback(_look_at)
        if size > MAX_REQUEST_BYTES:
            future.set_exception(TooLarge(f"a request of {size} bytes is above {MAX_REQUEST_BYTES}"))
        elif self.condition is not Condition.CONNECTED:
            future.set_exception(self._not_sent())
        else:
            answer = _Answer(self, next(self._numbers), future, read, getattr(request, "path", ""))
            self._backlog.append((request, answer, self._wire.generation))
            self._pump()
        return future

    def _pump(self) -> None:
        """Send what waits, as far as the window allows. What waited while the connection broke is refused."""
        if self._is_pumping:
            return
        self._is_pumping = True
        while self._backlog and len(self._outstanding) < _WINDOW:
            request, answer, generation = self._backlog.popleft()
            self._outstanding[answer.number] = boot_ms()
            self._wire.request(request, answer, generation)
        self._is_pumping = False
        if self._watchdog is None and self._outstanding:
            self._watch_answers()

    def _answered(self, number: int) -> None:
        self._outstanding.pop(number, None)
        self._pump()

    def _not_sent(self) -> NotSent:
        if self.condition is Condition.ENDED:
            return SessionOver(f"nothing was sent: {self.why_ended}")
        return NotSent("nothing was sent: ZooKeeper is not connected")

    def _watch_answers(self) -> None:
        """A server that is cut off from the others still answers pings, so kazoo stays with it. We leave it."""
        self._watchdog = None
        if not self._outstanding or self.condition is Condition.ENDED:
            return
        patience_ms = self.session_timeout_ms // 3
        oldest_ms = next(iter(self._outstanding.values()))
        if boot_ms() - oldest_ms >= patience_ms and self.condition is Condition.CONNECTED:
            self.break_connection()
        assert self._loop is not None
        self._watchdog = self._loop.call_later(patience_ms / 4000, self._watch_answers)


def _plain(value: Any) -> Any:
    return value


def _look_at(future: asyncio.Future[Any]) -> None:
    """A failure that nobody waits for any more is no news."""
    if not future.cancelled():
        future.exception()
