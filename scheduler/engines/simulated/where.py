"""Where a simulated cluster is reached: a unix socket on this machine, or an address on the network.

At an address nobody is asked who they are: whoever reaches it can order tasks, and end it. Nothing really runs there.
"""

from __future__ import annotations

import asyncio
import re
import socket
from pathlib import Path
from typing import Final, Protocol

from attrs import frozen

from scheduler.engines.unix_path import short_path

__all__ = ["ADDRESS_HINT", "Address", "UnixSocket", "Where", "listen_at", "notice_silence"]

ADDRESS_HINT: Final = "HOST:PORT, the port from 0 to 65535"
SILENT_SECS: Final = 6
"""A peer that is not heard of for so long is gone, though nobody said so: its machine, or the network, went away."""

_ADDRESS: Final = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})", re.ASCII)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Where(Protocol):
    """As text it is for people."""

    async def open(self) -> Streams:
        """Connect. Raises OSError."""


@frozen
class UnixSocket:
    path: Path

    async def open(self) -> Streams:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            with short_path(self.path) as address:
                await asyncio.get_running_loop().sock_connect(connection, address)
            return await asyncio.open_unix_connection(sock=connection)
        except OSError:
            connection.close()
            raise

    def __str__(self) -> str:
        return str(self.path)


@frozen
class Address:
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """From `host:port`; an IPv6 address stands in brackets. Raises ValueError."""
        found = _ADDRESS.fullmatch(text)
        if found is None or int(found[2]) > 65_535:
            raise ValueError(f"{text!r} is no address; it must be {ADDRESS_HINT}")
        return cls(found[1].strip("[]"), int(found[2]))

    async def open(self) -> Streams:
        try:
            async with asyncio.timeout(SILENT_SECS):
                reader, writer = await asyncio.open_connection(self.host, self.port)
        except TimeoutError as silence:
            raise OSError(None, f"not within {SILENT_SECS} s") from silence
        notice_silence(writer.get_extra_info("socket"))
        return reader, writer

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def listen_at(address: Address) -> socket.socket:
    """Raises OSError."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    return socket.create_server((address.host, address.port), family=family)


def notice_silence(connection: socket.socket) -> None:
    """Have the system end a connection whose other end has vanished without a word."""
    for option, value in (
        (socket.TCP_KEEPIDLE, SILENT_SECS // 3),
        (socket.TCP_KEEPINTVL, SILENT_SECS // 3),
        (socket.TCP_KEEPCNT, 2),
        (socket.TCP_USER_TIMEOUT, SILENT_SECS * 1000),
    ):
        connection.setsockopt(socket.IPPROTO_TCP, option, value)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
