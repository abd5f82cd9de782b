"""One message in, one reply out: decode, call, encode; nothing an innocent client sends costs it the connection.

A reply is not sent by the processor. It comes back as a `Pending`, and the carrier sends it when the state it was made
from is durable.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter_ns
from typing import Any, Final

from attrs import evolve, field, frozen
from thriftpy2.thrift import TApplicationException

from scheduler.contracts import Outcome
from scheduler.core.answers import Answer, Code, error
from scheduler.rpc import audited
from scheduler.rpc.access import Access, Unauthenticated
from scheduler.rpc.binary import LENIENT
from scheduler.rpc.callers import Caller
from scheduler.rpc.handler import Handler, Later, Reply
from scheduler.rpc.large import NoRoom
from scheduler.rpc.messages import CALL, EXCEPTION, NOTHING_HAPPENED, Call, Codec
from scheduler.rpc.pulses import MAX_CACHED, Observer, Pulses
from scheduler.rpc.replies import MAX_OUTSTANDING_BYTES, Payload, Replies
from scheduler.security.audit import Audit, Deed
from scheduler.security.limits import Limits, host_of

log = logging.getLogger(__name__)

UNLIMITED: Final = frozenset({"pulseJobUpdate", "heartbeat", "heartbeatMany", "getServerState"})
"""Calls that the limits of calls do not count: a heartbeat that is not heard stops an update."""

_UNWRITTEN: Final = {Outcome.REFUSED: Code.ERROR_TRANSIENT.name, Outcome.UNKNOWN: audited.UNKNOWN}


@frozen
class Pending:
    """A reply that may leave once `offset` is durable. `refusal()` are the bytes for "surely nothing happened"."""

    offset: int
    payload: Payload
    refusal: Callable[[], bytes] = field(repr=False)
    request_id: str = ""
    """By which it is found in the audit trail, if it is there."""


class Processor:
    """Turns messages into replies, by way of the handler."""

    def __init__(
        self,
        handler: Handler,
        observe: Observer | None = None,
        *,
        max_outstanding_bytes: int = MAX_OUTSTANDING_BYTES,
        max_cached_pulses: int = MAX_CACHED,
        access: Access | None = None,
        limits: Limits | None = None,
        audit: Audit | None = None,
    ) -> None:
        """`access`: who may call what; without it everybody may call everything. `limits`: of calls, for each user,
        or each address where no user is known. `audit`: is told of every change.
        """
        self.core = handler.core
        self.replies = Replies(handler.server, max_outstanding_bytes=max_outstanding_bytes)
        may_pulse = None if access is None else access.may_pulse
        self.pulses = Pulses(handler.core, self.replies, observe, max_cached=max_cached_pulses, may_pulse=may_pulse)
        self._access = access
        self._limits = limits
        self._audit = audit
        self._handler = handler
        self._observe = observe
        self._doing: set[asyncio.Task[Any]] = set()

    def process(self, data: bytes, reads: Codec, writes: Codec, caller: Caller) -> Pending:
        """Answer one message. Raises BadMessage when it is none, and Unauthenticated."""
        if reads is LENIENT and writes is LENIENT and (pulse := self.pulses.answer(data, caller)) is not None:
            offset, reply = pulse
            return Pending(offset, reply, lambda: self.pulses.refusal(reply))
        return self.answer(reads.read(data), writes, caller)

    def answer(self, call: Call, writes: Codec, caller: Caller) -> Pending:
        """Answer one decoded call. Raises Unauthenticated."""
        if call.kind != CALL:
            return self._refuse(call, writes, TApplicationException.INVALID_MESSAGE_TYPE, "the message is no call")
        if call.args is None:
            text = f"there is no method {call.method!r} here"
            return self._refuse(call, writes, TApplicationException.UNKNOWN_METHOD, text)
        started = perf_counter_ns()
        try:
            reply = self._kept_out(call, caller) or self._handler.call(call.method, call.args, caller.user)
            if reply.later is not None:
                return self._later(call, writes, caller, reply, started)
            offset, answer = reply.offset, reply.answer
            payload = self._encode(call, writes, caller, reply)
        except Unauthenticated as wrong:
            self._tell_auditor(call, caller, self.core.durable_offset, wrong.answer)
            raise
        except NoRoom as full:
            offset, answer = self.core.durable_offset, Answer(Code.ERROR_TRANSIENT, (str(full),))
            payload = self.replies.whole(call, writes, answer)
        except Exception as mistake:
            offset, answer = self.core.durable_offset, error()
            payload = self._mistake(call, writes, caller, mistake)
        self._tell_observer(call, answer, started)
        request_id = self._tell_auditor(call, caller, offset, answer)
        return Pending(offset, payload, lambda: self.replies.whole(call, writes, NOTHING_HAPPENED), request_id)

    def _later(self, call: Call, writes: Codec, caller: Caller, reply: Reply, started: int) -> Pending:
        """What takes its time. Observer and auditor are told when it is over, and of what came of it."""
        assert reply.later is not None
        deed = self._deed(call, caller, reply.answer)

        async def told(make: Later) -> Any:
            answer: Answer | None = None
            try:
                answer, struct = await make()
                return struct
            except Exception as mistake:
                answer = error(str(mistake) or None)
                raise
            finally:
                if answer is not None:
                    self._tell_observer(call, answer, started)
                if deed is not None and self._audit is not None:
                    self._audit(audited.ended(deed, answer))

        def to_its_end(make: Later) -> Awaitable[Any]:
            """A client that hangs up does not break off what it began: it would be done by halves."""
            doing = asyncio.create_task(told(make), name=call.method)
            self._doing.add(doing)  # the loop alone would let go of it
            doing.add_done_callback(self._doing.discard)
            return asyncio.shield(doing)

        payload = self.replies.later(
            call,
            writes,
            partial(told if reply.at_once else to_its_end, reply.later),
            lambda wrong: self._mistake(call, writes, caller, wrong),
            None if reply.at_once is None else partial(told, reply.at_once),
        )
        request_id = "" if deed is None else deed.request_id
        return Pending(reply.offset, payload, lambda: self.replies.whole(call, writes, NOTHING_HAPPENED), request_id)

    def refused(self, call: Call, writes: Codec, answer: Answer) -> Pending:
        """What a call is answered that nobody carried out."""
        self._tell_observer(call, answer, perf_counter_ns())
        payload = self.replies.whole(call, writes, answer)
        return Pending(self.core.durable_offset, payload, lambda: payload)

    def _kept_out(self, call: Call, caller: Caller) -> Reply | None:
        """Why the call is not carried out: its caller makes too many, or may not. Raises Unauthenticated."""
        refusal: Answer | None = None
        if self._limits is not None and call.method not in UNLIMITED:
            who = caller.user if caller.is_known else host_of(caller.address)
            after_s = self._limits.take(who)
            if after_s:
                rate = f"{self._limits.rate_per_s:g} calls a second"
                refusal = Answer(Code.ERROR_TRANSIENT, (f"{who} makes more than {rate}; again in {after_s:.1f} s.",))
        if refusal is None and self._access is not None:
            refusal = self._access.refusal(call.method, call.args, caller)
        return None if refusal is None else Reply(self.core.durable_offset, refusal)

    def _tell_observer(self, call: Call, answer: Answer, started: int) -> None:
        if self._observe is not None:
            self._observe(call.method, answer.code, perf_counter_ns() - started, 1)

    def _tell_auditor(self, call: Call, caller: Caller, offset: int, answer: Answer) -> str:
        """Tell of a change once it is known what became of it. Returns the id that the line has; empty: no line."""
        deed, audit = self._deed(call, caller, answer), self._audit
        if deed is None or audit is None:
            return ""

        def tell(outcome: Outcome) -> None:
            audit(deed if outcome is Outcome.DURABLE else evolve(deed, result=_UNWRITTEN[outcome], details=""))

        self.core.when_durable(offset, tell)
        return deed.request_id

    def _deed(self, call: Call, caller: Caller, answer: Answer) -> Deed | None:
        """The line for the audit trail; None: there is to be none."""
        if self._audit is None:
            return None
        try:
            if answer.code is not Code.AUTH_FAILED and not audited.is_audited(call.method, call.args):
                return None
            return audited.deed(call.method, call.args, caller, answer)
        except Exception:
            log.exception("a call of %s from %s could not be audited", call.method, caller.address)
            return None

    def _encode(self, call: Call, writes: Codec, caller: Caller, reply: Reply) -> Payload:
        def mistake(wrong: Exception) -> bytes:
            return self._mistake(call, writes, caller, wrong)

        if reply.struct is not None:
            return self.replies.made(call, writes, self.replies.struct(call, writes, reply.struct), mistake)
        return self.replies.answer(call, writes, reply.answer, mistake)

    def _mistake(self, call: Call, writes: Codec, caller: Caller, mistake: Exception) -> bytes:
        """Our own error: ERROR with the exception's text, as Aurora answers, and a log entry to be found by its id."""
        log_id = secrets.token_hex(4)
        log.error("call failed: %s from %s, log id %s", call.method, caller.address, log_id, exc_info=mistake)
        if call.method == "getServerState":
            text = f"{mistake} (log id {log_id})"
            kind = TApplicationException.INTERNAL_ERROR
            return _exception(call, writes, kind, text)
        return self.replies.whole(call, writes, error(str(mistake) or None, f"log id {log_id}"))

    def _refuse(self, call: Call, writes: Codec, kind: int, text: str) -> Pending:
        payload = _exception(call, writes, kind, text)
        return Pending(self.core.durable_offset, payload, lambda: payload)


def _exception(call: Call, writes: Codec, kind: int, text: str) -> bytes:
    return writes.write(call.method, EXCEPTION, call.seqid, TApplicationException(kind, text))
