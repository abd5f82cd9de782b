"""`thesan admin host_...` and `sla_host_drain`: hosts out of service, and back."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from scheduler.client.admin.words import Words
from scheduler.client.connection import Connection
from scheduler.client.errors import CommandError, Usage
from scheduler.client.files import read_file
from scheduler.client.options import Duration, server_option, timeout_option
from scheduler.client.output import Complaints, count_of, echo
from scheduler.client.quantities import duration_text
from scheduler.client.watch import ask_until
from scheduler.interface import aurora

__all__ = ["COMMANDS"]

F = TypeVar("F", bound=Callable[..., Any])

LOOK_EVERY_S: Final = 1.0
DRAINED: Final = aurora.MaintenanceMode.DRAINED
_MODES: Final = aurora.MaintenanceMode._VALUES_TO_NAMES


def _hosts_options(command: F) -> F:
    for option in (
        click.option("--filename", type=click.Path(path_type=Path, dir_okay=False), help="Hosts, one a line; # notes."),
        click.option("--hosts", type=Words(), metavar="LIST", help="Hosts with commas between."),
    ):
        command = option(command)
    return server_option(command)


def _wanted(hosts: tuple[str, ...] | None, filename: Path | None) -> list[str]:
    """Raises Usage."""
    if (hosts is None) == (filename is None):
        raise Usage("say which hosts: either --hosts or --filename")
    if filename is None:
        return list(hosts or ())
    try:
        lines = read_file(filename).decode().splitlines()
    except (OSError, ValueError) as wrong:
        raise Usage(f"--filename: {filename} cannot be read: {getattr(wrong, 'strerror', None) or wrong}") from None
    named = [line.partition("#")[0].strip() for line in lines]
    if not any(named):
        raise Usage(f"--filename: {filename} names no host")
    return [name for name in named if name]


class _Maintenance:
    """Calls about some hosts."""

    def __init__(self, server: str, hosts: list[str]) -> None:
        self._connection = Connection(server, timeout_s=120)
        self._server = server
        self._names = hosts
        self._hosts = aurora.Hosts(hostNames=hosts)

    def begin(self) -> None:
        self._connection.call("startMaintenance", hosts=self._hosts)

    def end(self) -> None:
        self._connection.call("endMaintenance", hosts=self._hosts)

    def drain(self) -> None:
        self._connection.call("drainHosts", hosts=self._hosts)

    def sla_drain(self, policy: Any, timeout_s: int) -> None:
        arguments = {"hosts": self._hosts, "defaultSlaPolicy": policy, "timeoutSecs": timeout_s}
        self._connection.call("slaDrainHosts", **arguments)

    def modes(self, connection: Connection | None = None) -> dict[str, int]:
        """By host; without those that the scheduler does not know."""
        found = (
            (connection or self._connection)
            .call("maintenanceStatus", hosts=self._hosts)
            .result.maintenanceStatusResult.statuses
        )
        return {one.host: one.mode for one in found}

    def tell(self) -> None:
        """A line for each host. Raises CommandError when one is not known."""
        self._tell(self.modes())

    def _tell(self, modes: dict[str, int]) -> None:
        for name in sorted({*self._names} & {*modes}):
            echo(f"{name} is in state {_MODES[modes[name]]}")
        unknown = sorted({*self._names} - {*modes})
        if unknown:
            raise CommandError(f"not known to the scheduler: {', '.join(unknown)}")

    def wait_until_drained(self, within_ms: int | None) -> None:
        """Until all that are known are DRAINED; puts up with a scheduler that is away. Raises as `ask_until`."""
        connection = Connection(self._server, retry_s=0)
        ask_until(
            lambda modes: not _draining(modes),
            lambda: self.modes(connection),
            note=Complaints(),
            late=self._late,
            timeout_ms=within_ms,
            goes_on="no longer watching; the drain goes on without this command",
            every_s=LOOK_EVERY_S,
        )

    def _late(self, modes: dict[str, int] | None, timeout_ms: int) -> str:
        if modes is None:
            return f"no answer within {duration_text(timeout_ms)}; the drain goes on without this command"
        self._tell(modes)
        return f"{count_of(len(_draining(modes)), 'host')} still to be drained; it goes on without this command"


def _draining(modes: dict[str, int]) -> list[str]:
    return [name for name, mode in modes.items() if mode != DRAINED]


@click.command("host_deactivate")
@_hosts_options
def deactivate(hosts: tuple[str, ...] | None, filename: Path | None, server: str) -> None:
    """Announce maintenance: new tasks go elsewhere where they can. What runs there runs on."""
    maintenance = _Maintenance(server, _wanted(hosts, filename))
    maintenance.begin()
    maintenance.tell()


@click.command("host_activate")
@_hosts_options
def activate(hosts: tuple[str, ...] | None, filename: Path | None, server: str) -> None:
    """Take hosts back into service."""
    maintenance = _Maintenance(server, _wanted(hosts, filename))
    maintenance.end()
    maintenance.tell()


@click.command("host_status")
@_hosts_options
def status(hosts: tuple[str, ...] | None, filename: Path | None, server: str) -> None:
    """Say how far hosts are on their way out of service. 1 when one of them is not known."""
    _Maintenance(server, _wanted(hosts, filename)).tell()


@click.command("host_drain")
@_hosts_options
@click.option("--post_drain_script", metavar="CMD", help="Run with each host's name when all are drained.")
@timeout_option
def drain(
    hosts: tuple[str, ...] | None,
    filename: Path | None,
    post_drain_script: str | None,
    timeout_ms: int | None,
    server: str,
) -> None:
    """Move every task away at once, whatever its SLA, and wait (five minutes, if --timeout does not say otherwise).

    `sla_host_drain` is what you want as long as the hosts are well.
    """
    names = _wanted(hosts, filename)
    maintenance = _Maintenance(server, names)
    maintenance.begin()
    maintenance.drain()
    maintenance.wait_until_drained(300_000 if timeout_ms is None else timeout_ms)
    maintenance.tell()
    for name in names if post_drain_script else ():
        ended = subprocess.run([str(post_drain_script), name], check=False).returncode
        if ended:
            raise CommandError(f"{post_drain_script} {name} ended with {ended}")


@click.command("sla_host_drain")
@_hosts_options
@click.option(
    "--default_percentage",
    type=click.FloatRange(0, 100),
    default=95,
    show_default=True,
    help="For jobs without an SLA of their own: so many percent of their instances must be up ...",
)
@click.option("--default_duration", type=Duration(), default="30m", show_default=True, help="... for so long.")
@click.option(
    "--force_drain_timeout", type=Duration(), default="7d", show_default=True, help="After that, whatever the SLA."
)
@click.option("--wait", is_flag=True, help="Until all are DRAINED.")
@timeout_option
def sla_drain(
    hosts: tuple[str, ...] | None,
    filename: Path | None,
    default_percentage: float,
    default_duration: int,
    force_drain_timeout: int,
    wait: bool,
    timeout_ms: int | None,
    server: str,
) -> None:
    """Move tasks away as fast as their SLA allows. The scheduler does it; this command need not stay."""
    maintenance = _Maintenance(server, _wanted(hosts, filename))
    percentage = aurora.PercentageSlaPolicy(percentage=default_percentage, durationSecs=default_duration // 1000)
    maintenance.sla_drain(aurora.SlaPolicy(percentageSlaPolicy=percentage), force_drain_timeout // 1000)
    if wait:
        maintenance.wait_until_drained(timeout_ms)
    maintenance.tell()


COMMANDS: Final = (deactivate, activate, status, drain, sla_drain)
