"""One HTTP request without blocking, against real sockets that behave well and badly."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from scheduler.executor.probe import MAX_ANSWER_BYTES, HttpRequest


class Peer:
    """Accepts one connection, reads the request, answers with pieces, and hangs up or stays."""

    def __init__(self, *pieces: bytes, stays: bool = False) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.request = b""
        self.done = threading.Event()
        self._pieces, self._stays = pieces, stays
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        connection, _ = self.listening.accept()
        with connection:
            connection.settimeout(10)
            self.request = connection.recv(65536)
            for piece in self._pieces:
                try:
                    connection.sendall(piece)
                except OSError:
                    break
                time.sleep(0.005)  # pieces of their own on the wire
            if self._stays:
                self.done.wait(10)

    def close(self) -> None:
        self.done.set()
        self.thread.join()
        self.listening.close()


@pytest.fixture
def peer() -> Iterator[Callable[..., Peer]]:
    made: list[Peer] = []

    def make(*pieces: bytes, stays: bool = False) -> Peer:
        made.append(Peer(*pieces, stays=stays))
        return made[-1]

    yield make
    for each in made:
        each.close()


def ask(port: int, method: str = "GET", timeout_secs: float = 5) -> HttpRequest:
    request = HttpRequest(method, port, "/health", timeout_secs=timeout_secs, now=time.monotonic())
    while not request.done:
        poller = select.poll()
        poller.register(request.fd, request.events)
        poller.poll(max(0, request.deadline - time.monotonic()) * 1000 + 1)
        request.step(time.monotonic())
    return request


OK = b"HTTP/1.1 200 OK\r\n"


def test_an_answer_that_ends_with_the_connection(peer: Callable[..., Peer]) -> None:
    p = peer(OK, b"Content-Type: text/plain\r\n\r\n", b"o", b"k")
    answer = ask(p.port)
    assert (answer.code, answer.body, answer.error) == (200, "ok", "")
    assert p.request.startswith(b"GET /health HTTP/1.0\r\nHost: 127.0.0.1:")
    assert p.request.endswith(b"\r\n\r\n")


def test_an_answer_with_a_length_on_a_connection_that_stays(peer: Callable[..., Peer]) -> None:
    answer = ask(peer(OK + b"content-length: 2\r\n\r\no", b"k", stays=True).port)
    assert (answer.code, answer.body) == (200, "ok")


def test_a_post_says_that_it_has_no_body(peer: Callable[..., Peer]) -> None:
    p = peer(b"HTTP/1.0 404 Not Found\r\n\r\n")
    assert ask(p.port, "POST").code == 404
    assert b"\r\nContent-Length: 0\r\n" in p.request


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert ask(port).error == "Connection refused"


def test_no_answer_in_time(peer: Callable[..., Peer]) -> None:
    assert ask(peer(stays=True).port, timeout_secs=0.05).error == "no answer within 0.05 s"


def test_half_an_answer_in_time(peer: Callable[..., Peer]) -> None:
    assert ask(peer(OK + b"Content-Length: 5\r\n\r\nok", stays=True).port, timeout_secs=0.1).error


@pytest.mark.parametrize("said", [b"", b"220 smtp ready\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n",
                                  b"HTTP/1.1 " + b"2" * 5000 + b" OK\r\n\r\n"])  # fmt: skip
def test_what_is_not_http(peer: Callable[..., Peer], said: bytes) -> None:
    assert ask(peer(said).port).error == "the answer is not HTTP"


def test_a_length_beyond_all_numbers_is_never_reached(peer: Callable[..., Peer]) -> None:
    answer = ask(peer(OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nok").port)
    assert (answer.code, answer.body, answer.error) == (200, "ok", "")


def test_an_endless_answer_is_cut(peer: Callable[..., Peer]) -> None:
    answer = ask(peer(OK + b"\r\n", *[b"x" * 65536] * 4, stays=True).port)
    assert answer.code == 200
    assert MAX_ANSWER_BYTES <= len(answer.body) <= 3 * MAX_ANSWER_BYTES
