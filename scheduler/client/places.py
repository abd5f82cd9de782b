"""Where a scheduler is to be found: at a URL, at one of several, or wherever ZooKeeper says that the leader is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Protocol
from urllib.parse import urlsplit

from scheduler.client.errors import Usage
from scheduler.client.serverset import read_leader

DEFAULT_SERVER: Final = "http://127.0.0.1:8081"
DEFAULT_SERVERSET_PATH: Final = "/aurora/scheduler"

ONE_SERVER_S: Final = 3.0
TAKE_OVER_S: Final = 15.0
"""Longer than it takes until a leader that died is missed and the next one answers, with a session of 4 s."""


class Place(Protocol):
    """`retry_s`: for how long a call that may be sent again is sent again."""

    @property
    def retry_s(self) -> float: ...

    def find(self) -> str:
        """The URL to ask, without a path. Raises Unreachable when there is none now."""

    def failed(self, url: str) -> None:
        """Nobody serves there: the next `find` looks elsewhere."""


class Urls:
    """One URL, or several of which the next one is asked when one does not serve."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = tuple(urls)
        self._at = 0
        self.retry_s = ONE_SERVER_S if len(self._urls) == 1 else TAKE_OVER_S

    def find(self) -> str:
        return self._urls[self._at % len(self._urls)]

    def failed(self, url: str) -> None:
        if url == self.find():
            self._at += 1

    def __str__(self) -> str:
        return ",".join(self._urls)


class InZooKeeper:
    """The leader that is advertised. What was found is kept until it fails."""

    retry_s = TAKE_OVER_S

    def __init__(self, hosts: str, path: str) -> None:
        """`hosts` is `host:port,host:port`, and `path` is that of the serverset, chroot and all."""
        self._hosts = hosts
        self._path = path
        self._found: str | None = None

    def find(self) -> str:
        if self._found is None:
            self._found = read_leader(self._hosts, self._path)
        return self._found

    def failed(self, url: str) -> None:
        self._found = None

    def __str__(self) -> str:
        return f"zk://{self._hosts}{self._path}"


def parse_urls(text: str, option: str = "--server or THESAN_SERVER") -> Urls:
    """From one URL, or several with commas between. Raises Usage."""
    if "@" in text:  # said before anything else, without the text: it has a password in it
        raise Usage(f"{option}: no user and no password in a URL; --login and --password-file give them, or ~/.netrc")
    return Urls([_base_url(url.strip(), option) for url in text.split(",")])


def parse_zk(text: str, path: str = DEFAULT_SERVERSET_PATH) -> InZooKeeper:
    """From `host:port,host:port/chroot`, as ZooKeeper's own clients have it. Raises Usage."""
    hosts, slash, chroot = text.strip().partition("/")
    for one in hosts.split(","):
        _check_host(one, text)
    whole = f"{slash}{chroot}".rstrip("/") + path.rstrip("/")
    if not path.startswith("/") or "//" in whole:
        raise Usage(f"--serverset-path {path!r}: must begin with / and have no empty part")
    return InZooKeeper(hosts, whole)


def _check_host(one: str, text: str) -> None:
    try:
        parts = urlsplit(f"//{one}")
        good = bool(parts.hostname) and parts.netloc == one and (parts.port or 1) > 0 and not re.search(r"[@\s]", one)
        (parts.hostname or "").encode("idna")  # as it is looked up: elsewhere it would fail in a thread of kazoo's
    except ValueError:
        good = False
    if not good:
        raise Usage(f"--zk or THESAN_ZK {text!r}: {one!r} must be HOST or HOST:PORT")


def _base_url(server: str, option: str) -> str:
    url = server if "://" in server else f"http://{server}"
    try:
        parts = urlsplit(url)
        has_port = parts.port is not None
    except ValueError as wrong:
        raise Usage(f"{option} {server!r}: {wrong}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Usage(f"{option} {server!r}: must be a URL such as {DEFAULT_SERVER}")
    if "?" in url or "#" in url:
        raise Usage(f"{option} {server!r}: nothing may follow the path, no ? and no #")
    if parts.path.rstrip("/") not in ("", "/api"):
        raise Usage(f"{option} {server!r}: the path must be empty, calls go to /api")
    return f"{parts.scheme}://{parts.netloc}{'' if has_port or parts.scheme == 'https' else ':8081'}"
