"""TJSON: Apache's JSON protocol, read by tables made from the interface; `tjson_out.py` writes it.

Read strictly, because nothing else stands between a wrong type and the state: a known field must have the interface's
type, a number must fit its width, a string must be writable as UTF-8. Unknown fields are skipped, as Thrift demands
(thriftpy2 fails on them).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Collection
from functools import cache, partial
from json.encoder import encode_basestring_ascii
from typing import Any, Final

from scheduler.rpc import shapes, tjson_out
from scheduler.rpc.json_bounds import LIGHT_BYTES, parse
from scheduler.rpc.messages import (
    MAX_FIELDS,
    MAX_METHOD_NAME_BYTES,
    MAX_WEIGHT,
    NUMBER_WEIGHT,
    STRING_WEIGHT,
    STRUCT_WEIGHT,
    TOO_HEAVY,
    BadMessage,
    Call,
)
from scheduler.rpc.shapes import ARGS
from scheduler.rpc.tjson_out import TAGS

BITS: Final = {shapes.I08: 8, shapes.I16: 16, shapes.I32: 32, shapes.I64: 64}
_BOUNDS: Final = {kind: 1 << (bits - 1) for kind, bits in BITS.items()}
_VERSION: Final = 1
_BINARY_BEGINS: Final = b"\x80\x01"
_STRUCT: Final = TAGS[shapes.STRUCT]
_MAP: Final = TAGS[shapes.MAP]
_STRING: Final = TAGS[shapes.STRING]
_INNER: Final = frozenset(TAGS[kind] for kind in (shapes.STRUCT, shapes.MAP, shapes.LIST, shapes.SET))
_FIELD_ID: Final = re.compile(r"0|-?[1-9][0-9]{0,4}")

Reader = Callable[[Any, str], Any]
"""Turns a JSON value into a Thrift one; the text names where it stands."""


class Json:
    """Thrift's JSON protocol, whole messages at a time."""

    content_type = b"application/vnd.apache.thrift.json"

    def read(self, data: bytes) -> Call:
        """Check and decode one call. Raises BadMessage."""
        _, method, kind, seqid, fields = load(data)
        args_class = ARGS.get(method)
        args = None if args_class is None else _fill(args_class(), fields, method)
        return Call(method, kind, seqid, args)

    def write(self, method: str, kind: int, seqid: int, struct: Any) -> bytes:
        head, tail = self.message(method, kind, seqid)
        return head + self.fields(struct) + tail

    # --- parts of messages, to be joined: see `messages.Codec`

    separator = b","

    def fields(self, struct: Any) -> bytes:
        return tjson_out.fields(struct).encode("ascii")

    def message(self, method: str, kind: int, seqid: int) -> tuple[bytes, bytes]:
        return f"[1,{encode_basestring_ascii(method)},{kind},{seqid},{{".encode("ascii"), b"}]"

    def nest(self, field: shapes.Field, before: bytes = b"", after: bytes = b"") -> tuple[bytes, bytes]:
        return _and(before) + b'"%d":{"rec":{' % field.number, b"}}" + (b"," + after if after else b"")

    def listing(self, field: shapes.Field, count: int) -> tuple[bytes, bytes]:
        return b'"%d":{"%s":["rec",%d' % (field.number, TAGS[field.kind].encode(), count), b"]}"

    def element(self, fields: bytes) -> bytes:
        return b",{" + fields + b"}"

    element_around = (b",{", b"}")
    leading = 0


def _and(before: bytes) -> bytes:
    return before + b"," if before else b""


JSON = Json()


def load(data: bytes) -> list[Any]:
    """One message as JSON: [1, method, kind, seqid, {...}]. Raises BadMessage."""
    if data.startswith(_BINARY_BEGINS):
        raise BadMessage(
            "the message is in Thrift's binary protocol, and its Content-Type says JSON (application/x-thrift does"
            " too, as in Aurora); send application/vnd.apache.thrift.binary, or JSON"
        )
    doc = parse(data)
    if not isinstance(doc, list) or len(doc) != 5 or not isinstance(doc[4], dict):
        raise BadMessage('the message is not a Thrift call: expected [1, "method", kind, seqid, {arguments}]')
    version, method, kind, seqid = doc[:4]
    if version != _VERSION:
        raise BadMessage(f"the message has version {version!r:.20} of Thrift's JSON; only {_VERSION} is known")
    if not isinstance(method, str) or not method.isascii() or len(method) > MAX_METHOD_NAME_BYTES:
        raise BadMessage("the method's name is not a short ASCII string")
    if len(data) > LIGHT_BYTES:
        _Load().add(doc[4])
    integer(shapes.I08, kind, "the message's kind")
    integer(shapes.I32, seqid, "the message's sequence number")
    return doc


class _Load:
    """What a message holds, as `checks.py` counts it: fields, and the weight of structs and of what containers hold.

    It goes by the types that are written down: where something else stands, it is refused when it is read.
    """

    def __init__(self) -> None:
        self.fields = 0
        self.weight = 0

    def add(self, fields: dict[str, Any]) -> None:
        """Count the fields of a struct. Raises BadMessage."""
        self.fields += len(fields)
        if self.fields > MAX_FIELDS:
            raise BadMessage(TOO_HEAVY)
        for entry in fields.values():
            if isinstance(entry, dict):
                for tag, value in entry.items():
                    if tag == _STRUCT:
                        self._elements(tag, (value,))
                    elif tag in _INNER:
                        self._inner(tag, value)

    def _inner(self, tag: str, value: Any) -> None:
        if tag == _STRUCT:
            if isinstance(value, dict):
                self.add(value)
        elif isinstance(value, list):
            if tag == _MAP and len(value) == 4 and isinstance(value[3], dict):
                self._elements(value[0], value[3])
                self._elements(value[1], value[3].values())
            elif tag != _MAP and len(value) > 2:
                self._elements(value[0], value[2:])

    def _elements(self, tag: Any, values: Collection[Any]) -> None:
        is_inner = isinstance(tag, str) and tag in _INNER
        weight = STRUCT_WEIGHT if is_inner else STRING_WEIGHT if tag == _STRING else NUMBER_WEIGHT
        self.weight += weight * len(values)
        if self.weight > MAX_WEIGHT:
            raise BadMessage(TOO_HEAVY)
        if is_inner:
            for value in values:
                self._inner(tag, value)


