"""The hosts of the simulated cluster, made from numbers or read from a file.

What a file may say: `docs/engines.md`, "Hosts from a file".
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from scheduler.core.records import Host
from scheduler.engines.simulated.options import Options

PORTS: Final = tuple(range(31000, 32001))
MOST_HOSTS: Final = 1_000_000

_AMOUNTS: Final = ("cpus", "ram_mb", "disk_mb", "gpus")
_SHARED: Final = (*_AMOUNTS, "ports")
_OF_A_HOST: Final = (
    "name", "count", "rack", "racks", "attributes", "dedicated", "unavailable_from_ms", "failures", "partitions",
    *_SHARED,
)  # fmt: skip
_OF_AN_OUTAGE: Final = ("after_ms", "for_ms", "every_ms")


class WrongHosts(ValueError):
    """The file of hosts cannot be used; says where in it, what is wrong and what is allowed."""


@frozen
class Outage:
    """From `after_ms` on, for `for_ms`, and again `every_ms` after it began (None: once)."""

    after_ms: float
    for_ms: float
    every_ms: float | None = None


@frozen
class HostPlan:
    """One host and what becomes of it: failures, in which it goes away with all on it; partitions, in which it only
    falls silent."""

    host: Host
    failures: tuple[Outage, ...] = ()
    partitions: tuple[Outage, ...] = ()


def hosts_of(options: Options) -> list[HostPlan]:
    """`options.hosts` hosts of one size, their racks in turn."""
    digits = len(str(max(0, options.hosts - 1)))
    plans = []
    for i in range(options.hosts):
        name = f"host-{i:0{digits}}"
        attributes = (("host", (name,)), ("rack", (f"rack-{i % max(1, options.racks)}",)))
        agent = f"simulated-{name}"
        host = Host(name, agent, options.cpus, options.ram_mb, options.disk_mb, 0, PORTS, attributes)
        plans.append(HostPlan(host))
    return plans


# --- the file --------------------------------------------------------------------------------------------------------


def read_hosts(path: Path, options: Options) -> list[HostPlan]:
    """The hosts a TOML file describes; sizes it does not name are those of `options`. Raises WrongHosts."""
    try:
        return hosts_from(tomllib.loads(path.read_text(encoding="utf-8")), options)
    except OSError as wrong:
        raise WrongHosts(f"{path} cannot be read: {wrong.strerror}") from None
    except (ValueError, RecursionError) as wrong:
        raise WrongHosts(f"{path}: {wrong}") from None


def hosts_from(document: Mapping[str, Any], options: Options) -> list[HostPlan]:
    """Raises WrongHosts."""
    _only(document, ("defaults", "hosts"), "the file")
    defaults = _table(document.get("defaults", {}), "defaults")
    _only(defaults, _SHARED, "defaults")
    shared = {"cpus": options.cpus, "ram_mb": options.ram_mb, "disk_mb": options.disk_mb, "gpus": 0} | dict(defaults)
    entries = document.get("hosts")
    if not isinstance(entries, list) or not entries:
        raise WrongHosts("there is no host; write at least one [[hosts]]")
    plans: dict[str, HostPlan] = {}
    for number, entry in enumerate(entries, 1):
        where = f"hosts, entry {number}"
        for plan in _entry(_table(entry, where), shared, where):
            if plan.host.name in plans:
                raise WrongHosts(f"{where}: there are two hosts called {plan.host.name!r}")
            plans[plan.host.name] = plan
        if len(plans) > MOST_HOSTS:
            raise WrongHosts(f"there are more than {MOST_HOSTS} hosts")
    return list(plans.values())


def _entry(entry: Mapping[str, Any], shared: Mapping[str, Any], where: str) -> Iterator[HostPlan]:
    _only(entry, _OF_A_HOST, where)
    name, count = entry.get("name"), _number(entry.get("count", 1), f"{where}, count", 1, whole=True)
    if not isinstance(name, str) or not re.fullmatch(r"[\w.{}-]{1,200}", name, re.ASCII):
        raise WrongHosts(
            f"{where}: name is {name!r}; it must be letters, digits, '.', '_' and '-', and {{}} for a number"
        )
    if count > MOST_HOSTS:
        raise WrongHosts(f"{where}: count is {count}; it must be at most {MOST_HOSTS}")
    if count > 1 and name.count("{}") != 1:
        raise WrongHosts(f"{where}: name is {name!r} and count {count}; {{}} must stand in the name for the number")
    sizes = {key: _number(entry.get(key, shared[key]), f"{where}, {key}", 0, whole=key != "cpus") for key in _AMOUNTS}
    ports = _ports(entry.get("ports", shared.get("ports")), where)
    unavailable = entry.get("unavailable_from_ms")
    if unavailable is not None:
        unavailable = int(_number(unavailable, f"{where}, unavailable_from_ms", 0, whole=True))
    failures = _outages(entry.get("failures", []), f"{where}, failures")
    partitions = _outages(entry.get("partitions", []), f"{where}, partitions")
    digits = len(str(int(count) - 1))
    for i in range(int(count)):
        own = name.replace("{}", f"{i:0{digits}}")
        host = Host(
            own,
            f"simulated-{own}",
            float(sizes["cpus"]),
            int(sizes["ram_mb"]),
            int(sizes["disk_mb"]),
            int(sizes["gpus"]),
            ports,
            _attributes(entry, own, i, where),
            unavailable_from_ms=unavailable,
        )
        yield HostPlan(host, failures, partitions)


def _attributes(entry: Mapping[str, Any], name: str, i: int, where: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found: dict[str, tuple[str, ...]] = {"host": (name,)}
    if "rack" in entry and "racks" in entry:
        raise WrongHosts(f"{where}: rack and racks are both given; one of them is enough")
    if "rack" in entry:
        found["rack"] = _values(entry["rack"], f"{where}, rack")
    if "racks" in entry:
        found["rack"] = (f"rack-{i % int(_number(entry['racks'], f'{where}, racks', 1, whole=True))}",)
    if "dedicated" in entry:
        found["dedicated"] = _values(entry["dedicated"], f"{where}, dedicated")
    for key, value in _table(entry.get("attributes", {}), f"{where}, attributes").items():
        found[key] = _values(value, f"{where}, attributes, {key}")
    return tuple(sorted(found.items()))


def _values(value: Any, where: str) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, str) and one for one in values):
        raise WrongHosts(f"{where} is {value!r}; it must be a text or a list of texts")
    return tuple(values)


def _ports(value: Any, where: str) -> tuple[int, ...]:
    if value is None:
        return PORTS
    first, _, last = str(value).partition("-")
    if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last) <= 65_535):
        raise WrongHosts(f'{where}: ports is {value!r}; it must be "FIRST-LAST", from 1 to 65535')
    return tuple(range(int(first), int(last) + 1))


def _outages(value: Any, where: str) -> tuple[Outage, ...]:
    if not isinstance(value, list):
        raise WrongHosts(f"{where} is {value!r}; it must be a list of tables")
    found = []
    for one in value:
        table = _table(one, where)
        _only(table, _OF_AN_OUTAGE, where)
        for key in ("after_ms", "for_ms"):
            if key not in table:
                raise WrongHosts(f"{where}: {key} is missing")
        outage = Outage(**{key: _number(amount, f"{where}, {key}", 1) for key, amount in table.items()})
        if outage.every_ms is not None and outage.every_ms <= outage.for_ms:
            raise WrongHosts(f"{where}: every_ms is {outage.every_ms:g}; it must be more than for_ms")
        found.append(outage)
    return tuple(found)


def _number(value: Any, where: str, lowest: float, *, whole: bool = False) -> float:
    good = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not good or not lowest <= value <= 2**53:
        raise WrongHosts(f"{where} is {value!r}; it must be a {'whole ' if whole else ''}number from {lowest:g} up")
    return value  # type: ignore[no-any-return]


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise WrongHosts(f"{where} is {value!r}; it must be a table")
    return value


def _only(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            raise WrongHosts(f"{where}: {key!r} is not understood; known: {', '.join(known)}")
