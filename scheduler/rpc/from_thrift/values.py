"""Small values: enums, unions, text, sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from typing import Any, TypeVar

from scheduler.core.answers import Refused, error, invalid

E = TypeVar("E", bound=IntEnum)
T = TypeVar("T")


def enum_value(enum: type[E], value: int, field: str) -> E:
    """The member with this number. Refuses a number that is none, naming those that are."""
    return enum(enum_number({member.value: member.name for member in enum}, value, field))


def enum_number(names: Mapping[int, str], value: int, field: str) -> int:
    """The number itself, if it is one of the named. Refuses others."""
    if value not in names:
        allowed = ", ".join(f"{name} {number}" for number, name in names.items())
        raise Refused(invalid(f"{field} is {value}, which is not one of {allowed}"))
    return value


def branch(union: Any, field: str) -> tuple[str, Any]:
    """Name and value of a union's one branch that is set. Refuses none and several."""
    found = branches(union)
    if len(found) != 1:
        names = ", ".join(entry[1] for entry in union.thrift_spec.values())
        what = ", ".join(name for name, _ in found) + " are all set" if found else "no known branch is set"
        raise Refused(invalid(f"{field}: {what}; exactly one of {names} must be"))
    return found[0]


def branches(union: Any) -> list[tuple[str, Any]]:
    """Names and values of the branches that are set, in the interface's order."""
    named = ((entry[1], getattr(union, entry[1])) for entry in union.thrift_spec.values())
    return [(name, value) for name, value in named if value is not None]


def present(value: T | None, field: str) -> T:
    """A struct that must be there. An absent one is an ERROR, as in Aurora."""
    if value is None:
        raise Refused(error(f"{field} is missing"))
    return value


def not_blank(text: str | None) -> str | None:
    """Text, or None when there is none to speak of."""
    return text if text and not text.isspace() else None


def each(convert: Callable[[Any], T], items: Iterable[Any] | None) -> tuple[T, ...]:
    """Convert the elements of a container that may be unset."""
    return tuple(convert(item) for item in items) if items else ()
