"""`thesan quota`: get."""

from __future__ import annotations

from typing import Any

import click

from scheduler.client.connection import Connection
from scheduler.client.options import server_option
from scheduler.client.output import echo


@click.group()
def quota() -> None:
    """What a role may take, and what it takes."""


@quota.command()
@click.argument("role")
@server_option
def get(role: str, server: str) -> None:
    """Show a role's quota and what its jobs take."""
    found = Connection(server).call("getQuota", ownerRole=role).result.getQuotaResult
    rows = (
        ("quota", found.quota),
        ("production", found.prodSharedConsumption),
        ("production, dedicated hosts", found.prodDedicatedConsumption),
        ("other", found.nonProdSharedConsumption),
        ("other, dedicated hosts", found.nonProdDedicatedConsumption),
    )
    for name, aggregate in rows:
        echo(f"{name:29}{_amounts(aggregate)}")


def _amounts(aggregate: Any) -> str:
    amounts = {n: v for r in aggregate.resources for n, v in vars(r).items() if v is not None}
    return f"{amounts['numCpus']:g} CPUs, {amounts['ramMb']} MB RAM, {amounts['diskMb']} MB disk"
