"""What the executor needs of json, signal and prctl, at the price of a small program.

Every task has its executor, so its start and its memory count many times. `json` and `signal` bring in `re`, `enum`
and `functools`: 17-22 ms to start against 11 ms with the C modules below them, and 1.3 MB more for each.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` without its enums
import ctypes
import os
from _json import encode_basestring_ascii, make_scanner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SIGCHLD: int = _signal.SIGCHLD
SIGHUP: int = _signal.SIGHUP
SIGINT: int = _signal.SIGINT
SIGKILL: int = _signal.SIGKILL
SIGPIPE: int = _signal.SIGPIPE
SIGTERM: int = _signal.SIGTERM
SIGUSR1: int = _signal.SIGUSR1
SIGXFSZ: int = _signal.SIGXFSZ

_PR_SET_CHILD_SUBREAPER = 36


class _Dialect:
    """What json's scanner asks its owner for."""

    strict = False
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float
    memo: dict[str, str] = {}  # noqa: RUF012  # the scanner's own cache


def loads(text: str) -> Any:
    """The value of a JSON text. Raises ValueError."""
    try:
        value, end = make_scanner(_Dialect())(text, 0)  # type: ignore[arg-type]
    except (StopIteration, SystemError):  # its own complaint needs the module we do without
        raise ValueError("not JSON") from None
    if text[end:].strip():
        raise ValueError(f"more than one JSON value, the second at character {end}")
    return value


def dumps(value: Any) -> str:
    """The JSON text of None, booleans, numbers, strings, lists, tuples and dictionaries, on one line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{encode_basestring_ascii(k)}: {dumps(v)}" for k, v in value.items()) + "}"
    return "[" + ", ".join(map(dumps, value)) + "]"


def become_subreaper() -> None:
    """From now on orphans among this process's descendants become its children, so that none gets out of reach."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


class Signals:
    """The signals an executor is sent, kept until looked at. `fd` is readable when one came.

    The engine starts us with them blocked, so that none is lost, or kills us, before we listen.
    """

    HANDLED = (SIGTERM, SIGUSR1, SIGCHLD)
    IGNORED = (SIGINT, SIGHUP)

    def __init__(self) -> None:
        self.fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        _signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        for number in self.HANDLED:
            _signal.signal(number, lambda *_: None)
        for number in self.IGNORED:
            _signal.signal(number, _signal.SIG_IGN)
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, self.HANDLED)

    def drain(self) -> set[int]:
        """The numbers of the signals that came since the last call."""
        try:
            return set(os.read(self.fd, 4096))
        except BlockingIOError:
            return set()
