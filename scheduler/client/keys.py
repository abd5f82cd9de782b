"""Names of jobs and updates as people type them."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from scheduler.client.access import server_for
from scheduler.client.connection import Connection
from scheduler.client.errors import CommandError, Usage
from scheduler.interface import aurora

_GOOD: Final = re.compile(r"[\w\-.]+", re.ASCII)


class Job(NamedTuple):
    """A job's name; `cluster` is empty when it was not given."""

    cluster: str
    role: str
    environment: str
    name: str

    @property
    def path(self) -> str:
        return f"{self.role}/{self.environment}/{self.name}"

    def key(self) -> Any:
        """As a JobKey struct."""
        return aurora.JobKey(role=self.role, environment=self.environment, name=self.name)


def parse_job(text: str) -> Job:
    """From role/environment/name, with or without cluster/ before it. Raises ValueError."""
    parts = text.split("/")
    if len(parts) not in (3, 4):
        raise ValueError(f"must be role/environment/name or cluster/role/environment/name, not {text!r}")
    for part in parts:
        if not _GOOD.fullmatch(part) or len(part) > 255:
            raise ValueError(f"{part!r} in {text!r} must consist of letters, digits, '_', '-' and '.'")
    cluster, role, environment, name = parts if len(parts) == 4 else ("", *parts)
    return Job(cluster, role, environment, name)


def parse_job_argument(text: str) -> Job:
    """As `parse_job`, for the command line. Raises Usage."""
    try:
        return parse_job(text)
    except ValueError as wrong:
        raise Usage(f"job key: {wrong}") from None


class Scope(NamedTuple):
    """Which jobs: those under a cluster, a role, an environment, or a single one. Empty: not restricted."""

    cluster: str = ""
    role: str = ""
    environment: str = ""
    name: str = ""

    def holds(self, key: Any) -> bool:
        """Does a JobKey struct lie in it?"""
        return all(
            not wanted or wanted == has
            for wanted, has in zip(self[1:], (key.role, key.environment, key.name), strict=True)
        )


def parse_scope(text: str | None) -> Scope:
    """From role[/environment[/name]], or cluster/role/environment/name; `*` stands for any. Raises Usage."""
    if not text:
        return Scope()
    parts = ["" if part == "*" else part for part in text.rstrip("/").split("/")]
    if len(parts) > 4 or any(part and not _GOOD.fullmatch(part) for part in parts):
        raise Usage(f"must be role, role/environment, a job key, or any of these with * for a part, not {text!r}")
    if len(parts) == 4:
        return Scope(*parts)
    return Scope("", *parts)


def path_of(key: Any) -> str:
    """A JobKey struct as role/environment/name."""
    return f"{key.role}/{key.environment}/{key.name}"


def connect(server: str, cluster: str) -> Connection:
    """To the scheduler of the cluster that a key names; empty: it names none. Raises CommandError."""
    connection = Connection(server_for(server, cluster))
    check_cluster(connection, cluster)
    return connection


def check_cluster(connection: Connection, cluster: str) -> None:
    """Refuse to act on a server that is not of the cluster the key names. Raises CommandError."""
    if not cluster:
        return
    info = connection.call("getTierConfigs").serverInfo
    name = info.clusterName if info is not None else None
    if name != cluster:
        raise CommandError(f"{connection.server} serves cluster {name!r}, not {cluster!r}; choose with --server")
