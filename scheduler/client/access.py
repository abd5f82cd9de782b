"""What it takes to talk to a server that asks: credentials, and certificates.

Credentials are those of --login with a password from a file, from THESAN_PASSWORD or from the terminal; otherwise those
that ~/.netrc has for the host, as with Aurora's client. A password is never on a command line, where `ps` shows it.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Any, Final

import click
import requests
from attrs import field, frozen
from click.core import ParameterSource

from scheduler.client.clusters import find_cluster, known_cluster
from scheduler.client.errors import Usage
from scheduler.client.output import echo
from scheduler.client.places import DEFAULT_SERVERSET_PATH, Place, parse_urls, parse_zk

PASSWORD_VARIABLE: Final = "THESAN_PASSWORD"
_MOST_PASSWORD: Final = 10_000
"""Characters: the file may be one that never ends."""


@frozen
class Access:
    """`login` None: whoever ~/.netrc says. `ca_file` None: the authorities this machine trusts."""

    login: str | None = None
    password: str = field(default="", repr=False)
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None

    def session(self) -> requests.Session:
        session = _Session()
        if self.login is not None:
            # As text it would go out in Latin-1, or not at all.
            name, password = (text.encode(errors="surrogateescape") for text in (self.login, self.password))
            session.auth = (name, password)  # type: ignore[assignment]
        if self.client_certificate is not None:
            key = self.client_key or self.client_certificate
            session.cert = (str(self.client_certificate), str(key))
        return session

    @property
    def verify(self) -> str | None:
        """For every request: what stands in the session gives way to the environment (REQUESTS_CA_BUNDLE)."""
        return None if self.ca_file is None else str(self.ca_file)


class Server(str):
    """Where the scheduler is, and how to get in. As text it is for people."""

    __slots__ = ("access", "is_chosen", "place")

    def __new__(cls, place: str | Place, access: Access, *, is_chosen: bool = True) -> Server:
        """`place` may be a URL. `is_chosen`: a person said where; otherwise the cluster in a job's name may say so.

        Raises Usage.
        """
        where = parse_urls(place) if isinstance(place, str) else place
        made = super().__new__(cls, where)
        made.place = where
        made.access = access
        made.is_chosen = is_chosen
        return made

    access: Access
    is_chosen: bool
    place: Place


def access_to(server: str) -> Access:
    return server.access if isinstance(server, Server) else Access()


def place_of(server: str) -> Place:
    """Raises Usage."""
    return server.place if isinstance(server, Server) else parse_urls(server)


def server_for(server: str, cluster: str) -> str:
    """Where to ask about a job of this cluster (empty: it was not named): there, unless a person said where.

    A cluster that stands in no file is looked for at the default URL. Raises Usage.
    """
    if not cluster or not isinstance(server, Server) or server.is_chosen:
        return server
    place = known_cluster(cluster)
    return server if place is None else Server(place, server.access)


def server_of(ctx: click.Context, _: click.Parameter, url: str) -> Server:
    """What `--server` means, with the options beside it. Raises Usage."""
    given: dict[str, Any] = ctx.meta.get(__name__, {})
    place = _chosen_place(ctx, url, given)
    access = _access(given)
    return Server(url, access, is_chosen=False) if place is None else Server(place, access)


def _chosen_place(ctx: click.Context, url: str, given: dict[str, Any]) -> Place | None:
    """What the command line says, or else the environment; None when neither does."""
    values = {"server": url, "zk": given.get("zk"), "cluster": given.get("cluster")}
    for source in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT):
        names = [name for name in values if ctx.get_parameter_source(name) is source]
        if len(names) > 1:
            said = " and ".join(f"--{name}" for name in names)
            how = " (in the environment)" if source is ParameterSource.ENVIRONMENT else ""
            raise Usage(f"{said} are given{how}: each says where the scheduler is, give one")
        if names == ["server"]:
            return parse_urls(url)
        if names == ["zk"]:
            return parse_zk(values["zk"] or "", given.get("serverset_path") or DEFAULT_SERVERSET_PATH)
        if names == ["cluster"]:
            return find_cluster(values["cluster"] or "")
    return None


def _access(given: dict[str, Any]) -> Access:
    login, ca_file = given.get("login"), given.get("ca_file")
    certificate, key = given.get("client_certificate"), given.get("client_key")
    if key is not None and certificate is None:
        raise Usage("--client-key is given without --client-certificate")
    for name, path in (("--ca-file", ca_file), ("--client-certificate", certificate), ("--client-key", key)):
        if path is not None and not path.is_file():
            raise Usage(f"{name}: there is no file {path}")
    password = ""
    if login is not None:
        if ":" in login:
            raise Usage("--login: a name has no colon")
        password = _password(login, given.get("password_file"))
    elif given.get("password_file") is not None:
        raise Usage("--password-file is given without --login")
    return Access(login, password, ca_file, certificate, key)


def keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Callback of the options beside `--server`, which are read before it."""
    ctx.meta.setdefault(__name__, {})[param.name] = value


def _password(login: str, path: Path | None) -> str:
    if path is not None:
        try:
            with path.open(encoding="utf-8") as file:
                if os.fstat(file.fileno()).st_mode & (stat.S_IRGRP | stat.S_IROTH):
                    echo(f"thesan: {path} can be read by others; chmod 600 it", err=True)
                return file.readline(_MOST_PASSWORD).rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as wrong:
            raise Usage(f"--password-file: {path} cannot be read: {getattr(wrong, 'strerror', wrong)}") from None
    if (found := os.environ.get(PASSWORD_VARIABLE)) is not None:
        return found
    if not sys.stdin.isatty():
        raise Usage(f"--login {login}: give --password-file or set {PASSWORD_VARIABLE}; there is no terminal to ask on")
    asked: str = click.prompt(f"Password of {login}", hide_input=True, err=True)
    return asked


class _Session(requests.Session):
    """Credentials go along when a standby sends us to the leader, which is another host: whoever sends us there has
    had them. Not from TLS to plain text."""

    def should_strip_auth(self, old_url: str, new_url: str) -> bool:
        return old_url.startswith("https:") and not new_url.startswith("https:")
