"""Reading YAML 1.2 so that every complaint names the file, the line, the field, and what is allowed there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Any, Final, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from scheduler.client.errors import Usage
from scheduler.client.files import read_file
from scheduler.client.quantities import parse_duration_ms, parse_size_mb

T = TypeVar("T")

_TAG: Final = "tag:yaml.org,2002:"
_SHOWN: Final = 60


class Fields:
    """A mapping of a YAML file. Every reader raises Usage: `file:line: field: what is wrong`.

    A key without a value counts as not given.
    """

    def __init__(self, file: str, node: Node, path: str) -> None:
        self._file = file
        self._node = node
        self.path = path
        if not isinstance(node, MappingNode):
            raise self._wrong(node, "", f"must be a mapping of keys to values, not {_describe(node)}")
        self._values: dict[str, Node] = {}
        self._keys: dict[str, Node] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode) or _tag(key) not in ("str", "int"):
                raise self._wrong(key, "", "keys must be plain words")
            if key.value in self._keys:
                raise self._wrong(key, key.value, f"stands here twice, first in line {_line(self._keys[key.value])}")
            self._keys[key.value] = key
            if not (isinstance(value, ScalarNode) and _tag(value) == "null"):
                self._values[key.value] = value

    # --- the mapping -------------------------------------------------------------------------------------------------

    def only(self, *known: str) -> Fields:
        """Refuse every key that is not listed here."""
        for name, node in self._keys.items():
            if name not in known:
                near = get_close_matches(name, known, 1)
                meant = f" Did you mean {near[0]}?" if near else ""
                raise self._wrong(node, name, f"is not known here. Allowed: {', '.join(known)}.{meant}")
        return self

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def names(self) -> Iterator[str]:
        yield from self._values

    def complain(self, name: str, what: str) -> Usage:
        """A complaint about a field, to be raised."""
        return self._wrong(self._values.get(name) or self._keys.get(name) or self._node, name, what)

    def object(self, name: str) -> Fields:
        """The mapping under a key; an empty one when it is not given."""
        node = self._values.get(name) or MappingNode(f"{_TAG}map", [], self._node.start_mark, self._node.end_mark)
        return Fields(self._file, node, self._at(name))

    def objects(self, name: str) -> list[Fields]:
        return [Fields(self._file, node, f"{self._at(name)}[{i}]") for i, node in enumerate(self._list(name))]

    # --- single values -----------------------------------------------------------------------------------------------

    def text(self, name: str, default: str | None = None) -> str:
        """A string; numbers are taken as they are written."""
        return self._one(name, default, _text)

    def flag(self, name: str, default: bool) -> bool:
        return self._one(name, default, _flag)

    def count(self, name: str, default: int | None = None, *, least: int = 0, most: int = 2**31 - 1) -> int:
        return self._one(name, default, lambda node: _within(_count(node), least, most))

    def number(self, name: str, default: float | None = None, *, least: float = 0) -> float:
        return self._one(name, default, lambda node: _within(_number(node), least, float("inf")))

    def duration_ms(self, name: str, default: int | None = None) -> int:
        """At most as much as Thrift's i32 holds, 24 days."""
        return self._one(name, default, lambda node: _within(parse_duration_ms(_text(node)), 0, 2**31 - 1))

    def size_mb(self, name: str, default: int | None = None) -> int:
        return self._one(name, default, lambda node: _within(parse_size_mb(_text(node)), 1, 2**62))

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.text(name, default)
        if value not in allowed:
            raise self.complain(name, f"must be one of {', '.join(allowed)}, not {value!r}")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings; a single one may stand for a list."""
        return tuple(self._each(name, _text))

    def counts(self, name: str, *, least: int) -> tuple[int, ...]:
        return tuple(self._each(name, lambda node: _within(_count(node), least, 2**31 - 1)))

    # --- inside ------------------------------------------------------------------------------------------------------

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path and name else self.path or name

    def _wrong(self, node: Node, name: str, what: str) -> Usage:
        at = self._at(name)
        return Usage(f"{self._file}:{_line(node)}: {at}{': ' if at else ''}{what}")

    def _list(self, name: str) -> list[Node]:
        node = self._values.get(name)
        if node is None:
            return []
        if not isinstance(node, SequenceNode):
            raise self._wrong(node, name, f"must be a list, not {_describe(node)}")
        return list(node.value)

    def _each(self, name: str, read: Callable[[Node], T]) -> Iterator[T]:
        node = self._values.get(name)
        if isinstance(node, ScalarNode):
            nodes: dict[str, Node] = {name: node}
        else:
            nodes = {f"{name}[{i}]": one for i, one in enumerate(self._list(name))}
        for at, one in nodes.items():
            try:
                yield read(one)
            except ValueError as wrong:
                raise self._wrong(one, at, str(wrong)) from None

    def _one(self, name: str, default: T | None, read: Callable[[Node], T]) -> T:
        node = self._values.get(name)
        if node is None:
            if default is None:
                raise self.complain(name, "is missing")
            return default
        try:
            return read(node)
        except ValueError as wrong:
            raise self._wrong(node, name, str(wrong)) from None


def load(path: Path) -> Fields:
    """The one document of a YAML file, which must be a mapping. Raises Usage."""
    try:
        data = read_file(path)
    except OSError as failure:
        raise Usage(f"{path}: {(failure.strerror or str(failure)).lower()}") from None
    except ValueError as wrong:
        raise Usage(f"{path}: {wrong}") from None
    try:
        node = YAML(typ="rt", pure=True).compose(data.decode())
    except UnicodeDecodeError as failure:
        raise Usage(f"{path}: is not UTF-8 (byte {failure.start})") from None
    except MarkedYAMLError as failure:
        mark = failure.problem_mark or failure.context_mark
        line = f":{mark.line + 1}" if mark is not None else ""
        raise Usage(f"{path}{line}: is no YAML: {failure.problem or failure.context}") from None
    except YAMLError as failure:
        raise Usage(f"{path}: is no YAML: {failure}") from None
    except RecursionError:
        raise Usage(f"{path}: is nested too deeply") from None
    if node is None:
        raise Usage(f"{path}: is empty")
    return Fields(str(path), node, "")


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _tag(node: Node) -> str:
    return str(node.tag).removeprefix(_TAG)


def _describe(node: Node) -> str:
    if isinstance(node, MappingNode):
        return "a mapping"
    if isinstance(node, SequenceNode):
        return "a list"
    return _short(repr(node.value))


def _text(node: Node) -> str:
    if not isinstance(node, ScalarNode) or _tag(node) not in ("str", "int", "float", "timestamp"):
        raise ValueError(f"must be a text, not {_describe(node)}")
    return str(node.value)


def _flag(node: Node) -> bool:
    value = str(node.value).lower()
    if _tag(node) != "bool" or value not in ("true", "false"):
        raise ValueError(f"must be true or false, not {_describe(node)}")
    return value == "true"


def _count(node: Node) -> int:
    if _tag(node) == "int":
        text = str(node.value).replace("_", "")
        with suppress(ValueError):  # a tag is what somebody wrote: `!!int x`
            return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
    raise ValueError(f"must be a whole number, not {_describe(node)}")


def _number(node: Node) -> float:
    with suppress(ValueError, OverflowError):
        number = float(_count(node) if _tag(node) == "int" else str(node.value).replace("_", ""))
        if _tag(node) in ("int", "float") and isfinite(number):
            return number
    raise ValueError(f"must be a number, not {_describe(node)}")


def _within(value: Any, least: float, most: float) -> Any:
    if value < least:
        raise ValueError(f"must be at least {_figure(least)}, not {_figure(value)}")
    if value > most:
        raise ValueError(f"must be at most {_figure(most)}, not {_figure(value)}")
    return value


def _figure(value: float) -> str:
    """Whole numbers in full: a limit is there to be read."""
    return _short(str(value)) if isinstance(value, int) else f"{value:g}"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
