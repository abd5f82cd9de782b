"""kazoo, made to fail fast. It keeps the connection and speaks the protocol; waiting and deciding is not its business.

What is changed, and why:

* Connecting to one server takes at most half a second, and the handshake a second: kazoo allows the whole session
  timeout for the one and a share of it for the other, so that one dead host can cost the session.
* A request is taken only while connected. kazoo would queue it and send it after a reconnection, when a leader that
  was away has long been succeeded. The lock makes "connected" and "queued" one step: what is queued when the
  connection breaks is failed before anything else can happen.
* Nobody waits for the connection's thread. kazoo wakes it by a byte for each request, through a small pipe: when that
  was full, the caller would stand still, and with it the event loop. So the pipe is emptied at each new connection,
  the number of requests is bounded (`client.py`), and nobody waits for room.
* The timeout that the server granted is kept; kazoo forgets it.
* When the session has ended, the connection thread ends. kazoo would begin another session behind our back.
* Answers and watches go straight to whoever waits, in the order in which they arrived, without two more threads.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable
from typing import Any, Final, Protocol

from kazoo.client import KazooClient
from kazoo.handlers.threading import SequentialThreadingHandler
from kazoo.protocol.connection import ConnectionHandler
from kazoo.protocol.serialization import Connect
from kazoo.protocol.states import KeeperState
from kazoo.retry import KazooRetry

__all__ = ["Answer", "Connection", "Wire"]

_CONNECT_S: Final = 0.5
_HANDSHAKE_S: Final = 1.0

_log = logging.getLogger(__name__)
_log.setLevel(logging.ERROR)  # kazoo tells every reconnection as a warning; what matters is told by the client


class Answer(Protocol):
    """Whom kazoo tells what became of a request; called in the connection's thread."""

    def set(self, value: Any) -> None: ...

    def set_exception(self, error: Exception) -> None: ...

    def refuse(self) -> None:
        """It was not sent."""


class Connection(Protocol):
    """What a client needs of its session's connection. `Wire` is the real one; the simulator has another."""

    generation: int
    """Of the connection: counts them."""
    negotiated_ms: int
    """The session timeout that was granted."""

    @property
    def session_id(self) -> int: ...

    @property
    def session_password(self) -> bytes: ...

    def start_async(self) -> Any:
        """Begin to connect."""

    def request(self, request: Any, answer: Answer, generation: int) -> None:
        """Send one of kazoo's requests if it is still the same connection, or refuse at once."""

    def break_connection(self) -> None: ...

    def peer(self) -> tuple[str, int] | None: ...

    def give_up(self) -> None: ...

    def shut(self, *, politely: bool) -> None: ...


class _Handler(SequentialThreadingHandler):  # type: ignore[misc]
    def create_connection(self, *told: Any, **named: Any) -> Any:
        named["timeout"] = min(named.get("timeout") or _CONNECT_S, _CONNECT_S)
        return super().create_connection(*told, **named)

    def dispatch_callback(self, callback: Any) -> None:
        callback.func(*callback.args)


class _Connection(ConnectionHandler):  # type: ignore[misc]
    def _invoke(self, timeout: float, request: Any, xid: int | None = None) -> Any:
        found = super()._invoke(min(timeout, _HANDSHAKE_S), request, xid)
        if isinstance(request, Connect):
            self.client.negotiated_ms = found[0].time_out or self.client.negotiated_ms
        return found


class Wire(KazooClient):  # type: ignore[misc]
    """One session. `changed` is called with each new state, in the connection's thread and under its lock."""

    def __init__(
        self,
        hosts: str,
        session_timeout_ms: int,
        credentials: str | None,
        changed: Callable[[str], None],
    ) -> None:
        self.gate = threading.RLock()
        self.generation = 0
        self.negotiated_ms = session_timeout_ms
        self._changed = changed
        super().__init__(
            hosts,
            timeout=session_timeout_ms / 1000,
            handler=_Handler(),
            auth_data=[("digest", credentials)] if credentials else None,
            connection_retry=KazooRetry(max_tries=-1, delay=0.1, backoff=1.5, max_delay=0.5, max_jitter=0.2),
            logger=_log,
        )
        self._connection = _Connection(self, self._conn_retry.copy(), logger=_log)

    @property
    def session_id(self) -> int:
        return self._session_id or 0

    @property
    def session_password(self) -> bytes:
        found: bytes = self._session_passwd
        return found

    def request(self, request: Any, answer: Answer, generation: int) -> None:
        """Send if it is still the same connection, or refuse at once."""
        with self.gate:
            if self._state == KeeperState.CONNECTED and generation == self.generation:
                self._queue.append((request, answer))
                self._wake()
                return
        answer.refuse()

    def _wake(self) -> None:
        """A byte for each request, after it. A full pipe holds more bytes than there are requests: enough."""
        with contextlib.suppress(BlockingIOError):
            self._connection._write_sock.send(b"\0", socket.MSG_DONTWAIT)

    def _drain(self) -> None:
        sock = self._connection._read_sock
        with contextlib.suppress(OSError):
            while sock is not None and sock.recv(4096, socket.MSG_DONTWAIT):
                pass

    def _call(self, request: Any, answer: Any) -> Any:
        raise NotImplementedError("requests go through `request`")

    def _session_callback(self, state: str) -> None:
        with self.gate:
            if state == self._state:
                return
            if state == KeeperState.CONNECTED:
                self.generation += 1
                self._drain()
            else:
                self._changed(state)  # before those who wait for answers are told that there will be none
            super()._session_callback(state)
            if state in (KeeperState.EXPIRED_SESSION, KeeperState.AUTH_FAILED):
                self._stopped.set()
            if state == KeeperState.CONNECTED:
                self._changed(state)

    def break_connection(self) -> None:
        """As if the network had done it: kazoo tries the next server, in the same session."""
        sock = self._connection._socket
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def peer(self) -> tuple[str, int] | None:
        """The server's address as the socket tells it."""
        try:
            host, port = self._connection._socket.getpeername()[:2]
        except (OSError, AttributeError):
            return None
        return str(host), int(port)

    def give_up(self) -> None:
        """Never connect again. `shut` is still to be called."""
        self._stopped.set()
        self.break_connection()

    def shut(self, *, politely: bool) -> None:
        """End all threads. Politely: the session is closed on the server, when it can be reached. Blocks."""
        if not politely:
            self.give_up()
        if self._stopped.is_set():
            self._safe_close()
        else:
            self.stop()
        self.close()
