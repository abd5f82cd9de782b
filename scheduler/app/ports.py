"""Who has a port that is taken, in words for an operator."""

from __future__ import annotations

import errno
import shlex

import psutil


class CannotStart(Exception):
    """The server cannot begin; the sentence says why and what to do."""


def refusal(flag: str, ip: str, port: int, error: OSError) -> CannotStart:
    """Why listening failed: taken by whom, not allowed, or no address of this machine."""
    where = f"{flag} {port} on {ip}"
    if error.errno == errno.EADDRINUSE:
        return CannotStart(f"{where} is taken by {holder(port)}: choose another port, or 0 for any free one")
    if error.errno == errno.EACCES:
        return CannotStart(f"{where} may not be opened by this user: choose a port from 1024 up")
    if error.errno == errno.EADDRNOTAVAIL:
        return CannotStart(f"--ip {ip} is no address of this machine")
    return CannotStart(f"{where} cannot be opened: {error.strerror or error}")


def holder(port: int) -> str:
    """The process that listens there, as far as this user may know."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status != psutil.CONN_LISTEN or not connection.laddr or not connection.pid:
                continue
            if connection.laddr.port == port:
                command = shlex.join(psutil.Process(connection.pid).cmdline())
                return f"process {connection.pid} ({command})"
    except (psutil.Error, OSError):
        pass
    return "another process"
