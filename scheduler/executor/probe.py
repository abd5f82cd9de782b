"""One HTTP request to a port of this machine, without blocking: health checks and shutdown calls."""

from __future__ import annotations

import os
from _socket import AF_INET, SO_ERROR, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM, SOL_SOCKET, socket
from errno import EINPROGRESS
from select import POLLIN, POLLOUT

MAX_ANSWER_BYTES = 65536
_MOST_DIGITS = 18
"""Of a Content-Length: more is more than ever comes, and Python reads no number of thousands."""


class HttpRequest:
    """Step it when its `fd` is ready or its `deadline` has come, until `done`. Then: `code` and `body`, or `error`."""

    def __init__(self, method: str, port: int, path: str, *, timeout_secs: float, now: float) -> None:
        self.code = 0
        self.body = ""
        self.error = ""
        self.done = False
        self.deadline = now + timeout_secs
        self.events = POLLOUT
        self._timeout_secs = timeout_secs
        length = "Content-Length: 0\r\n" if method == "POST" else ""
        self._unsent = (
            f"{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: thesan-executor\r\n{length}"
            "Accept: */*\r\nConnection: close\r\n\r\n"
        ).encode()
        self._received = b""
        self._socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC)
        self.fd = self._socket.fileno()
        code = self._socket.connect_ex(("127.0.0.1", port))
        if code not in (0, EINPROGRESS):
            self._fail(os.strerror(code))

    def step(self, now: float) -> None:
        """Go on as far as possible."""
        if self.done:
            return
        try:
            if self._unsent:
                self._send()
            else:
                self._receive()
        except BlockingIOError:
            pass
        except OSError as e:
            self._fail(e.strerror or str(e))
        if not self.done and now >= self.deadline:
            self._fail(f"no answer within {self._timeout_secs:g} s")

    def close(self) -> None:
        self.done = True
        self._socket.close()

    def _send(self) -> None:
        code = self._socket.getsockopt(SOL_SOCKET, SO_ERROR)
        if code:
            self._fail(os.strerror(code))
            return
        self._unsent = self._unsent[self._socket.send(self._unsent) :]
        if not self._unsent:
            self.events = POLLIN

    def _receive(self) -> None:
        data = self._socket.recv(65536)
        self._received += data
        if not data or len(self._received) > MAX_ANSWER_BYTES or self._is_complete():
            self._finish()

    def _is_complete(self) -> bool:
        """Has all that Content-Length announces arrived? A server may keep the connection open."""
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return False
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            value = value.strip()
            if name.strip().lower() == b"content-length" and value.isdigit():
                return len(value) <= _MOST_DIGITS and len(body) >= int(value)
        return False

    def _finish(self) -> None:
        head, _, body = self._received.partition(b"\r\n\r\n")
        words = head.split(b"\r\n", 1)[0].split()
        if len(words) < 2 or not words[0].startswith(b"HTTP/") or not (len(words[1]) == 3 and words[1].isdigit()):
            self._fail("the answer is not HTTP")
            return
        self.code = int(words[1])
        self.body = body.decode("utf-8", "replace")
        self.close()

    def _fail(self, error: str) -> None:
        self.error = error
        self.close()
