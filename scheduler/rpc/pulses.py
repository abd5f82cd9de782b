"""The hot path: heartbeats in TBinary.

A hundred thousand updates may each be spoken for every few seconds, and nearly every heartbeat changes nothing but when
it was heard. A call in the very form that Thrift's libraries write is therefore checked and read by one function that
knows its shape, and answered with bytes that are the same but for the sequence number. Arguments that were read before
are recognised by their bytes. A call in any other form, and any answer that is not an everyday one, takes the general
way and costs what other calls cost.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from time import perf_counter_ns
from typing import Final

from scheduler.core.answers import Code
from scheduler.core.records import JobKey
from scheduler.core.updates import requests
from scheduler.core.updates.records import UpdateKey
from scheduler.rpc.binary import STRICT
from scheduler.rpc.callers import UNKNOWN, Caller
from scheduler.rpc.messages import CALL, NOTHING_HAPPENED, REPLY, Call
from scheduler.rpc.port import Core
from scheduler.rpc.replies import Replies

METHOD: Final = "pulseJobUpdate"
MAX_CACHED: Final = 100_000
"""Arguments that are recognised; the oldest go first. Each is about half a kilobyte, two at most."""


_CALL_HEAD: Final = STRICT.message(METHOD, CALL, 0)[0][:-4]
_REPLY_HEAD: Final = STRICT.message(METHOD, REPLY, 0)[0][:-4]
_SEQID: Final = len(_CALL_HEAD)
_ARGS: Final = _SEQID + 4
_MAX_BYTES: Final = 1024
"""Longer messages are not everyday ones. `--max-message-bytes` cannot be less."""

# key {1: job {1: role
_OPENING: Final = b"\x0c\x00\x01\x0c\x00\x01\x0b\x00\x01"
_SIZE: Final = struct.Struct(">i").unpack_from

Observer = Callable[[str, Code, int, int], None]
"""Told of calls: method, response code, nanoseconds they took together, and how many there were."""

MayPulse = Callable[[Caller, JobKey], bool]
"""May this caller send heartbeats for this job? Whoever may not takes the general way, and is told why."""


def read_key(args: bytes) -> UpdateKey | None:
    """The key, if the bytes are exactly one JobUpdateKey with all its parts, in order and with nothing else."""
    if not args.startswith(_OPENING):
        return None
    try:
        role, at = _text(args, len(_OPENING), b"\x0b\x00\x02")
        environment, at = _text(args, at, b"\x0b\x00\x03")
        name, at = _text(args, at, b"\x00\x0b\x00\x02")
        update, at = _text(args, at, b"\x00\x00")
    except (ValueError, struct.error):
        return None  # whoever takes the general way is told what is wrong
    return UpdateKey(JobKey(role, environment, name), update) if at == len(args) else None


def _text(args: bytes, at: int, follows: bytes) -> tuple[str, int]:
    """A string with what must follow it, and where that ends. Raises ValueError and struct.error."""
    start = at + 4
    end = start + _SIZE(args, at)[0]
    after = end + len(follows)
    if end < start or args[end:after] != follows:
        raise ValueError
    return args[start:end].decode("utf-8"), after


def _call(seqid: int) -> Call:
    return Call(METHOD, CALL, seqid, None)


class Pulses:
    """Answers heartbeats of one server.

    What was observed is told in lots: see `tell`.
    """

    def __init__(
        self,
        core: Core,
        replies: Replies,
        observe: Observer | None,
        *,
        max_cached: int = MAX_CACHED,
        may_pulse: MayPulse | None = None,
    ) -> None:
        """`may_pulse`: without it everybody may."""
        self._core = core
        self._may_pulse = may_pulse
        self._observe = observe
        self._max_cached = max_cached
        self._known: dict[bytes, tuple[UpdateKey, bytes]] = {}
        """By its arguments: the key, and how a frame with them begins."""
        self._replies = replies
        self._beating = replies.whole(_call(0), STRICT, requests.BEATING)[_ARGS:]
        self._finished = replies.whole(_call(0), STRICT, requests.FINISHED)[_ARGS:]
        self._frame_head = (_ARGS + len(self._beating)).to_bytes(4, "big") + _REPLY_HEAD
        self._calls = 0
        self._nanos = 0

    def answer_frame(self, frame: bytes, caller: Caller = UNKNOWN) -> tuple[int, bytes] | None:
        """The same as `answer` for a whole frame, answered with a whole frame. Known arguments are quickest."""
        known = self._known.get(frame[4 + _ARGS :])
        if known is not None and frame.startswith(known[1]):
            if self._may_pulse is not None and not self._may_pulse(caller, known[0].job):
                return None
            begun = perf_counter_ns()
            try:
                ticket = self._core.pulse(known[0])
            except Exception:
                return None  # the general way meets it again, and reports it
            if ticket.answer is requests.BEATING:
                self._calls += 1
                self._nanos += perf_counter_ns() - begun
                return ticket.offset, self._frame_head + frame[4 + _SEQID : 4 + _ARGS] + self._beating
        elif int.from_bytes(frame[:4], "big") != len(frame) - 4:
            return None
        answer = self.answer(frame[4:], caller)
        return None if answer is None else (answer[0], len(answer[1]).to_bytes(4, "big") + answer[1])

    def answer(self, message: bytes, caller: Caller = UNKNOWN) -> tuple[int, bytes] | None:
        """Offset and reply; None: the message is to take the general way, nothing has happened yet."""
        if len(message) > _MAX_BYTES or not message.startswith(_CALL_HEAD):
            return None
        args = message[_ARGS:]
        known = self._known.get(args)
        key = read_key(args) if known is None else known[0]
        if key is None or (self._may_pulse is not None and not self._may_pulse(caller, key.job)):
            return None
        begun = perf_counter_ns()
        try:
            ticket = self._core.pulse(key)
        except Exception:
            self._known.pop(args, None)
            return None  # the general way meets it again, and reports it
        if ticket.answer is requests.BEATING:
            reply = self._beating
            if known is None:
                self._keep(args, self._core.canonical(key) or key)
        elif ticket.answer is requests.FINISHED:
            reply = self._finished
            self._known.pop(args, None)
        else:
            self._known.pop(args, None)
            return None  # it was refused, so asking again changes nothing
        self._calls += 1
        self._nanos += perf_counter_ns() - begun
        return ticket.offset, _REPLY_HEAD + message[_SEQID:_ARGS] + reply

    def refusal(self, reply: bytes) -> bytes:
        """What is said instead of `reply`, a message, when it turned out that nothing happened."""
        (seqid,) = _SIZE(reply, _SEQID)
        return self._replies.whole(_call(seqid), STRICT, NOTHING_HAPPENED)

    def tell(self) -> None:
        """Tell the observer of the calls since it was told last."""
        if self._observe is not None and self._calls:
            self._observe(METHOD, Code.OK, self._nanos, self._calls)
        self._calls = self._nanos = 0

    def _keep(self, args: bytes, key: UpdateKey) -> None:
        if len(self._known) >= self._max_cached:
            if not self._known:
                return
            del self._known[next(iter(self._known))]
        self._known[args] = key, (_ARGS + len(args)).to_bytes(4, "big") + _CALL_HEAD

    def __len__(self) -> int:
        """How many arguments are recognised."""
        return len(self._known)
