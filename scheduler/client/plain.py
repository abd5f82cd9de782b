"""Thrift structs as plain values for JSON: fields by their names in the interface, enums by name, no unset ones."""

from __future__ import annotations

import json
from typing import Any, Final

from thriftpy2.thrift import TPayload, TType

_CONTAINERS: Final = (TType.LIST, TType.SET)


def plain(struct: Any) -> dict[str, Any]:
    """A struct, with everything in it, as what `json.dumps` writes. Sets become sorted lists."""
    found: dict[str, Any] = {}
    for spec in type(struct).thrift_spec.values():
        value = getattr(struct, spec[1])
        if value is not None:
            found[spec[1]] = _value(value, spec[0], spec[2] if len(spec) == 4 else None)
    return found


def _value(value: Any, kind: int, detail: Any) -> Any:
    if isinstance(value, TPayload):
        return plain(value)
    if kind in _CONTAINERS:
        element = detail if isinstance(detail, tuple) else (detail, None)
        values = [_value(one, *element[:2]) for one in value]
        return sorted(values, key=lambda one: json.dumps(one, sort_keys=True)) if kind == TType.SET else values
    if kind == TType.MAP:
        return {str(key): one for key, one in value.items()}
    if detail is not None and hasattr(detail, "_VALUES_TO_NAMES"):
        return detail._VALUES_TO_NAMES.get(value, value)
    return value
