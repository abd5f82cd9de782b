"""`thesan admin set_quota` and `increase_quota`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

import click

from scheduler.client.connection import Connection
from scheduler.client.options import server_option
from scheduler.client.output import echo
from scheduler.client.quantities import parse_size_mb
from scheduler.interface import aurora

__all__ = ["COMMANDS"]

F = TypeVar("F", bound=Callable[..., Any])


class Amounts(NamedTuple):
    cpus: float
    ram_mb: int
    disk_mb: int

    def __str__(self) -> str:
        return f"{self.cpus:g} CPUs, {self.ram_mb} MB RAM, {self.disk_mb} MB disk"

    def aggregate(self) -> Any:
        resources = [
            aurora.Resource(numCpus=self.cpus),
            aurora.Resource(ramMb=self.ram_mb),
            aurora.Resource(diskMb=self.disk_mb),
        ]
        return aurora.ResourceAggregate(resources=resources)


class Size(click.ParamType[int]):
    """An amount such as `512MB`, or a number of megabytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse_size_mb(f"{value}MB" if value.isdecimal() else value)
        except ValueError as wrong:
            self.fail(str(wrong), param, ctx)


def _amounts(command: F) -> F:
    command = click.argument("disk", type=Size())(command)
    command = click.argument("ram", type=Size())(command)
    command = click.argument("cpu", type=click.FloatRange(0))(command)
    return click.argument("role")(server_option(command))


@click.command("set_quota")
@_amounts
def set_quota(role: str, cpu: float, ram: int, disk: int, server: str) -> None:
    """Set what the production jobs of ROLE may take together."""
    _set(Connection(server), role, Amounts(cpu, ram, disk))


@click.command("increase_quota")
@_amounts
def increase_quota(role: str, cpu: float, ram: int, disk: int, server: str) -> None:
    """Add to the quota of ROLE. Two who do this at once may lose one of the additions: it is read, then set."""
    connection = Connection(server)
    before = _amounts_of(connection.call("getQuota", ownerRole=role).result.getQuotaResult.quota)
    _set(connection, role, Amounts(before.cpus + cpu, before.ram_mb + ram, before.disk_mb + disk))


def _amounts_of(aggregate: Any) -> Amounts:
    found = {name: value for one in aggregate.resources for name, value in vars(one).items() if value is not None}
    return Amounts(found.get("numCpus", 0.0), found.get("ramMb", 0), found.get("diskMb", 0))


def _set(connection: Connection, role: str, amounts: Amounts) -> None:
    connection.call("setQuota", ownerRole=role, quota=amounts.aggregate())
    echo(f"{role}: {amounts}")


COMMANDS: Final = (set_quota, increase_quota)
