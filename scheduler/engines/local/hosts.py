"""This machine as a host: what it has, and which ports are really free. Synchronous."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Collection
from pathlib import Path

from attrs import frozen

from scheduler.core.records import Host

DEFAULT_PORTS = range(31000, 32001)


@frozen
class Machine:
    """What this host offers. None: what it really has."""

    name: str
    cpus: float | None = None
    ram_mb: int | None = None
    disk_mb: int | None = None
    ports: range = DEFAULT_PORTS
    attributes: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def measured(self, folder: Path) -> Machine:
        """With the figures of this machine where none are given; disk is what is free where sandboxes lie."""
        stat = os.statvfs(folder)
        return Machine(
            self.name,
            self.cpus if self.cpus is not None else float(len(os.sched_getaffinity(0))),
            self.ram_mb if self.ram_mb is not None else _total_ram_mb(),
            self.disk_mb if self.disk_mb is not None else stat.f_bavail * stat.f_frsize // 2**20,
            self.ports,
            self.attributes or (("host", (self.name,)),),
        )

    def host(self, free_ports: Collection[int]) -> Host:
        return Host(
            name=self.name,
            agent_id=f"local-{self.name}",
            cpus=self.cpus or 0.0,
            ram_mb=self.ram_mb or 0,
            disk_mb=self.disk_mb or 0,
            ports=tuple(sorted(free_ports)),
            attributes=self.attributes,
        )


def _total_ram_mb() -> int:
    found = re.search(r"^MemTotal:\s+(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) // 1024


def port_is_free(port: int) -> bool:
    """Could a server listen there now? Tried with SO_REUSEADDR, as servers do: connections that linger do not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("", port))
        except OSError:
            return False
    return True


def free_ports(ports: range, ours: Collection[int]) -> tuple[int, ...]:
    """Those of the range that nobody but our own tasks uses."""
    return tuple(port for port in ports if port in ours or port_is_free(port))
