"""JSON as people write it: fields by name, enums by name, a union as an object with its one branch.

For /apibeta and for pages, as Aurora's own bridge has it. Read as strictly as Thrift's JSON, and stricter in one point:
a name that is none of the interface's is refused, since a word mistyped in "kill these instances" would else be "kill
all".
"""

from __future__ import annotations

import base64
import difflib
from collections.abc import Callable, Iterable
from functools import cache, partial
from json.encoder import encode_basestring_ascii
from typing import Any, Final

from scheduler.rpc import shapes
from scheduler.rpc.json_bounds import LIGHT_BYTES, parse
from scheduler.rpc.messages import (
    CALL,
    MAX_FIELDS,
    MAX_WEIGHT,
    NUMBER_WEIGHT,
    REPLY,
    STRING_WEIGHT,
    STRUCT_WEIGHT,
    TOO_HEAVY,
    BadMessage,
    Call,
)
from scheduler.rpc.replies import SUCCESS
from scheduler.rpc.tjson import BITS, binary, double, integer, read_all, string

Reader = Callable[[Any, str], Any]
"""Turns a JSON value into a Thrift one; the text names where it stands."""

Write = Callable[[Any], str]


class Plain:
    """A codec that writes only: see `messages.Codec`. A message is what the method returns, nothing around it."""

    content_type = b"application/json"
    separator = b","
    element_around = (b",{", b"}")
    leading = 1

    def read(self, data: bytes) -> Call:
        raise NotImplementedError("the method stands in the path: read_call")

    def write(self, method: str, kind: int, seqid: int, struct: Any) -> bytes:
        if kind != REPLY:
            return answer_of("ERROR", str(struct.message))
        return b"{" + self.fields(struct.success) + b"}"

    def write_struct(self, struct: Any) -> str:
        return "{" + self.fields(struct).decode("ascii") + "}"

    def fields(self, struct: Any) -> bytes:
        kind: Any = type(struct)
        return _fields(kind)(struct).encode("ascii")

    def message(self, method: str, kind: int, seqid: int) -> tuple[bytes, bytes]:
        return b"", b""

    def nest(self, field: shapes.Field, before: bytes = b"", after: bytes = b"") -> tuple[bytes, bytes]:
        if field == SUCCESS:
            return b"{", b"}"
        head = b'"%b":{' % field.name.encode()
        return (before + b"," if before else b"") + head, b"}" + (b"," + after if after else b"")

    def listing(self, field: shapes.Field, count: int) -> tuple[bytes, bytes]:
        return b'"%b":[' % field.name.encode(), b"]"

    def element(self, fields: bytes) -> bytes:
        return b",{" + fields + b"}"


PLAIN: Final = Plain()


def answer_of(code: str, sentence: str) -> bytes:
    """A Response that was made without a call."""
    return f'{{"responseCode":"{code}","details":[{{"message":{encode_basestring_ascii(sentence)}}}]}}'.encode()


# --- writing ---------------------------------------------------------------------------------------------------------


@cache
def _fields(struct: Any) -> Write:
    """Writes the fields that are set, without the brackets around them."""
    spec: dict[int, tuple[Any, ...]] = struct.thrift_spec
    table = tuple(
        (entry[1], f'"{entry[1]}":', _writer(entry[0], entry[2] if len(entry) > 3 else None)) for entry in spec.values()
    )

    def write(obj: Any) -> str:
        return ",".join(
            [opening + writer(value) for name, opening, writer in table if (value := getattr(obj, name)) is not None]
        )

    return write


def _writer(kind: int, inner: Any) -> Write:
    if kind == shapes.STRUCT:
        return lambda value: "{" + _fields(inner)(value) + "}"
    if kind in (shapes.LIST, shapes.SET):
        element = _writer(*_element(inner))
        return lambda items: "[" + ",".join([element(item) for item in items]) + "]"
    if kind == shapes.MAP:
        return _map_writer(_element(inner[0]), _writer(*_element(inner[1])))
    if kind == shapes.I32 and inner is not None:
        names = inner._VALUES_TO_NAMES
        return lambda value: f'"{names.get(value, int(value))}"'
    return _PLAIN[kind]


def _map_writer(key: tuple[int, Any], write_value: Write) -> Write:
    write_key = _writer(*key)

    def write(items: Any) -> str:
        return "{" + ",".join([f"{_quoted(write_key(k))}:{write_value(v)}" for k, v in items.items()]) + "}"

    return write


