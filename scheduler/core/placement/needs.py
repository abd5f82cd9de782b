"""What a task takes of a host, as whole numbers, so that sums are exact."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from scheduler.core.records import ResourceKind, TaskConfig


class Need(NamedTuple):
    """An amount of each resource. `ports` is how many, whatever their names."""

    milli_cpus: int = 0
    ram_mb: int = 0
    disk_mb: int = 0
    gpus: int = 0
    ports: int = 0

    def plus(self, other: Need) -> Need:
        cpus, ram, disk, gpus, ports = other
        return Need(
            self.milli_cpus + cpus, self.ram_mb + ram, self.disk_mb + disk, self.gpus + gpus, self.ports + ports
        )

    def minus(self, other: Need) -> Need:
        cpus, ram, disk, gpus, ports = other
        return Need(
            self.milli_cpus - cpus, self.ram_mb - ram, self.disk_mb - disk, self.gpus - gpus, self.ports - ports
        )


NOTHING: Final = Need()


@lru_cache(maxsize=65_536)
def need_of(config: TaskConfig) -> Need:
    """What one task of this configuration asks for, without what its executor takes."""
    return Need(
        round(config.amount(ResourceKind.CPUS) * 1000),
        int(config.amount(ResourceKind.RAM_MB)),
        int(config.amount(ResourceKind.DISK_MB)),
        int(config.amount(ResourceKind.GPUS)),
        len(config.port_names()),
    )
