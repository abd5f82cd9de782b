"""Both ports in TLS, with real certificates and real clients: who gets in, as whom, and who holds nobody up."""

from __future__ import annotations

import asyncio
import datetime
import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from scheduler.core.answers import Code
from scheduler.interface import aurora
from scheduler.rpc.content_types import BINARY_TYPE
from scheduler.security.handshakes import Tls
from scheduler.security.realm import Realm
from scheduler.security.tls import Certificates, Files
from scheduler.testing.serving import InThread, Serving, serving
from tests.rpc.calls import JOB, binary_call, framed, job, read_reply
from tests.security.certificates import LONG_AGO, Authority

USERS = "[users]\nalice = !, admin\nbob = plain\n[roles]\nadmin = *\n"
GET = binary_call("getTierConfigs")
KILL = binary_call("killTasks", job=JOB)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@contextmanager
def house(files: Files, users: Path | None = None, timeout_s: float = 10) -> Iterator[InThread]:
    tls = Tls(Certificates(files), timeout_s=timeout_s)
    with serving(tls=tls, realm=None if users is None else Realm(users)) as found:
        yield found


def trusting(authority: Authority, user: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.path))
    if user is not None:
        context.load_cert_chain(*user)
    return context


def over_http(found: InThread, context: ssl.SSLContext, body: bytes = GET, **headers: str) -> tuple[int, Any]:
    kinds = {"Content-Type": BINARY_TYPE, "Accept": BINARY_TYPE}
    with closing(http.client.HTTPSConnection("localhost", found.http_port, context=context, timeout=10)) as connection:
        connection.request("POST", "/api", body, {**kinds, **headers})
        answer = connection.getresponse()
        data = answer.read()
    return answer.status, read_reply(data)[3].responseCode if answer.status == 200 else data


