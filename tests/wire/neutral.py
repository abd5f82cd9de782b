"""A struct of either library as plain dictionaries, to compare them: unset fields left out, sets sorted."""

from __future__ import annotations

from typing import Any

from thriftpy2.thrift import TType

from scheduler.interface import aurora, thesan


def neutral(value: Any) -> Any:
    """Works for structs of thriftpy2 and of Apache's library alike: the interface says which field is a set."""
    if isinstance(value, (list, tuple)):
        return [neutral(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return _sorted(value)
    if isinstance(value, dict):
        return {key: neutral(item) for key, item in value.items()}
    if hasattr(value, "thrift_spec"):
        return _struct(value)
    return value


def _struct(struct: Any) -> dict[str, Any]:
    name = type(struct).__name__
    spec = getattr(thesan.Scheduler, name, None) or getattr(aurora, name, None) or getattr(thesan, name)
    found: dict[str, Any] = {}
    for entry in spec.thrift_spec.values():
        kind, field = entry[0], entry[1]
        value = getattr(struct, field)
        if value is not None:
            as_set = kind == TType.SET  # thriftpy2 reads sets as lists
            found[field] = _sorted(value) if as_set else neutral(value)
    return found


def _sorted(items: Any) -> list[Any]:
    return sorted((neutral(item) for item in items), key=repr)
