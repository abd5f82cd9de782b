"""JSON, if it is not too much of it, for the protocols that are written in it.

Python's parser makes objects of whatever there is, and nothing else runs meanwhile. So what stands between the strings
is counted first: commas, brackets and quotes say how much there will be. Text inside of strings may hold as many of
them as it likes, since a job's configuration is often JSON itself.
"""

from __future__ import annotations

import json
from itertools import accumulate
from typing import Any, Final, NoReturn

from scheduler.rpc.messages import (
    MAX_FIELDS,
    MAX_NESTING,
    MAX_WEIGHT,
    STRING_WEIGHT,
    STRUCT_WEIGHT,
    TOO_HEAVY,
    BadMessage,
)

MAX_NUMBER_CHARS: Final = 40
"""Of a whole number. To read one takes a time that grows with the square of its length, and 64 bits have 20."""

LIGHT_BYTES: Final = 24 * 1024
"""A message of this size cannot hold more than is allowed: the lightest struct takes three bytes."""

# Two JSON brackets (a field's object and its value's) stand for one level of Thrift, and for a field.
_MAX_DEPTH: Final = 2 * MAX_NESTING
_MAX_BRACKETS: Final = 2 * (MAX_FIELDS + MAX_WEIGHT // STRUCT_WEIGHT)
_MAX_COMMAS: Final = MAX_WEIGHT + 2 * MAX_FIELDS
_MAX_QUOTES: Final = 2 * (3 * MAX_FIELDS + 2 * MAX_WEIGHT // STRING_WEIGHT)
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_STEPS: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def parse(data: bytes) -> Any:
    """Any JSON, if it is not too much of it. Raises BadMessage."""
    if data.count(b"{") + data.count(b"[") > _MAX_DEPTH or max(data.count(b","), data.count(b'"')) > _MAX_COMMAS:
        _check_structure(data)
    try:
        return _DECODER.decode(data.decode("utf-8"))
    except UnicodeDecodeError as wrong:
        raise BadMessage(f"the message is not UTF-8: {wrong.reason} at byte {wrong.start}") from None
    except (ValueError, RecursionError) as wrong:
        raise BadMessage(f"the message is not JSON: {wrong}") from None


def _check_structure(data: bytes) -> None:
    """Refuse what holds too much, or is nested too deep. Raises BadMessage."""
    data = data.replace(rb"\\", b"").replace(rb"\"", b"")  # every quote that is left begins or ends a string
    if data.count(b'"') > _MAX_QUOTES:
        raise BadMessage(TOO_HEAVY)
    outside = b"".join(data.split(b'"')[::2])
    if outside.count(b",") > _MAX_COMMAS or outside.count(b"{") + outside.count(b"[") > _MAX_BRACKETS:
        raise BadMessage(TOO_HEAVY)
    if max(accumulate(map(_STEPS.__getitem__, outside.translate(None, _NOT_BRACKETS))), default=0) > _MAX_DEPTH:
        raise BadMessage(f"structs and containers are nested more than {MAX_NESTING} deep")


def _whole_number(text: str) -> int:
    if len(text) > MAX_NUMBER_CHARS:
        raise BadMessage(f"a whole number has {len(text)} characters; at most {MAX_NUMBER_CHARS} are allowed")
    return int(text)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


_DECODER: Final = json.JSONDecoder(parse_int=_whole_number, parse_constant=_no_constant)
