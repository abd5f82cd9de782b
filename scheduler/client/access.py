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

from scheduler.client.errors import Usage

PASSWORD_VARIABLE: Final = "THESAN_PASSWORD"


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
            session.auth = (self.login.encode(), self.password.encode())  # type: ignore[assignment]
        if self.client_certificate is not None:
            key = self.client_key or self.client_certificate
            session.cert = (str(self.client_certificate), str(key))
        return session

    @property
    def verify(self) -> str | None:
        """For every request: what stands in the session gives way to the environment (REQUESTS_CA_BUNDLE)."""
        return None if self.ca_file is None else str(self.ca_file)


class Server(str):
    """The URL of a server, and how to get in."""

    __slots__ = ("access",)

    def __new__(cls, url: str, access: Access) -> Server:
        made = super().__new__(cls, url)
        made.access = access
        return made

    access: Access


def access_to(server: str) -> Access:
    return server.access if isinstance(server, Server) else Access()


def server_of(ctx: click.Context, _: click.Parameter, url: str) -> Server:
    """What `--server` means, with the options beside it. Raises Usage."""
    given: dict[str, Any] = ctx.meta.get(__name__, {})
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
    return Server(url, Access(login, password, ca_file, certificate, key))


def keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Callback of the options beside `--server`, which are read before it."""
    ctx.meta.setdefault(__name__, {})[param.name] = value


def _password(login: str, path: Path | None) -> str:
    if path is not None:
        try:
            with path.open(encoding="utf-8") as file:
                if os.fstat(file.fileno()).st_mode & (stat.S_IRGRP | stat.S_IROTH):
                    click.echo(f"thesan: {path} can be read by others; chmod 600 it", err=True)
                return file.readline().rstrip("\r\n")
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
