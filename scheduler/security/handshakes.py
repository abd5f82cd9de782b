"""TLS in front of a protocol of asyncio's. A connection is counted from its first packet, before it has shaken hands.

asyncio's own servers tell a protocol of a connection only when the handshake is over, and of one that fails not at all:
whoever begins many and ends none would hold a file descriptor for each, and nobody would know.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from asyncio import sslproto
from typing import Any, Final, Protocol

from scheduler.security.tls import Certificates

log = logging.getLogger(__name__)

TIMEOUT_S: Final = 10.0
CLOSING_S: Final = 5.0
"""For how long the other side may take to say goodbye."""


BUFFER_BYTES: Final = 32 * 1024
"""What asyncio reads of a connection in TLS at once. Its own default is a buffer of 256 KB for each, filled with zeros
at once, so that an idle connection takes 279 KB; with this one 55 KB. A record of TLS is 16 KB at most."""


class Doors(Protocol):
    """Counts connections over all ports."""

    def enter(self, address: str) -> str | None:
        """None when a connection may come in, else why not."""

    def leave(self, address: str) -> None:
        """One that was let in is gone."""


class Tls:
    """TLS for the ports of one server."""

    def __init__(self, certificates: Certificates, *, timeout_s: float = TIMEOUT_S) -> None:
        sslproto.SSLProtocol.max_size = BUFFER_BYTES
        self.certificates = certificates
        self.timeout_s = timeout_s
        self.failed = 0
        self.handshakes: set[asyncio.Task[None]] = set()

    def protocol(self, inner: asyncio.Protocol, doors: Doors | None) -> asyncio.Protocol:
        """What a port's server makes for a connection, instead of `inner`."""
        return _Outer(self, inner, doors)

    def stop(self) -> None:
        """Whoever is still shaking hands is cut off."""
        for handshake in list(self.handshakes):
            handshake.cancel()


class _Outer(asyncio.Protocol):
    """The connection until it has shaken hands."""

    def __init__(self, tls: Tls, inner: asyncio.Protocol, doors: Doors | None) -> None:
        self._tls = tls
        self._inner = inner
        self._doors = doors

    def connection_made(self, transport: Any) -> None:
        transport.pause_reading()  # what comes now is for OpenSSL
        peer = transport.get_extra_info("peername")
        address = str(peer[0]) if peer else ""
        why_not = self._doors.enter(address) if self._doors is not None else None
        if why_not is not None:
            log.info("connection from %s refused: %s", address, why_not)
            transport.abort()
            return
        handshake = asyncio.get_running_loop().create_task(self._shake_hands(transport, address))
        self._tls.handshakes.add(handshake)
        handshake.add_done_callback(self._tls.handshakes.discard)

    async def _shake_hands(self, transport: Any, address: str) -> None:
        early = _Early()
        try:
            secured = await asyncio.get_running_loop().start_tls(
                transport,
                early,
                self._tls.certificates.context,
                server_side=True,
                ssl_handshake_timeout=self._tls.timeout_s,
                ssl_shutdown_timeout=CLOSING_S,
            )
        except (OSError, ssl.SSLError) as wrong:
            self._tls.failed += 1
            reason = getattr(wrong, "verify_message", None) or getattr(wrong, "reason", None) or wrong
            log.info("no TLS with %s: %s", address, reason)
            transport.abort()
            return
        finally:
            if self._doors is not None:
                self._doors.leave(address)  # the inner protocol enters by itself, before anybody else can
        if secured is not None:
            early.hand_over(secured, self._inner)


class _Early(asyncio.Protocol):
    """Keeps what comes between the handshake's end and the next turn of the loop, when we are told of it."""

    def __init__(self) -> None:
        self._data: list[bytes] = []
        self._has_ended = False
        self._lost: list[Exception | None] = []

    def data_received(self, data: bytes) -> None:
        self._data.append(data)

    def eof_received(self) -> bool:
        self._has_ended = True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost.append(exc)

    def hand_over(self, transport: Any, inner: asyncio.Protocol) -> None:
        if self._lost:
            return
        transport.set_protocol(inner)
        inner.connection_made(transport)
        for data in self._data:
            inner.data_received(data)
        if self._has_ended:
            inner.eof_received()
