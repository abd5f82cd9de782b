"""What the value of a flag may be. Each kind reads a value, says what is allowed, and writes a value back for a reader.

Durations and sizes are written as Aurora's documentation writes them ("Scheduler configuration"): a whole number and a
unit, `5mins`, `128MB`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource

from scheduler.core.validation import is_good_identifier
from scheduler.cron_times import zone

MS_OF_UNIT: Final = {"ms": 1, "secs": 1000, "mins": 60_000, "hrs": 3_600_000, "days": 86_400_000}
BYTES_OF_UNIT: Final = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
MAX_INT: Final = 2**31 - 1
MAX_DURATION_MS: Final = 100 * 366 * MS_OF_UNIT["days"]
"""A century. Beyond it a number is a mistake, and some clock of the operating system overflows."""

_AMOUNT: Final = re.compile(r"(\d{1,18})([A-Za-z]*)", re.ASCII)


class Kind(click.ParamType[Any]):
    """`parse` raises ValueError on what is not allowed; a message of its own is said instead of `allowed`."""

    name = "text"
    allowed = "a text"
    switch = False
    """Can it be given without a value?"""

    def parse(self, text: str) -> Any:
        raise NotImplementedError

    def show(self, value: Any) -> str:
        """The value as it would be written on a command line."""
        return str(value)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, bool):
            value = str(value).lower()
        elif isinstance(value, list):
            value = ",".join(map(str, value))
        try:
            return self.parse(str(value))
        except ValueError as wrong:
            allowed = str(wrong) or self.allowed
            self.fail(f"{value!r}{_origin(param, ctx)} is not allowed; it must be {allowed}", param, ctx)


def _origin(param: click.Parameter | None, ctx: click.Context | None) -> str:
    """Where a value comes from that is not from the command line."""
    if ctx is None or param is None or param.name is None:
        return ""
    source = ctx.get_parameter_source(param.name)
    if source is ParameterSource.ENVIRONMENT:
        names = [param.envvar] if isinstance(param.envvar, str) else param.envvar or []
        return f" in the environment ({', '.join(names)})"
    if source is ParameterSource.DEFAULT_MAP:
        return f" in {ctx.params.get('config')}"
    return ""


class Text(Kind):
    """Anything but nothing."""

    allowed = "a text that is not empty"

    def parse(self, text: str) -> str:
        if not text.strip():
            raise ValueError
        return text


class Name(Text):
    """One part of a key: it stands between slashes."""

    name = "name"
    allowed = "1 to 255 of A-Z, a-z, 0-9, _, - and ."

    def parse(self, text: str) -> str:
        if not is_good_identifier(text):
            raise ValueError
        return text


class Anything(Kind):
    """Of a flag that has no use here: whatever Aurora would take, empty too."""

    def parse(self, text: str) -> str:
        return text


class TimeZone(Kind):
    """A name of the tz database."""

    name = "zone"
    allowed = "a name of the tz database, such as Europe/Berlin"

    def parse(self, text: str) -> str:
        try:
            zone(text)
        except ValueError:
            raise ValueError from None  # what is allowed says more
        return text


class File(Kind):
    """A path. Whether it is there is for the one who opens it to say."""

    name = "path"
    allowed = "a path"

    def parse(self, text: str) -> Path:
        if not text.strip() or "\0" in text:
            raise ValueError
        try:
            return Path(text).expanduser()
        except RuntimeError as wrong:  # ~ and the name of nobody
            raise ValueError(f"a path: {wrong}") from None


class Switch(Kind):
    """True or false: `-name`, `-no_name`, `-name=true`, `-name=false`."""

    name = "true|false"
    allowed = "true or false"
    switch = True

    def parse(self, text: str) -> bool:
        if text.lower() not in ("true", "false"):
            raise ValueError
        return text.lower() == "true"

    def show(self, value: Any) -> str:
        return str(value).lower()


class Number(Kind):
    """A whole number, both bounds included."""

    name = "number"

    def __init__(self, lowest: int, highest: int = MAX_INT) -> None:
        self.lowest, self.highest = lowest, highest
        self.allowed = f"a whole number from {lowest} to {highest}"

    def parse(self, text: str) -> int:
        if not re.fullmatch(r"-?\d{1,19}", text, re.ASCII) or not self.lowest <= int(text) <= self.highest:
            raise ValueError
        return int(text)


class Decimal(Kind):
    """A number with a fraction, both bounds included."""

    name = "decimal"

    def __init__(self, lowest: float, highest: float) -> None:
        self.lowest, self.highest = lowest, highest
        self.allowed = f"a number from {lowest:g} to {highest:g}"

    def parse(self, text: str) -> float:
        value = float(text) if re.fullmatch(r"\d{1,12}(\.\d{1,12})?", text, re.ASCII) else -1.0
        if not self.lowest <= value <= self.highest:
            raise ValueError
        return value


class MilliCpus(Kind):
    """Cores, kept in thousandths."""

    name = "cores"

    def __init__(self) -> None:
        self._cores = Decimal(0, 1000)
        self.allowed = self._cores.allowed

    def parse(self, text: str) -> int:
        return round(self._cores.parse(text) * 1000)

    def show(self, value: Any) -> str:
        return f"{value / 1000:g}"


class _Amount(Kind):
    """A whole number and a unit. A bare number is an error unless the flag's name ends in its unit (`bare`)."""

    units: dict[str, int]

    def __init__(self, lowest: int, highest: int, *, bare: bool) -> None:
        self.lowest, self.highest, self.bare = lowest, highest, bare
        units = ", ".join(self.units)
        also = f", or a bare number of {next(iter(self.units))}" if bare else ""
        bounds = f"from {self.show(lowest)} to {self.show(highest)}"
        self.allowed = f"a whole number and a unit ({units}){also}, {bounds}"

    def parse(self, text: str) -> int:
        found = _AMOUNT.fullmatch(text)
        if found is None:
            raise ValueError
        factor = self.units.get(found[2]) if found[2] else (1 if self.bare else None)
        if factor is None or not self.lowest <= int(found[1]) * factor <= self.highest:
            raise ValueError
        return int(found[1]) * factor

    def show(self, value: Any) -> str:
        for unit, factor in reversed(self.units.items()):
            if value >= factor and value % factor == 0:
                return f"{value // factor}{unit}"
        return f"{value}{next(iter(self.units))}"


