"""Reading a JSON object field by field, so that every complaint names its field and nothing is passed over."""

from __future__ import annotations

from collections.abc import Iterator
from reprlib import Repr
from typing import Any, Final, TypeVar

from scheduler.visible import visible

T = TypeVar("T")

_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a string", dict: "an object",
          list: "a list"}  # fmt: skip


MOST_COUNT: Final = 2**31 - 1
MOST_SECS: Final = 30 * 24 * 3600
"""Nothing that a task waits for takes longer than this."""

MOST_SHOWN: Final = 100

_short = Repr()
_short.maxstring = _short.maxother = _short.maxlong = MOST_SHOWN


def shown(value: Any) -> str:
    """As Python writes it, in the length a sentence has room for, however long or deep the value is."""
    return _short.repr(value)


def shorten(text: str) -> str:
    """What is not said by `shown`, because it is no value: names of fields, lists."""
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def refuse(path: str, what: str) -> ValueError:
    return ValueError(f"{path}: {what}")


def check_text(value: str, path: str) -> None:
    """JSON can say half a character (`\\ud800`), which no file, command or message can hold."""
    try:
        value.encode()
    except UnicodeEncodeError as e:
        raise refuse(path, f"has {value[e.start]!a}, half a character, at {e.start}") from None


class Fields:
    """The fields of one JSON object. `path` says where it stands. Every reader raises ValueError with the field's name.

    Null counts as not given.
    """

    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise refuse(path or "executorConfig.data", f"must be {_KINDS[dict]}, not {shown(value)}")
        self._values: dict[str, Any] = {k: v for k, v in value.items() if v is not None}
        self.path = path

    def at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def only(self, *known: str) -> None:
        """Refuse every field that is not listed here."""
        for name in self._values:
            if name not in known:
                raise refuse(self.at(visible(shorten(name))), f"not understood; known here: {', '.join(sorted(known))}")

    def is_empty(self) -> bool:
        return not self._values

    def text(self, name: str, default: str | None = None) -> str:
        value = self._one(name, str, default)
        check_text(value, self.at(name))
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        return self._one(name, bool, default)

    def secs(self, name: str, default: float, *, above: float | None = None) -> float:
        """A time in seconds, 30 days at most."""
        return self.number(name, default, above=above, most=MOST_SECS)

    def number(
        self, name: str, default: float | None = None, *, least: float = 0, above: float | None = None, most: float
    ) -> float:
        value = self._one(name, float, default)
        if value != value or value in (float("inf"), float("-inf")):
            raise refuse(self.at(name), f"must be a finite number, not {value}")
        if above is not None and value <= above:
            raise refuse(self.at(name), f"must be more than {above:g}, not {value:g}")
        if value < least:
            raise refuse(self.at(name), f"must be at least {least:g}, not {value:g}")
        if value > most:
            raise refuse(self.at(name), f"must be at most {most:.15g}, not {value:.15g}")
        return value

    def count(self, name: str, default: int, *, least: int = 0) -> int:
        value = self.number(name, default, least=least, most=MOST_COUNT)
        if value != int(value):
            raise refuse(self.at(name), f"must be {_KINDS[int]}, not {value:g}")
        return int(value)

    def object(self, name: str) -> Fields:
        """An object; an empty one when it is not given."""
        return Fields(self._values.get(name, {}), self.at(name))

    def objects(self, name: str, *, most: int) -> Iterator[Fields]:
        for i, value in enumerate(self._list(name, most)):
            yield Fields(value, f"{self.at(name)}[{i}]")

    def texts(self, name: str, *, most: int) -> tuple[str, ...]:
        values = self._list(name, most)
        for i, value in enumerate(values):
            if not isinstance(value, str):
                raise refuse(f"{self.at(name)}[{i}]", f"must be {_KINDS[str]}, not {shown(value)}")
        return tuple(values)

    def _list(self, name: str, most: int) -> list[Any]:
        values = self._one(name, list, [])
        if len(values) > most:
            raise refuse(self.at(name), f"has {len(values)}; allowed are {most}")
        return values

    def _one(self, name: str, kind: type[T], default: T | None) -> T:
        value = self._values.get(name, default)
        if value is None:
            raise refuse(self.at(name), "is missing")
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            try:
                value = float(value)
            except OverflowError:
                raise refuse(self.at(name), "is a larger number than there can be here") from None
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise refuse(self.at(name), f"must be {_KINDS[kind]}, not {shown(value)}")
        return value
