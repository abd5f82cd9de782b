"""What a call does when the server is slow to be ready, breaks off, redirects, refuses or talks nonsense.

The servers are real ones, made for each case: they listen, read the request, and answer what the case says.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from thriftpy2.protocol import TCyBinaryProtocol
from thriftpy2.thrift import TApplicationException, TMessageType
from thriftpy2.transport import TCyMemoryBuffer

from scheduler.client.connection import Connection
from scheduler.client.errors import CommandError, NotAllowed, Refused, Transient, Unreachable, Usage
from scheduler.interface import aurora, thesan

Answer = tuple[int, dict[str, str], bytes] | None
"""Status, headers, body; None: read the request and hang up."""


def reply(method: str, code: int, *details: str) -> Answer:
    response = aurora.Response(responseCode=code, details=[aurora.ResponseDetail(message=text) for text in details])
    return 200, {}, message(method, TMessageType.REPLY, getattr(thesan.Scheduler, f"{method}_result")(success=response))


def message(method: str, kind: int, struct: Any) -> bytes:
    out = TCyMemoryBuffer()
    protocol = TCyBinaryProtocol(out)
    protocol.write_message_begin(method, kind, 1)
    protocol.write_struct(struct)
    body: bytes = out.getvalue()
    return body


OK = aurora.ResponseCode.OK


@contextmanager
def server(*answers: Answer) -> Iterator[tuple[str, list[Any]]]:
    """A server that gives these answers in turn, the last one again and again; and the requests it got."""
    seen: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, dict(self.headers), body))
            answer = answers[min(len(seen), len(answers)) - 1]
            self.close_connection = True
            if answer is None:
                return
            status, headers, said = answer
            self.send_response(status)
            for name, value in {"Content-Length": str(len(said)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            pass

    httpd = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}", seen
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


def call(url: str, method: str, *, retry_s: float = 2, **arguments: Any) -> Any:
    with closing(Connection(url, retry_s=retry_s)) as connection:
        return connection.call(method, **arguments)


def test_a_call_is_a_post_in_the_binary_protocol() -> None:
    with server(reply("getTierConfigs", OK)) as (url, seen):
        call(url, "getTierConfigs")
    (path, headers, body), = seen  # fmt: skip
    assert path == "/api"
    assert headers["Content-Type"] == headers["Accept"] == "application/vnd.apache.thrift.binary"
    assert body.startswith(b"\x80\x01\x00\x01\x00\x00\x00\x0egetTierConfigs")


def test_not_ready_is_asked_again_whatever_the_call_since_nothing_happened() -> None:
    transient = reply("createJob", aurora.ResponseCode.ERROR_TRANSIENT, "not leading yet")
    with server(transient, transient, reply("createJob", OK)) as (url, seen):
        call(url, "createJob")
    assert len(seen) == 3


def test_not_ready_for_too_long_says_so() -> None:
    with (
        server(reply("createJob", aurora.ResponseCode.ERROR_TRANSIENT, "not leading yet")) as (url, _),
        pytest.raises(Transient, match="is not ready: not leading yet") as failure,
    ):
        call(url, "createJob", retry_s=0.2)
    assert failure.value.exit_code == 3


@pytest.mark.parametrize("broken", [None, (500, {}, b""), (200, {}, b"<html>a proxy</html>"), (200, {}, b"")])
def test_an_open_outcome_is_repeated_only_where_that_does_no_harm(broken: Answer) -> None:
    with server(broken, reply("getTierConfigs", OK)) as (url, seen):
        call(url, "getTierConfigs")
    assert len(seen) == 2
    with server(broken, reply("createJob", OK)) as (url, seen), pytest.raises(Unreachable) as failure:
        call(url, "createJob")
    assert len(seen) == 1
    assert failure.value.sent
    assert "not known whether createJob was carried out" in failure.value.format_message()


def test_no_leader_means_nothing_was_done() -> None:
    with server((503, {}, b""), reply("createJob", OK)) as (url, seen):
        call(url, "createJob")
    assert len(seen) == 2


def test_a_redirect_to_the_leader_keeps_the_call() -> None:
    with (
        server(reply("createJob", OK)) as (leader, at_leader),
        server((307, {"Location": f"{leader}/api"}, b"")) as (url, at_standby),
    ):
        call(url, "createJob")
    assert at_leader[0][2] == at_standby[0][2]


def test_a_refusal_is_final_and_its_sentences_are_joined() -> None:
    with (
        server(reply("createJob", aurora.ResponseCode.INVALID_REQUEST, "no", "never")) as (url, seen),
        pytest.raises(Refused, match=r"^no, never$") as failure,
    ):
        call(url, "createJob")
    assert (len(seen), failure.value.code, failure.value.exit_code) == (1, "INVALID_REQUEST", 1)


def test_a_refusal_without_a_word_is_told_with_its_code() -> None:
    with (
        server(reply("killTasks", aurora.ResponseCode.ERROR)) as (url, _),
        pytest.raises(Refused, match="killTasks was answered with ERROR and no explanation"),
    ):
        call(url, "killTasks")


@pytest.mark.parametrize("answer", [(401, {}, b""), reply("createJob", aurora.ResponseCode.AUTH_FAILED, "not yours")])
def test_who_may_not_is_told_so(answer: Answer) -> None:
    with server(answer) as (url, seen), pytest.raises(NotAllowed) as failure:
        call(url, "createJob")
    assert (len(seen), failure.value.exit_code) == (1, 5)


def test_another_status_is_told_with_what_the_server_says() -> None:
    with (
        server((421, {"Content-Type": "text/plain; charset=utf-8"}, b"not my name\nmore")) as (url, _),
        pytest.raises(CommandError, match=r"HTTP 421 .*: not my name$"),
    ):
        call(url, "createJob")


def test_a_method_the_server_does_not_know() -> None:
    unknown = TApplicationException(TApplicationException.UNKNOWN_METHOD, "Invalid method name: 'getQuota'")
    with (
        server((200, {}, message("getQuota", TMessageType.EXCEPTION, unknown))) as (url, seen),
        pytest.raises(CommandError, match="cannot serve getQuota: Invalid method name"),
    ):
        call(url, "getQuota")
    assert len(seen) == 1


def test_a_refused_connection_is_tried_again_for_a_while() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    began: list[Callable[[], None]] = []

    def begin_late() -> None:
        late = HTTPServer(("127.0.0.1", port), BaseHTTPRequestHandler)
        began.append(late.server_close)
        late.handle_request()

    timer = threading.Timer(0.2, begin_late)
    timer.start()
    with pytest.raises(CommandError, match="HTTP 501"):  # it answered: BaseHTTPRequestHandler knows no POST
        call(f"http://127.0.0.1:{port}", "createJob")
    timer.join()
    began[0]()


def test_nobody_there() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Unreachable, match=f"127.0.0.1:{port}: connection refused") as failure:
        call(f"http://127.0.0.1:{port}", "createJob", retry_s=0)
    assert (failure.value.exit_code, failure.value.sent) == (3, False)


def test_a_proxy_of_the_environment_is_not_asked_about_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with server(reply("getTierConfigs", OK)) as (url, seen):
        call(url, "getTierConfigs", retry_s=0)
    assert len(seen) == 1


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://x/other", "http://x:99999"])
def test_a_wrong_url_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(Usage, match="--server"):
        Connection(url)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("localhost", "http://localhost:8081"),
        ("http://h:1/api/", "http://h:1"),
        ("https://h", "https://h"),
        ("[::1]:9", "http://[::1]:9"),
    ],
)
def test_a_server_may_be_named_shortly(given: str, taken: str) -> None:
    with closing(Connection(given)) as connection:
        assert connection.server == taken


LONG = "a" * 300 + ".example"
FAR = "\udcff"


@pytest.mark.parametrize("place", [f"http://{LONG}", f"http://{FAR}"])
def test_an_address_nobody_can_have_is_not_reached(place: str) -> None:
    with pytest.raises(Unreachable) as failure:
        call(place, "createJob", retry_s=0)
    assert not failure.value.sent


@pytest.mark.parametrize("place", [f"http://{LONG}/api", "http://[::1/api", "http://[zz]:80/api"])
def test_nor_is_it_when_a_redirect_names_it(place: str) -> None:
    with server((307, {"Location": place}, b"")) as (url, _), pytest.raises(Unreachable, match="cannot reach"):
        call(url, "getTierConfigs", retry_s=0)


def test_a_strange_answer_is_none() -> None:
    with server((200, {"Content-Length": "1,2"}, b"")) as (url, _), pytest.raises(Unreachable):
        call(url, "getTierConfigs", retry_s=0)


@pytest.mark.parametrize(
    ("method", "arguments", "says"),
    [
        (
            "killTasks",
            {"instances": {10**20}},
            r"instances cannot be \{100000000000000000000\}: it holds whole",
        ),
        ("pruneTasks", {"query": aurora.TaskQuery(limit=2**31)}, "limit cannot be 2147483648: it holds whole numbers"),
        ("getQuota", {"ownerRole": FAR}, r"ownerRole cannot be '\\udcff': it holds text in UTF-8"),
        ("getQuota", {"ownerRole": FAR * 99}, r"\.\.\.: it holds text"),
    ],
)
def test_what_the_wire_cannot_carry_is_wrong_usage(method: str, arguments: dict[str, Any], says: str) -> None:
    with server() as (url, seen), pytest.raises(Usage, match=says):
        call(url, method, **arguments)
    assert seen == []
