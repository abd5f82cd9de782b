"""Clusters by name, from the files that Aurora's client reads: clusters.json in $AURORA_CONFIG_ROOT (/etc/aurora) and
in ~/.aurora, the latter before the former.

Each is a list of entries with `name`, or an object of entries by name (Aurora's documentation, "Client Cluster
Configuration"). Of an entry `scheduler_uri` counts, or else `zk`, `zk_port` and `scheduler_zk_path`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

from scheduler.client.errors import Usage
from scheduler.client.files import read_file
from scheduler.client.places import DEFAULT_SERVERSET_PATH, Place, parse_urls, parse_zk

FILE: Final = "clusters.json"
ZK_PORT: Final = 2181


def files() -> tuple[Path, ...]:
    """Where clusters are looked for, the strongest last."""
    return Path(os.environ.get("AURORA_CONFIG_ROOT") or "/etc/aurora") / FILE, Path.home() / ".aurora" / FILE


def find_cluster(name: str) -> Place:
    """Where the schedulers of a cluster are. Raises Usage when no file knows it."""
    place = known_cluster(name)
    if place is None:
        known = ", ".join(sorted({name for path in files() for name in _read(path)})) or "none"
        where = " nor in ".join(map(str, files()))
        raise Usage(f"cluster {name!r} stands neither in {where}; known: {known}")
    return place


def known_cluster(name: str) -> Place | None:
    """As `find_cluster`; None when no file knows it. Raises Usage for what cannot be read."""
    for path in reversed(files()):
        entry = _read(path).get(name)
        if entry is not None:
            return _place(entry, f"{path}, cluster {name!r}")
    return None


def _read(path: Path) -> dict[str, Any]:
    """Name to entry; empty when there is no such file."""
    try:
        told = json.loads(read_file(path).decode())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as wrong:
        raise Usage(f"{path} cannot be read: {getattr(wrong, 'strerror', None) or wrong}") from None
    if isinstance(told, dict):
        return {str(name): entry for name, entry in told.items()}
    if isinstance(told, list) and all(isinstance(entry, dict) and entry.get("name") for entry in told):
        return {str(entry["name"]): entry for entry in told}
    raise Usage(f"{path}: must be a list of clusters with `name`, or an object of clusters by name")


def _place(entry: Any, where: str) -> Place:
    if not isinstance(entry, dict):
        raise Usage(f"{where}: must be an object, not {entry!r}")
    if entry.get("scheduler_uri"):
        return parse_urls(_text(entry, "scheduler_uri", where), f"{where}: scheduler_uri")
    if not entry.get("zk"):
        raise Usage(f"{where}: has neither scheduler_uri nor zk")
    port = entry.get("zk_port", ZK_PORT)
    if not isinstance(port, int) or not 0 < port < 65536:
        raise Usage(f"{where}: zk_port must be a port, not {port!r}")
    hosts, slash, chroot = _text(entry, "zk", where).partition("/")
    named = (one if _has_port(one) else f"{one}:{port}" for one in (part.strip() for part in hosts.split(",")))
    path = entry.get("scheduler_zk_path", DEFAULT_SERVERSET_PATH)
    try:
        return parse_zk(f"{','.join(named)}{slash}{chroot}", str(path))
    except Usage as wrong:
        raise Usage(f"{where}: {wrong.format_message().replace('--zk', 'zk', 1)}") from None


def _has_port(host: str) -> bool:
    return ":" in host.rpartition("]")[2]


def _text(entry: dict[str, Any], key: str, where: str) -> str:
    value = entry[key]
    if not isinstance(value, str):
        raise Usage(f"{where}: {key} must be a text, not {value!r}")
    return value
