"""The interface as tables for the checks: which field of which struct has which type.

Made from thriftpy2's specs, once per struct class. A field's key is its wire type and id in one number, as the three
bytes stand on the wire, so that one look-up says "known, and of the right type".
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final, NamedTuple

from scheduler.interface import thesan

BOOL: Final = 2
I08: Final = 3
DOUBLE: Final = 4
I16: Final = 6
I32: Final = 8
I64: Final = 10
STRING: Final = 11
STRUCT: Final = 12
MAP: Final = 13
SET: Final = 14
LIST: Final = 15
BINARY: Final = 18
"""thriftpy2's own number for `binary`, which is a string on the wire."""

TYPE_NAMES: Final = {
    BOOL: "bool",
    I08: "i8",
    DOUBLE: "double",
    I16: "i16",
    I32: "i32",
    I64: "i64",
    STRING: "string",
    STRUCT: "struct",
    MAP: "map",
    SET: "set",
    LIST: "list",
}

Elements = tuple[tuple[int, Any], ...]
"""Wire type and shape of what a container holds: one pair for a list or set, key and value for a map."""


class Field(NamedTuple):
    """A field of a struct, as it is called in each protocol."""

    number: int
    name: str
    kind: int


def field_of(struct: Any, name: str) -> Field:
    """The field of a thriftpy2 struct class that has this name. Raises StopIteration when there is none."""
    spec: dict[int, tuple[Any, ...]] = struct.thrift_spec
    return next(Field(number, name, entry[0]) for number, entry in spec.items() if entry[1] == name)


class Shape(dict[int, Any]):
    """Fields of a struct by key; the value is the inner shape: a Shape, Elements, or None for a plain value."""

    __slots__ = ("fields", "name")

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.fields: dict[int, tuple[str, int]] = {}


UNKNOWN: Final = Shape("unknown")
"""A struct we have no spec for: any field of any Thrift type may be in it."""


def field_key(kind: int, field_id: int) -> int:
    return (kind << 16) | (field_id & 0xFFFF)


@cache
def shape_of(struct: Any) -> Shape:
    """The shape of a thriftpy2 struct class."""
    shape = Shape(struct.__name__.removesuffix("_args"))
    spec: dict[int, tuple[Any, ...]] = struct.thrift_spec
    for field_id, entry in spec.items():
        kind = entry[0]
        shape.fields[field_id & 0xFFFF] = (entry[1], kind)
        shape[field_key(kind, field_id)] = _inner(kind, entry[2] if len(entry) > 3 else None)
    return shape


def _inner(kind: int, spec: Any) -> Any:
    if kind == STRUCT:
        return shape_of(spec)
    if kind in (LIST, SET):
        return (_element(spec),)
    if kind == MAP:
        return (_element(spec[0]), _element(spec[1]))
    return None


def _element(spec: Any) -> tuple[int, Any]:
    kind, inner = spec if isinstance(spec, tuple) else (spec, None)
    return kind, _inner(kind, inner)


ARGS: Final[dict[str, Any]] = {
    name: getattr(thesan.Scheduler, f"{name}_args") for name in thesan.Scheduler.thrift_services
}
"""Method name to the class of its arguments, for every method of `thesan.Scheduler`."""

ARGS_BYTES: Final = {name.encode(): shape_of(args) for name, args in ARGS.items()}
