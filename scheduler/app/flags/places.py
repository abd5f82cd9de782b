"""Values of flags that say where something is: addresses, hosts, ports, paths in ZooKeeper, and who may go there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from scheduler.app.flags.kinds import Kind

_HOST_PORT: Final = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})", re.ASCII)
_HOST_PATTERN: Final = re.compile(r"\*|(\*\.)?[a-z0-9_][a-z0-9._-]*|[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*", re.ASCII)
_ZK_PATH: Final = re.compile(r"(/(?!\.{1,2}(/|$))[^/\x00-\x1f\x7f]+)+")


class Address(Kind):
    """An IP address, of either version."""

    name = "address"
    allowed = "an IP address"

    def parse(self, text: str) -> str:
        try:
            return str(ip_address(text))
        except ValueError:
            raise ValueError from None


class HostPort(Kind):
    """`host:port`, one."""

    name = "host:port"
    allowed = "host:port, the port from 1 to 65535"

    def parse(self, text: str) -> str:
        found = _HOST_PORT.fullmatch(text)
        if found is None or not 1 <= int(found[2]) <= 65_535:
            raise ValueError
        return text


class HostPorts(Kind):
    """`host:port`, several with commas between. The value is the text, tidied."""

    name = "host:port,..."
    allowed = "host:port, several with commas between, ports from 1 to 65535"

    def parse(self, text: str) -> str:
        one = HostPort()
        return ",".join(one.parse(part.strip()) for part in text.split(","))


class Hosts(Kind):
    """Names or addresses of hosts, with commas between; `*.` in front of a name means all below it, `*` any."""

    name = "host,..."
    allowed = "hosts with commas between, each a name, an address, *.NAME for all below it, or * for any"

    def parse(self, text: str) -> tuple[str, ...]:
        parts = tuple(part.strip().lower() for part in text.split(","))
        if not all(map(_HOST_PATTERN.fullmatch, parts)):
            raise ValueError
        return parts

    def show(self, value: Sequence[str]) -> str:
        return ",".join(value)


class ZkPath(Kind):
    """A path in ZooKeeper: absolute, without a slash at its end."""

    name = "/path"
    allowed = "an absolute path, like /aurora/scheduler"

    def parse(self, text: str) -> str:
        if not _ZK_PATH.fullmatch(text):
            raise ValueError
        return text


class Credentials(Kind):
    """`user:password`."""

    name = "user:password"
    allowed = "a user and a password, with a colon between"

    def parse(self, text: str) -> str:
        user, colon, password = text.partition(":")
        if not (user and colon and password):
            raise ValueError
        return text


class PortRange(Kind):
    """`FIRST-LAST`, both included."""

    name = "first-last"
    allowed = "a range of ports, FIRST-LAST, from 1 to 65535"

    def parse(self, text: str) -> tuple[int, int]:
        first, _, last = text.partition("-")
        if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last) <= 65_535):
            raise ValueError
        return int(first), int(last)

    def show(self, value: tuple[int, int]) -> str:
        return f"{value[0]}-{value[1]}"
