"""Aurora's ways of writing flags, translated to one: `--name=value`, which click parses.

All of these are the same: `-http_port=8081`, `--http_port=8081`, `--http-port=8081`, `--http-port 8081`. A flag that is
true or false needs no value: `-partition_aware`, `-no_partition_aware`. Given twice, the last one holds.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Final

from scheduler.app.flags.rows import Row, spelled
from scheduler.settings import WrongSetting

PASSED_ON: Final = ("help", "h", "config")
"""Not in the table: they are about the command line, not about the server."""

NO: Final = "no_"


def translate(arguments: Sequence[str], rows: Mapping[str, Row]) -> list[str]:
    """The same flags, as `--name=value`. Raises WrongSetting on what is none, with the nearest name."""
    out: list[str] = []
    rest = list(arguments)
    while rest:
        given = rest.pop(0)
        if not given.startswith("-") or not given.strip("-"):
            raise WrongSetting(f"{given!r} is no flag; a flag begins with - and a value belongs to the flag before it")
        written, equals, value = given.lstrip("-").partition("=")
        name = written.replace("-", "_")
        if name in ("help", "h"):
            return ["--help"]
        name, opposite = _known(name, rows, given)
        switch = name in rows and rows[name].kind.switch
        if opposite and equals:
            raise WrongSetting(f"{given!r}: {NO}{name} takes no value")
        if switch and not equals:
            value = "false" if opposite else _taken(rest) or "true"
        elif not equals:
            if not rest or _is_flag(rest[0], rows):
                raise WrongSetting(f"{given!r} needs a value: {spelled(name)}=VALUE")
            value = rest.pop(0)
        out.append(f"{spelled(rows[name].name if name in rows else name)}={value}")
    return out


def _known(name: str, rows: Mapping[str, Row], given: str) -> tuple[str, bool]:
    """The name without `no_`, and whether it had one."""
    if name in rows or name in PASSED_ON:
        return name, False
    plain = name.removeprefix(NO)
    if plain != name and plain in rows and rows[plain].kind.switch:
        return plain, True
    raise WrongSetting(unknown(f"{given.partition('=')[0]!r} is no flag of this server", name, rows))


def unknown(sentence: str, name: str, rows: Mapping[str, Row]) -> str:
    """The sentence, and the nearest names there are."""
    near = difflib.get_close_matches(name, [*rows, *PASSED_ON], n=2)
    hint = f"; did you mean {' or '.join(map(spelled, near))}?" if near else "; `thesan serve --help` lists them"
    return sentence + hint


def _taken(rest: list[str]) -> str | None:
    """The value of a switch, where it stands in a word of its own."""
    return rest.pop(0) if rest and rest[0].lower() in ("true", "false") else None


def _is_flag(word: str, rows: Mapping[str, Row]) -> bool:
    """A value may begin with a dash, as `-1` does, unless it is the name of a flag."""
    return word.startswith("-") and word.lstrip("-").partition("=")[0].replace("-", "_") in (*rows, *PASSED_ON)
