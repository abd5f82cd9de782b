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
from scheduler.rpc.messages import CALL, NOTHING_HAPPENED, REPLY, Call
from scheduler.rpc.port import Core
from scheduler.rpc.replies import Replies

METHOD: Final = "pulseJobUpdate"
MAX_CACHED: Final = 100_000
"""Arguments that are recognised; the oldest go first. Each is about half a kilobyte."""

MAX_CACHED_BYTES: Final = 512
"""Longer arguments are read every time."""

_CALL_HEAD: Final = STRICT.message(METHOD, CALL, 0)[0][:-4]
_REPLY_HEAD: Final = STRICT.message(METHOD, REPLY, 0)[0][:-4]
_SEQID: Final = len(_CALL_HEAD)
_ARGS: Final = _SEQID + 4

# key {1: job {1: role
_OPENING: Final = b"\x0c\x00\x01\x0c\x00\x01\x0b\x00\x01"
_SIZE: Final = struct.Struct(">i").unpack_from

Observer = Callable[[str, Code, int], None]


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
    """Answers heartbeats of one server."""

    def __init__(self, core: Core, replies: Replies, observe: Observer | None, *, max_cached: int = MAX_CACHED) -> None:
        self._core = core
        self._observe = observe
        self._max_cached = max_cached
        self._keys: dict[bytes, UpdateKey] = {}
        self._encode = replies
        everyday = (requests.BEATING, requests.FINISHED)
        self._replies = {id(answer): replies.whole(_call(0), STRICT, answer)[_ARGS:] for answer in everyday}

    def answer(self, message: bytes) -> tuple[int, bytes] | None:
        """Offset and reply; None: the message is to take the general way, nothing has happened yet."""
        if not message.startswith(_CALL_HEAD):
            return None
        args = message[_ARGS:]
        key = self._keys.get(args)
        is_new = key is None
        if key is None:
            key = read_key(args)
            if key is None:
                return None
        begun = perf_counter_ns()
        try:
            ticket = self._core.pulse(key)
        except Exception:
            self._keys.pop(args, None)
            return None  # the general way meets it again, and reports it
        reply = self._replies.get(id(ticket.answer))
        if reply is None:
            self._keys.pop(args, None)
            return None  # it was refused, so asking again changes nothing
        if ticket.answer is requests.FINISHED:
            self._keys.pop(args, None)
        elif is_new and len(args) <= MAX_CACHED_BYTES:
            self._keep(args, self._core.canonical(key) or key)
        if self._observe is not None:
            self._observe(METHOD, Code.OK, perf_counter_ns() - begun)
        return ticket.offset, _REPLY_HEAD + message[_SEQID:_ARGS] + reply

    def refusal(self, reply: bytes) -> bytes:
        """What is said instead of `reply` when it turned out that nothing happened."""
        (seqid,) = _SIZE(reply, _SEQID)
        return self._encode.whole(_call(seqid), STRICT, NOTHING_HAPPENED)

    def _keep(self, args: bytes, key: UpdateKey) -> None:
        if len(self._keys) >= self._max_cached:
            if not self._keys:
                return
            del self._keys[next(iter(self._keys))]
        self._keys[args] = key

    def __len__(self) -> int:
        """How many arguments are recognised."""
        return len(self._keys)
