"""A struct as Thrift's simple JSON has it: fields by name, enums by number, maps as objects. Written, never read."""

from __future__ import annotations

import base64
from typing import Any

from scheduler.rpc import shapes


def simple(struct: Any) -> dict[str, Any]:
    """What `json.dumps` can write: the fields that are set."""
    spec: dict[int, tuple[Any, ...]] = struct.thrift_spec
    return {
        entry[1]: _value(entry[0], entry[2] if len(entry) > 3 else None, value)
        for entry in spec.values()
        if (value := getattr(struct, entry[1])) is not None
    }


def _value(kind: int, inner: Any, value: Any) -> Any:
    if kind == shapes.STRUCT:
        return simple(value)
    if kind in (shapes.LIST, shapes.SET):
        return [_value(*_element(inner), item) for item in value]
    if kind == shapes.MAP:
        return {str(_value(*_element(inner[0]), k)): _value(*_element(inner[1]), v) for k, v in value.items()}
    if kind == shapes.BINARY:
        return base64.b64encode(value).decode()
    return int(value) if kind == shapes.I32 else value


def _element(spec: Any) -> tuple[int, Any]:
    kind, inner = spec if isinstance(spec, tuple) else (spec, None)
    return kind, inner