class Duration(_Amount):
    """Milliseconds, written `500ms`, `4secs`, `5mins`, `1hrs`, `2days`."""

    name = "duration"
    units = MS_OF_UNIT

    def __init__(self, lowest_ms: int = 0, highest_ms: int = MAX_DURATION_MS, *, bare: bool = False) -> None:
        super().__init__(lowest_ms, highest_ms, bare=bare)


class Size(_Amount):
    """Bytes, written `512KB`, `128MB`."""

    name = "size"
    units = BYTES_OF_UNIT

    def __init__(self, lowest: int = 0, highest: int = 1 << 50, *, bare: bool = False) -> None:
        super().__init__(lowest, highest, bare=bare)


class MegaBytes(Kind):
    """A size, kept in MB; one that is begun counts as a whole one."""

    name = "size"

    def __init__(self) -> None:
        self._size = Size(0, BYTES_OF_UNIT["TB"])
        self.allowed = self._size.allowed

    def parse(self, text: str) -> int:
        return -(-self._size.parse(text) // BYTES_OF_UNIT["MB"])

    def show(self, value: Any) -> str:
        return self._size.show(value * BYTES_OF_UNIT["MB"])


class Choice(Kind):
    """One of some words. Upper and lower case are one."""

    def __init__(self, *words: str) -> None:
        self.words = words
        self.name = "|".join(words)
        self.allowed = f"one of {', '.join(words)}"

    def parse(self, text: str) -> str:
        for word in self.words:
            if word.lower() == text.lower():
                return word
        raise ValueError


class Words(Kind):
    """Several of some words, with commas between. `or_none`: or `none` of them."""

    def __init__(self, *words: str, or_none: bool = False) -> None:
        self.one = Choice(*words)
        self.name = f"{words[0]},..."
        self._or_none = or_none
        self.allowed = f"{'none, or ' if or_none else ''}one or more of {', '.join(words)}, with commas between"

    def parse(self, text: str) -> tuple[str, ...]:
        if self._or_none and text.strip().lower() in ("", "none"):
            return ()
        return tuple(dict.fromkeys(self.one.parse(part.strip()) for part in text.split(",")))

    def show(self, value: Sequence[str]) -> str:
        return ",".join(value) or "none"


class Regex(Kind):
    """A regular expression, as Python's `re` reads it."""

    name = "regex"

    def parse(self, text: str) -> str:
        try:
            re.compile(text)
        except re.error as wrong:
            raise ValueError(f"a regular expression: {wrong}") from None
        return text
