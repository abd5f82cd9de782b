"""Answers as the bytes of replies: joined from pieces where these are kept, encoded as a whole otherwise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, Final

from scheduler.core.answers import Answer, Code, error
from scheduler.interface import aurora, thesan
from scheduler.rpc import thesan as own, to_thrift
from scheduler.rpc.large import MAX_ANSWER_BYTES, PIECE_BYTES, Large, NoRoom, Outstanding, Parts
from scheduler.rpc.later import Later
from scheduler.rpc.messages import REPLY, Call, Codec
from scheduler.rpc.pieces import Batch, Pieces
from scheduler.rpc.shapes import field_of
from scheduler.rpc.turns import Turns

MAX_OUTSTANDING_BYTES: Final = 512 * 1024 * 1024
"""Of large answers on their way to clients, together; one is let through whatever its size."""

Payload = bytes | Large

_RESULTS: Final = {name: getattr(thesan.Scheduler, f"{name}_result") for name in thesan.Scheduler.thrift_services}
_RESULT: Final = field_of(aurora.Response, "result")
SUCCESS: Final = field_of(thesan.Scheduler.getJobs_result, "success")
"""What a method returns; the field is the same in all of them."""


class Replies:
    """Makes replies for one server."""

    def __init__(self, server: to_thrift.ServerInfo, *, max_outstanding_bytes: int = MAX_OUTSTANDING_BYTES) -> None:
        self.turns = Turns()
        self.outstanding = Outstanding(max_outstanding_bytes)
        self._server = server
        self._pieces: dict[bytes, Pieces] = {}
        self._envelopes: dict[tuple[bytes, Code], tuple[bytes, bytes]] = {}

    def struct(self, call: Call, writes: Codec, success: Any) -> bytes:
        """A reply whose success is this struct."""
        return writes.write(call.method, REPLY, call.seqid, _RESULTS[call.method](success=success))

    def later(
        self,
        call: Call,
        writes: Codec,
        make: Callable[[], Awaitable[Any]],
        mistake: Callable[[Exception], bytes],
        at_once: Callable[[], Awaitable[Any]] | None = None,
    ) -> Later:
        """A reply whose success is the struct that `make` comes back with, or in a hurry `at_once`."""

        async def payload(make: Callable[[], Awaitable[Any]]) -> bytes:
            made = self.struct(call, writes, await make())
            try:
                self.outstanding.check_room_for(len(made))
            except NoRoom as full:
                return self.whole(call, writes, Answer(Code.ERROR_TRANSIENT, (str(full),)))
            return made

        return Later(
            partial(payload, make),
            self.turns,
            self.outstanding,
            mistake=mistake,
            too_long=lambda size: mistake(ValueError(size)),
            at_once=None if at_once is None else partial(payload, at_once),
        )

    def answer(self, call: Call, writes: Codec, answer: Answer, mistake: Callable[[Exception], bytes]) -> Payload:
        """A reply with an answer in its envelope. One that would take long to make or to send comes as a `Large`.

        `mistake` makes what is sent instead when a large answer cannot be made after all. Raises NoRoom.
        """
        pieces = self._pieces_of(writes)
        batches = pieces.of(answer.result)
        if batches is None:
            return self.made(call, writes, self.whole(call, writes, answer), mistake)
        head, tail = self._around(call, writes, answer, has_result=True)
        parts = Parts(_with(head, batches, tail))
        if not parts.make_some():
            estimate = parts.size * pieces.batches(answer.result) // max(1, parts.batches)
        elif parts.size > PIECE_BYTES:  # soon made of what is kept, but long to send
            estimate = parts.size
        else:
            return parts.whole()
        self.outstanding.check_room_for(estimate)
        return self._large(call, writes, parts, estimate, mistake)

    def made(self, call: Call, writes: Codec, reply: bytes, mistake: Callable[[Exception], bytes]) -> Payload:
        """A reply that was encoded in one go; sent in pieces and counted if it is large. It may tell of a change that
        has happened, so it is not refused.
        """
        if len(reply) <= PIECE_BYTES:
            return reply
        parts = Parts([[reply]])
        parts.make_some()
        return self._large(call, writes, parts, parts.size, mistake)

    def _large(
        self, call: Call, writes: Codec, parts: Parts, estimate: int, mistake: Callable[[Exception], bytes]
    ) -> Large:
        return Large(
            parts,
            estimate,
            self.turns,
            self.outstanding,
            mistake=mistake,
            too_long=lambda size: self.whole(call, writes, _too_long(size)),
        )

    def held(self) -> dict[str, int]:
        """How many records there are pieces of, in all protocols together."""
        found: dict[str, int] = {}
        for pieces in self._pieces.values():
            for name, count in pieces.held().items():
                found[name] = found.get(name, 0) + count
        return found

    def whole(self, call: Call, writes: Codec, answer: Answer) -> bytes:
        """A reply with an answer that is encoded in one go."""
        if own.is_own(call.method):
            return self.struct(call, writes, own.as_struct(call.method, answer))
        head, tail = self._around(call, writes, answer, has_result=answer.result is not None)
        fields = b"" if answer.result is None else writes.fields(to_thrift.result(answer.result))
        return head + fields + tail

    def _pieces_of(self, codec: Codec) -> Pieces:
        pieces = self._pieces.get(codec.content_type)
        if pieces is None:
            pieces = self._pieces[codec.content_type] = Pieces(codec)
        return pieces

    def _around(self, call: Call, codec: Codec, answer: Answer, *, has_result: bool) -> tuple[bytes, bytes]:
        """What stands around the fields of the result, or all there is if it has none."""
        before, after = self._envelope(codec, answer.code)
        if answer.details:
            details = [aurora.ResponseDetail(message=detail) for detail in answer.details]
            after = codec.fields(aurora.Response(details=details))
        if has_result:
            head, tail = codec.nest(_RESULT, before, after)
        else:
            head, tail = before + codec.separator, after
        outer, inner = codec.message(call.method, REPLY, call.seqid), codec.nest(SUCCESS)
        return outer[0] + inner[0] + head, tail + inner[1] + outer[1]

    def _envelope(self, codec: Codec, code: Code) -> tuple[bytes, bytes]:
        """The fields of a Response before its result, and those after it when there are no details."""
        known = self._envelopes.get((codec.content_type, code))
        if known is None:
            response = to_thrift.response(Answer(code), self._server)
            after = codec.fields(aurora.Response(details=response.details))
            response.details = None
            known = self._envelopes[codec.content_type, code] = codec.fields(response), after
        return known


def _with(head: bytes, batches: Iterator[Batch], tail: bytes) -> Iterator[Batch]:
    yield [head]
    yield from batches
    yield [tail]


def _too_long(size: int) -> Answer:
    return error(
        f"The answer has {size} bytes; at most {MAX_ANSWER_BYTES} can be sent. Ask for less: limit and offset."
    )
