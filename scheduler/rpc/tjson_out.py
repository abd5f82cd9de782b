"""TJSON, written by tables made from the interface.

thriftpy2's own writer takes twelve times as long as its binary one, keeps the first message it sees, and cannot write
every shape. This one makes one closure per field, once per struct class. Numbers, flags, order and spaces (none) are
as Apache's library writes them; text is ASCII with escapes.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import cache
from json.encoder import encode_basestring_ascii
from typing import Any, Final

from scheduler.rpc import shapes

TAGS: Final = {
    shapes.BOOL: "tf",
    shapes.I08: "i8",
    shapes.I16: "i16",
    shapes.I32: "i32",
    shapes.I64: "i64",
    shapes.DOUBLE: "dbl",
    shapes.STRING: "str",
    shapes.BINARY: "str",
    shapes.STRUCT: "rec",
    shapes.LIST: "lst",
    shapes.SET: "set",
    shapes.MAP: "map",
}
"""What each type is called in TJSON."""

Write = Callable[[Any], str]

_integer: Final = int.__repr__  # an enum's own repr is its name
_string: Final[Write] = encode_basestring_ascii


def fields(struct: Any) -> str:
    """The fields of a struct that are set, without the brackets around them."""
    kind: Any = type(struct)
    return _struct(kind)(struct)


@cache
def _struct(struct: Any) -> Write:
    spec: dict[int, tuple[Any, ...]] = struct.thrift_spec
    table = tuple(
        (entry[1], f'"{field_id}":{{"{TAGS[entry[0]]}":', _value(entry[0], entry[2] if len(entry) > 3 else None))
        for field_id, entry in spec.items()
    )

    def write(obj: Any) -> str:
        return ",".join(
            [
                f"{opening}{write_value(value)}}}"
                for name, opening, write_value in table
                if (value := getattr(obj, name)) is not None
            ]
        )

    return write


def _value(kind: int, inner: Any) -> Write:
    if kind == shapes.STRUCT:
        return lambda value: f"{{{fields(value)}}}"
    if kind in (shapes.LIST, shapes.SET):
        return _list(*_element(inner))
    if kind == shapes.MAP:
        return _map(_element(inner[0]), _element(inner[1]))
    return _PLAIN[kind]


def _element(spec: Any) -> tuple[str, Write]:
    kind, inner = spec if isinstance(spec, tuple) else (spec, None)
    return TAGS[kind], _value(kind, inner)


def _list(tag: str, write: Write) -> Write:
    def write_list(items: Any) -> str:
        return f'["{tag}",{len(items)}{"".join([f",{write(item)}" for item in items])}]'

    return write_list


def _map(key: tuple[str, Write], item: tuple[str, Write]) -> Write:
    opening = f'["{key[0]}","{item[0]}",'
    write_key, write_item = key[1], item[1]
    if key[0] != "str":  # keys of a JSON object are strings
        plain = write_key
        write_key = lambda value: f'"{plain(value)}"'  # noqa: E731

    def write_map(items: Any) -> str:
        entries = ",".join([f"{write_key(k)}:{write_item(v)}" for k, v in items.items()])
        return f"{opening}{len(items)},{{{entries}}}]"

    return write_map


def _bool(value: Any) -> str:
    return "1" if value else "0"


def _double(value: float) -> str:
    if value - value == 0:
        return float.__repr__(float(value))
    return '"NaN"' if value != value else '"Infinity"' if value > 0 else '"-Infinity"'


def _binary(value: bytes) -> str:
    return f'"{base64.b64encode(value).rstrip(b"=").decode()}"'


_PLAIN: Final[dict[int, Write]] = {
    shapes.BOOL: _bool,
    shapes.I08: _integer,
    shapes.I16: _integer,
    shapes.I32: _integer,
    shapes.I64: _integer,
    shapes.DOUBLE: _double,
    shapes.STRING: _string,
    shapes.BINARY: _binary,
}