def _fill(obj: Any, data: Any, where: str) -> Any:
    """Set the fields of a struct from `{"<field id>": {"<type>": value}}`."""
    if not isinstance(data, dict):
        raise BadMessage(f"{where} is not an object of fields")
    kind: Any = type(obj)
    readers = _readers(kind)
    for field_id, entry in data.items():
        known = readers.get(field_id)
        if known is None:
            _check_field_id(field_id, where)
            continue
        name, tag, read = known
        if not isinstance(entry, dict) or len(entry) != 1:
            raise BadMessage(f'{where}.{name} is not of the form {{"type": value}}')
        if tag not in entry:
            raise BadMessage(f'{where}.{name} has type {next(iter(entry))!r:.20} where "{tag}" is expected')
        setattr(obj, name, read(entry[tag], f"{where}.{name}"))
    return obj


def _check_field_id(text: str, where: str) -> None:
    """A field nobody told us of is skipped; but 05 may be meant for 5, and "kill these instances" be "kill all"."""
    if not _FIELD_ID.fullmatch(text) or not -(1 << 15) <= int(text) < 1 << 15:
        raise BadMessage(f"{where} has a field {text!r:.20}; expected an id: a number of 16 bits, written as 5 is")


@cache
def _readers(struct: Any) -> dict[str, tuple[str, str, Reader]]:
    """Field id to name, type tag and reader."""
    spec: dict[int, tuple[Any, ...]] = struct.thrift_spec
    return {
        str(field_id): (entry[1], TAGS[entry[0]], _reader(entry[0], entry[2] if len(entry) > 3 else None))
        for field_id, entry in spec.items()
    }


def _reader(kind: int, inner: Any) -> Reader:
    if kind == shapes.STRUCT:
        return lambda value, where: _fill(inner(), value, where)
    if kind in (shapes.LIST, shapes.SET):
        element = _element(inner)
        return lambda value, where: _list(element, value, where)
    if kind == shapes.MAP:
        key, item = _element(inner[0]), _element(inner[1])
        return lambda value, where: _map(key, item, value, where)
    if kind in BITS:
        return partial(integer, kind)
    return {shapes.BOOL: _bool, shapes.DOUBLE: double, shapes.STRING: string, shapes.BINARY: binary}[kind]


def _element(spec: Any) -> tuple[str, Reader]:
    kind, inner = spec if isinstance(spec, tuple) else (spec, None)
    return TAGS[kind], _reader(kind, inner)


def _list(element: tuple[str, Reader], value: Any, where: str) -> list[Any]:
    tag, read = element
    if not isinstance(value, list) or len(value) < 2 or value[1] != len(value) - 2:
        raise BadMessage(f'{where} is not of the form ["{tag}", count, ...]')
    if value[0] != tag and len(value) > 2:
        raise BadMessage(f'{where} has elements of type {value[0]!r:.20}, not "{tag}"')
    return read_all(read, value[2:], where)


def read_all(read: Reader, values: list[Any], where: str) -> list[Any]:
    """Read each; which one it was is looked for only when one is wrong, since there may be half a million."""
    found: list[Any] = []
    try:
        for value in values:
            found.append(read(value, where))
    except BadMessage:
        read(values[len(found)], f"{where}[{len(found)}]")
        raise
    return found


def _map(key: tuple[str, Reader], item: tuple[str, Reader], value: Any, where: str) -> dict[Any, Any]:
    form = f'["{key[0]}", "{item[0]}", count, {{...}}]'
    if not isinstance(value, list) or len(value) != 4 or not isinstance(value[3], dict):
        raise BadMessage(f"{where} is not of the form {form}")
    if value[3] and (value[0] != key[0] or value[1] != item[0]):
        raise BadMessage(f"{where} has entries of other types than {form}")
    return {key[1](k, where): item[1](v, f"{where}[{k!r:.40}]") for k, v in value[3].items()}


def integer(kind: int, value: Any, where: str) -> int:
    if type(value) is not int:
        raise BadMessage(f"{where} is not a whole number")
    bound = _BOUNDS[kind]
    if not -bound <= value < bound:
        raise BadMessage(f"{where} does not fit {BITS[kind]} bits")
    return value


def _bool(value: Any, where: str) -> bool:
    if value not in (0, 1):
        raise BadMessage(f"{where} is neither 0 nor 1")
    return bool(value)


def double(value: Any, where: str) -> float:
    if value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    if type(value) not in (int, float):
        raise BadMessage(f"{where} is not a number")
    try:
        return float(value)
    except OverflowError:
        raise BadMessage(f"{where} is too large a number") from None


def string(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise BadMessage(f"{where} is not a string")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise BadMessage(f"{where} contains half of a surrogate pair") from None
    return value


def binary(value: Any, where: str) -> bytes:
    try:
        return base64.b64decode(string(value, where) + "==")
    except (binascii.Error, ValueError):
        raise BadMessage(f"{where} is not base64") from None