def _quoted(text: str) -> str:
    return text if text.startswith('"') else f'"{text}"'


def _element(spec: Any) -> tuple[int, Any]:
    kind, inner = spec if isinstance(spec, tuple) else (spec, None)
    return kind, inner


def _double(value: float) -> str:
    return repr(float(value)) if value - value == 0 else "null"


_integer: Final = int.__repr__
_PLAIN: Final[dict[int, Write]] = {
    shapes.BOOL: lambda value: "true" if value else "false",
    shapes.I08: _integer,
    shapes.I16: _integer,
    shapes.I32: _integer,
    shapes.I64: _integer,
    shapes.DOUBLE: _double,
    shapes.STRING: encode_basestring_ascii,
    shapes.BINARY: lambda value: f'"{base64.b64encode(value).decode()}"',
}


# --- reading ---------------------------------------------------------------------------------------------------------


def read_call(method: str, data: bytes) -> Call:
    """The call of a known method with the arguments of this object; no bytes are no arguments. Raises BadMessage."""
    doc = parse(data) if data.strip() else {}
    if not isinstance(doc, dict):
        raise BadMessage("the body is not a JSON object of arguments by name")
    if len(data) > LIGHT_BYTES:
        _check_load(doc)
    return Call(method, CALL, 0, _fill(shapes.ARGS[method](), doc, method))


def _check_load(value: Any) -> None:
    """Count what a message holds; a map's entries count as fields, since both are objects. Raises BadMessage."""
    weight = fields = 0
    inside = [value]
    while inside:
        value = inside.pop()
        items: Iterable[Any] = value
        if isinstance(value, dict):
            items = value.values()
            fields += len(value)
        for item in items:
            if isinstance(item, (dict, list)):
                weight += STRUCT_WEIGHT
                inside.append(item)
            else:
                weight += STRING_WEIGHT if isinstance(item, str) else NUMBER_WEIGHT
    if fields > MAX_FIELDS or weight > MAX_WEIGHT:
        raise BadMessage(TOO_HEAVY)


def _fill(obj: Any, data: Any, where: str) -> Any:
    """Set the fields of a struct from an object of names and values; null is unset."""
    if not isinstance(data, dict):
        raise BadMessage(f"{where} is not an object of fields by name")
    kind: Any = type(obj)
    readers = _readers(kind)
    for name, value in data.items():
        read = readers.get(name)
        if read is None:
            near = difflib.get_close_matches(name[:100], readers, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(readers) or 'none'}"
            raise BadMessage(f"{where} has no field {name[:100]!r}; {hint}")
        if value is not None:
            setattr(obj, name, read(value, f"{where}.{name}"))
    return obj


@cache
def _readers(struct: Any) -> dict[str, Reader]:
    spec: dict[int, tuple[Any, ...]] = struct.thrift_spec
    return {entry[1]: _reader(entry[0], entry[2] if len(entry) > 3 else None) for entry in spec.values()}


def _reader(kind: int, inner: Any) -> Reader:
    if kind == shapes.STRUCT:
        return lambda value, where: _fill(inner(), value, where)
    if kind in (shapes.LIST, shapes.SET):
        element = _reader(*_element(inner))
        return lambda value, where: _list(element, value, where)
    if kind == shapes.MAP:
        key, item = _reader(*_element(inner[0])), _reader(*_element(inner[1]))
        return lambda value, where: _map(key, item, value, where)
    if kind == shapes.I32 and inner is not None:
        return lambda value, where: _enum(inner, value, where)
    if kind in BITS:
        return partial(integer, kind)
    return {shapes.BOOL: _bool, shapes.DOUBLE: double, shapes.STRING: string, shapes.BINARY: binary}[kind]


def _list(read: Reader, value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise BadMessage(f"{where} is not a list")
    return read_all(read, value, where)


def _map(key: Reader, item: Reader, value: Any, where: str) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise BadMessage(f"{where} is not an object")
    return {key(k, where): item(v, f"{where}[{k!r:.40}]") for k, v in value.items()}


def _enum(enum: Any, value: Any, where: str) -> int:
    found: int | None = enum._NAMES_TO_VALUES.get(value) if isinstance(value, str) else None
    if found is None:
        raise BadMessage(f"{where} is {value!r:.40}; it must be one of {', '.join(enum._NAMES_TO_VALUES)}")
    return found


def _bool(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise BadMessage(f"{where} is neither true nor false")
    return value
