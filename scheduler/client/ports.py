"""Who has a port, so that "taken" can say by whom."""

from __future__ import annotations

import errno
import socket

import psutil
from attrs import frozen


@frozen
class Holder:
    """A process that listens. `pid` 0: the system does not say (another user's process)."""

    pid: int
    name: str
    command: str

    def __str__(self) -> str:
        if not self.pid:
            return "a process of another user"
        return f"{self.name} (pid {self.pid}: {self.command})" if self.command else f"{self.name} (pid {self.pid})"


def is_free(ip: str, port: int) -> bool:
    """Can a server listen there now? Raises OSError when the address itself is wrong."""
    with socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ip, port))
        except OSError as failure:
            if failure.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def holder_of(port: int) -> Holder | None:
    """The process that listens on a TCP port, on whatever address; None: nobody does."""
    for connection in psutil.net_connections(kind="tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            return _holder(connection.pid)
    return None


def _holder(pid: int | None) -> Holder:
    if pid is None:
        return Holder(0, "", "")
    try:
        process = psutil.Process(pid)
        command = " ".join(process.cmdline())
        return Holder(pid, process.name(), command[:100])
    except psutil.Error:
        return Holder(pid, "a process", "")
