"""One message in, one reply out: decode, call, encode; nothing an innocent client sends costs it the connection.

A reply is not sent by the processor. It comes back as a `Pending`, and the carrier sends it when the state it was made
from is durable.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from attrs import field, frozen
from thriftpy2.thrift import TApplicationException

from scheduler.core.answers import Code, error
from scheduler.interface import thesan
from scheduler.rpc.handler import NOTHING_HAPPENED, Handler
from scheduler.rpc.messages import CALL, EXCEPTION, REPLY, Call, Codec

log = logging.getLogger(__name__)

NOBODY = "UNSECURE"
"""The user of calls that carry no credentials, as Aurora writes it in histories."""

_RESULTS = {name: getattr(thesan.Scheduler, f"{name}_result") for name in thesan.Scheduler.thrift_services}


@frozen
class Caller:
    """Who calls, and from where."""

    user: str = NOBODY
    address: str = ""


@frozen
class Pending:
    """Reply bytes that may leave once `offset` is durable. `refusal()` are the bytes for "surely nothing happened"."""

    offset: int
    payload: bytes
    refusal: Callable[[], bytes] = field(repr=False)


Observer = Callable[[str, Code, int], None]
"""Told of each call: method, response code, nanoseconds it took."""


class Processor:
    """Turns messages into replies, by way of the handler."""

    def __init__(self, handler: Handler, observe: Observer | None = None) -> None:
        self.core = handler.core
        self._handler = handler
        self._observe = observe

    def process(self, data: bytes, reads: Codec, writes: Codec, caller: Caller) -> Pending:
        """Answer one message. Raises BadMessage when it is none."""
        return self.answer(reads.read(data), writes, caller)

    def answer(self, call: Call, writes: Codec, caller: Caller) -> Pending:
        """Answer one decoded call."""
        if call.kind != CALL:
            return self._refuse(call, writes, TApplicationException.INVALID_MESSAGE_TYPE, "the message is no call")
        if call.args is None:
            text = f"there is no method {call.method!r} here"
            return self._refuse(call, writes, TApplicationException.UNKNOWN_METHOD, text)
        started = perf_counter_ns()
        try:
            reply = self._handler.call(call.method, call.args, caller.user)
            offset, code, payload = reply.offset, reply.code, self._encode(call, writes, reply.success)
        except Exception as mistake:
            offset, code, payload = self._mistake(call, writes, caller, mistake)
        if self._observe is not None:
            self._observe(call.method, code, perf_counter_ns() - started)
        return Pending(offset, payload, lambda: self._nothing_happened(call, writes))

    def _encode(self, call: Call, writes: Codec, success: Any) -> bytes:
        return writes.write(call.method, REPLY, call.seqid, _RESULTS[call.method](success=success))

    def _mistake(self, call: Call, writes: Codec, caller: Caller, mistake: Exception) -> tuple[int, Code, bytes]:
        """Our own error: ERROR with the exception's text, as Aurora answers, and a log entry to be found by its id."""
        log_id = secrets.token_hex(4)
        log.error("call failed: %s from %s, log id %s", call.method, caller.address, log_id, exc_info=mistake)
        offset = self.core.durable_offset
        if call.method == "getServerState":
            text = f"{mistake} (log id {log_id})"
            kind = TApplicationException.INTERNAL_ERROR
            return offset, Code.ERROR, self._refuse(call, writes, kind, text).payload
        answer = error(str(mistake) or None, f"log id {log_id}")
        return offset, Code.ERROR, self._encode(call, writes, self._handler.response(answer))

    def _nothing_happened(self, call: Call, writes: Codec) -> bytes:
        return self._encode(call, writes, self._handler.response(NOTHING_HAPPENED))

    def _refuse(self, call: Call, writes: Codec, kind: int, text: str) -> Pending:
        payload = writes.write(call.method, EXCEPTION, call.seqid, TApplicationException(kind, text))
        return Pending(self.core.durable_offset, payload, lambda: payload)