def over_raw(found: InThread, context: ssl.SSLContext, message: bytes = GET) -> Any:
    with (
        socket.create_connection(("localhost", found.thrift_port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as client,
    ):
        client.sendall(framed(message))
        stream = client.makefile("rb")
        length = stream.read(4)
        if not length:
            raise EOFError
        return read_reply(stream.read(int.from_bytes(length, "big")))[3].responseCode


def test_both_ports_answer_in_tls(authority: Authority) -> None:
    with house(authority.server()) as found:
        assert over_http(found, trusting(authority)) == (200, Code.OK)
        assert over_raw(found, trusting(authority)) == Code.OK


def test_a_large_answer_and_a_large_question_get_through(authority: Authority) -> None:
    with house(authority.server()) as found:
        config = job(4000, executorConfig=aurora.ExecutorConfig(name="AuroraExecutor", data="x" * 20_000))
        assert over_http(found, trusting(authority), binary_call("createJob", description=config)) == (200, Code.OK)
        everything = binary_call("getTasksStatus", query=aurora.TaskQuery())
        assert over_http(found, trusting(authority), everything) == (200, Code.OK)
        assert over_raw(found, trusting(authority), everything) == Code.OK


def test_who_does_not_speak_tls_gets_nothing_and_is_forgotten(authority: Authority) -> None:
    with house(authority.server()) as found:
        for port in (found.http_port, found.thrift_port):
            with socket.create_connection(("localhost", port), timeout=10) as client:
                client.sendall(framed(GET) if port == found.thrift_port else b"GET /health HTTP/1.1\r\n\r\n")
                assert b"HTTP" not in client.recv(100)
        assert_nobody_is_left(found)


def test_a_client_that_trusts_another_authority_hangs_up(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    with house(authority.server()) as found:
        for call in (over_http, over_raw):
            with pytest.raises(ssl.SSLCertVerificationError):
                call(found, trusting(other))
        assert_nobody_is_left(found)


def test_an_expired_certificate_is_not_believed_by_clients(authority: Authority) -> None:
    files = authority.server(not_before=LONG_AGO, not_after=LONG_AGO + datetime.timedelta(days=1))
    with house(files) as found, pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        over_http(found, trusting(authority))


# --- certificates of clients


def asking(authority: Authority, *, required: bool) -> Files:
    return attrs.evolve(authority.server(), client_ca=authority.path, client_required=required)


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users.ini"
    path.write_text(USERS)
    path.chmod(0o600)
    return path


def test_a_certificate_names_the_user_on_both_ports(authority: Authority, users: Path) -> None:
    with house(asking(authority, required=False), users) as found:
        alice, bob, eve = (trusting(authority, authority.user(name)) for name in ("alice", "bob", "eve"))
        for context, code in ((alice, Code.OK), (bob, Code.AUTH_FAILED), (eve, Code.AUTH_FAILED)):
            assert over_http(found, context, KILL) == (200, code)
            assert over_raw(found, context, KILL) == code
        assert over_http(found, trusting(authority), KILL)[0] == 401
        assert over_raw(found, trusting(authority), KILL) == Code.AUTH_FAILED
        assert over_raw(found, trusting(authority)) == Code.OK


def test_credentials_win_over_a_certificate(authority: Authority, users: Path) -> None:
    with house(asking(authority, required=False), users) as found:
        alice = trusting(authority, authority.user("alice"))
        assert over_http(found, alice, KILL, Authorization="Basic Ym9iOnBsYWlu") == (200, Code.AUTH_FAILED)
        assert over_http(found, alice, KILL, Authorization="Basic Ym9iOnh4")[0] == 401


def test_without_accounts_a_certificate_still_says_who(authority: Authority) -> None:
    with house(asking(authority, required=True)) as found:
        alice = trusting(authority, authority.user("alice"))
        assert over_http(found, alice, binary_call("createJob", description=job())) == (200, Code.OK)
        assert over_raw(found, alice, KILL) == Code.OK


@pytest.mark.parametrize("what", ["none", "another authority's", "expired"])
def test_required_means_required(authority: Authority, tmp_path: Path, what: str) -> None:
    user = None
    if what == "another authority's":
        user = Authority(tmp_path, "other").user("alice")
    elif what == "expired":
        user = authority.user("alice", not_before=LONG_AGO, not_after=LONG_AGO + datetime.timedelta(days=1))
    with house(asking(authority, required=True)) as found:
        for call in (over_http, over_raw):
            with pytest.raises((OSError, http.client.HTTPException, EOFError)):
                call(found, trusting(authority, user))
        wait_until(lambda: found.inner.tls.failed == 2)
        assert_nobody_is_left(found)


def test_optional_believes_no_wrong_one_either(authority: Authority, tmp_path: Path) -> None:
    wrong = trusting(authority, Authority(tmp_path, "other").user("alice"))
    with house(asking(authority, required=False)) as found:
        with pytest.raises((OSError, http.client.HTTPException)):
            over_http(found, wrong)
        assert over_http(found, trusting(authority)) == (200, Code.OK)


# --- while it runs


def test_a_new_certificate_serves_new_connections_and_old_ones_live_on(authority: Authority, tmp_path: Path) -> None:
    with house(authority.server()) as found:
        tls = found.inner.tls
        old = http.client.HTTPSConnection("localhost", found.http_port, context=trusting(authority), timeout=10)
        old.request("GET", "/health")
        assert old.getresponse().read() == b"OK\n"

        renewed = Authority(tmp_path, "renewed")
        renewed.server()
        found.on_loop(tls.certificates.refresh)
        assert over_http(found, trusting(renewed)) == (200, Code.OK)
        assert over_raw(found, trusting(renewed)) == Code.OK
        with pytest.raises(ssl.SSLCertVerificationError):
            over_http(found, trusting(authority))
        old.request("GET", "/health")
        assert old.getresponse().read() == b"OK\n"
        old.close()


def test_who_does_not_shake_hands_is_counted_and_cut_off_and_holds_nobody_up(authority: Authority) -> None:
    with house(authority.server(), timeout_s=0.5) as found:
        slow = [socket.create_connection(("localhost", found.http_port), timeout=10) for _ in range(20)]
        slow += [socket.create_connection(("localhost", found.thrift_port), timeout=10) for _ in range(20)]
        for number, client in enumerate(slow):
            client.sendall(b"\x16\x03\x01\x02\x00\x01"[: number % 7])
        doors = found.inner.raw.doors
        wait_until(lambda: found.on_loop(lambda: doors.connections) == 40)
        assert over_http(found, trusting(authority)) == (200, Code.OK)
        assert over_raw(found, trusting(authority)) == Code.OK
        for client in slow:
            client.settimeout(10)
            assert cut_off(client)
            client.close()
        assert_nobody_is_left(found)
        assert found.inner.tls.failed == 40


def test_hands_that_are_being_shaken_count_for_the_doors(authority: Authority) -> None:
    with house(authority.server()) as found:
        doors = found.inner.raw.doors
        doors.max_connections = 3
        inside = [socket.create_connection(("localhost", found.http_port), timeout=10) for _ in range(3)]
        wait_until(lambda: found.on_loop(lambda: doors.connections) == 3)
        with pytest.raises((OSError, http.client.HTTPException)):
            over_http(found, trusting(authority))
        assert found.on_loop(lambda: doors.refused) == 1
        for client in inside:
            client.close()
        assert_nobody_is_left(found)
        assert over_http(found, trusting(authority)) == (200, Code.OK)


def test_stop_waits_for_nobody_who_shakes_hands(authority: Authority) -> None:
    async def run() -> float:
        found = Serving(tls=Tls(Certificates(authority.server())))
        await found.start()
        _, writer = await asyncio.open_connection("127.0.0.1", found.thrift_port)
        for _ in range(500):
            await asyncio.sleep(0.01)
            if found.tls.handshakes:
                break
        begun = time.monotonic()
        await found.stop()
        writer.close()
        return time.monotonic() - begun

    assert asyncio.run(run()) < 3


def test_many_calls_sent_ahead_behind_the_handshake_are_answered_in_order(authority: Authority) -> None:
    with house(authority.server()) as found, socket.create_connection(("localhost", found.thrift_port)) as plain:
        client = trusting(authority).wrap_socket(plain, server_hostname="localhost")
        client.sendall(b"".join(framed(binary_call("getTierConfigs", seqid=number)) for number in range(300)))
        stream = client.makefile("rb")
        replies = [read_reply(stream.read(int.from_bytes(stream.read(4), "big"))) for _ in range(300)]
        assert [reply[2] for reply in replies] == list(range(300))
        client.close()


def cut_off(client: socket.socket) -> bool:
    try:
        while client.recv(1000):
            pass
    except ConnectionError:
        pass
    return True


def wait_until(condition: Any, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def assert_nobody_is_left(found: InThread) -> None:
    wait_until(lambda: found.on_loop(lambda: found.inner.raw.doors.connections) == 0)
    assert not found.inner.tls.handshakes
