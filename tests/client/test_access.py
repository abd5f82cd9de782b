"""The command against servers that ask who it is: a real one with users and TLS, and standbys that redirect."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.client.access import Access, Server
from scheduler.client.checks import PageCheck, check_for, parse_figure
from scheduler.client.connection import Connection
from scheduler.client.errors import CommandError, NotAllowed
from scheduler.security.passwords import make, parse
from tests.client.served import Served, served, thesan
from tests.client.test_connection import OK, reply, server
from tests.security.certificates import Authority

PASSWORD = "gr\u00fc\u00dfe, \u65e5\u672c"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("secured")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder)


@pytest.fixture(scope="module")
def house(folder: Path, authority: Authority) -> Iterator[Served]:
    users = folder / "users.ini"
    users.write_text(f"[users]\nalice = {make(PASSWORD)}, admin\nbob = !, admin\neve = e\n[roles]\nadmin = *\n")
    users.chmod(0o600)
    files = authority.server()
    flags = ["--http-authentication-mechanism=BASIC", f"--shiro-ini-path={users}"]
    flags += [f"--tls-certificate={files.certificate}", f"--tls-key={files.key}", f"--tls-client-ca={authority.path}"]
    with served(folder, *flags) as found:
        yield found


KILL = ("job", "kill", "www/devel/nothing")


def run(house: Served, *arguments: str, home: Path | None = None, **variables: str) -> tuple[int, str]:
    """Exit code, and what was said."""
    environment = {**house.environment(), "HOME": str(home or "/nonexistent"), **variables}
    done = thesan(*arguments, environment=environment)
    assert "Traceback" not in done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_every_way_in(house: Served, authority: Authority, folder: Path, tmp_path: Path) -> None:
    assert house.url.startswith("https://")
    trust = {"THESAN_CA_FILE": str(authority.path)}
    code, said = run(house, "job", "list")
    assert (code, "its certificate is not trusted" in said) == (3, True)
    assert run(house, "job", "list", **trust)[0] == 0

    code, said = run(house, *KILL, **trust)
    assert (code, "wants a user" in said) == (5, True)
    code, said = run(house, *KILL, "--login", "eve", **trust, THESAN_PASSWORD="e")
    assert (code, "Subject eve is not permitted to" in said) == (5, True)
    code, said = run(house, *KILL, "--login", "eve", **trust, THESAN_PASSWORD="wrong")
    assert (code, "401" in said) == (5, True)

    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n", encoding="utf-8")
    secret.chmod(0o600)
    in_file = ("--login", "alice", "--password-file", str(secret))
    assert run(house, *KILL, *in_file, "--ca-file", str(authority.path))[0] != 5
    assert run(house, *KILL, **trust, THESAN_LOGIN="alice", THESAN_PASSWORD=PASSWORD)[0] != 5

    certificate, key = authority.user("bob")
    own = ("--client-certificate", str(certificate), "--client-key", str(key))
    assert run(house, *KILL, *own, **trust)[0] != 5

    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login eve password e\n")
    (tmp_path / ".netrc").chmod(0o600)
    code, said = run(house, *KILL, home=tmp_path, **trust)
    assert (code, "Subject eve" in said) == (5, True)
    assert run(house, *KILL, *in_file, home=tmp_path, **trust)[0] != 5, "what is given wins over ~/.netrc"


@pytest.mark.slow
def test_the_environment_s_bundle_does_not_replace_what_was_asked_for(house: Served, authority: Authority) -> None:
    everybody = ssl.get_default_verify_paths().cafile or str(authority.path)
    trust = {"THESAN_CA_FILE": str(authority.path), "REQUESTS_CA_BUNDLE": everybody}
    assert run(house, "job", "list", **trust)[0] == 0


@pytest.mark.slow
def test_the_monitor_reads_the_server_s_figures_in_tls(house: Served, authority: Authority) -> None:
    figure = parse_figure("framework_registered>=1")
    page = f"{house.url}/vars"
    assert check_for(None, None, "framework_registered>=1", page, str(authority.path)).look(10).passed
    assert not PageCheck(page, figure.judge).look(10).passed


WRONG = {
    ("--password-file", "x"): "without --login",
    ("--client-key", __file__): "without --client-certificate",
    ("--ca-file", "/nonexistent/ca.pem"): "there is no file",
    ("--login", "a:b"): "no colon",
    ("--login", "alice"): "no terminal to ask on",
    ("--login", "alice", "--password-file", "/nonexistent/p"): "cannot be read",
}


@pytest.mark.parametrize("options", WRONG, ids=" ".join)
def test_what_does_not_go_together_is_said(options: tuple[str, ...]) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("THESAN_")}
    done = thesan("job", "list", "--server", "http://127.0.0.1:1", *options, environment=environment)
    assert done.returncode == 2
    assert WRONG[options] in done.stderr


def test_credentials_go_along_to_the_leader() -> None:
    with server(reply("getTierConfigs", OK)) as (leader, asked):
        redirect = (307, {"Location": f"{leader.replace('127.0.0.1', 'localhost')}/api"}, b"")
        with server(redirect) as (standby, _):
            Connection(Server(standby, Access("alice", "secret"))).call("getTierConfigs")
    ((_, headers, _),) = asked
    assert headers["Authorization"] == "Basic " + b64encode(b"alice:secret").decode()


def test_credentials_do_not_leave_tls() -> None:
    session = Access("alice", "secret").session()
    assert session.should_strip_auth("https://a/api", "http://a/api")
    assert not session.should_strip_auth("https://a/api", "https://b:1/api")
    assert not session.should_strip_auth("http://a/api", "https://b/api")


def test_without_a_login_the_redirect_carries_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with server((401, {}, b"")) as (url, asked), pytest.raises(NotAllowed, match="--login"):
        Connection(url).call("getTierConfigs")
    assert "Authorization" not in asked[0][1]


def test_asked_too_often_is_tried_again() -> None:
    with server((429, {"Retry-After": "1"}, b""), reply("getTierConfigs", OK)) as (url, asked):
        Connection(url, retry_s=3).call("getTierConfigs")
        assert len(asked) == 2


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(Access("alice", "secret"))
    with pytest.raises(CommandError) as wrong:
        Connection(Server("http://127.0.0.1:1", Access("alice", "secret")), retry_s=0).call("getTierConfigs")
    assert "secret" not in str(wrong.value)


def test_a_hash_is_made_of_what_comes_in() -> None:

    command = [sys.executable, "-m", "scheduler", "password"]
    done = subprocess.run(command, input=f"{PASSWORD}\n", capture_output=True, text=True, check=True, timeout=30)
    assert parse(done.stdout.strip()).matches(PASSWORD.encode())
    assert PASSWORD not in done.stdout
    empty = subprocess.run(command, input="", capture_output=True, text=True, check=False, timeout=30)
    assert (empty.returncode, empty.stdout) == (2, "")
