"""Draws docs/flags.md: `python -m scheduler.app.flags.page > docs/flags.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from scheduler.app.flags.groups import GROUPS
from scheduler.app.flags.rows import Flag, Group, Unused, spelled

HEAD = """# Flags of `thesan serve`

Drawn from the table of flags (`scheduler/app/flags/groups`): `python -m scheduler.app.flags.page > docs/flags.md`.

* Written as Aurora writes them or as Unix does: `-http_port=8081`, `--http_port=8081`, `--http-port 8081`. What is true
  or false needs no value: `-name`, `-no_name`. Given twice, the last one holds.
* Also in the environment (`THESAN_HTTP_PORT=8081`), and in a TOML file (`--config FILE`, in it `http_port = 8081`). A
  flag wins over the environment, that over the file, that over the default.
* Durations are a whole number and a unit: `500ms`, `4secs`, `5mins`, `1hrs`, `2days`. Sizes too: `512KB`, `128MB`.
* A wrong value stops the start and is answered with the flag, the value and what is allowed; an unknown flag with the
  names it comes near to. An unknown `THESAN_...` in the environment is a warning in the log, since programs share it.

"Aurora" says whether a flag of this name is Aurora's: *same*, how it *differs*, or *ours*.
"""

UNUSED = """
## Aurora's flags that do nothing here

They are accepted, so that an Aurora command line starts Thesan, and the log says why they do nothing. Where a value is
named, no other one is accepted: its user would have less than was asked for.

| flag | why | only |
| --- | --- | --- |
"""


def page() -> str:
    """The whole page."""
    served = "".join(_section(group) for group in GROUPS if any(isinstance(row, Flag) for row in group.rows))
    return HEAD + served + UNUSED + "".join(_unused(row for group in GROUPS for row in group.rows))


def _section(group: Group) -> str:
    head = f"\n## {group.title}\n\n| flag | value | default | what it does | why this default | Aurora |\n"
    return head + "| --- | --- | --- | --- | --- | --- |\n" + "".join(_served(group))


def _served(group: Group) -> Iterator[str]:
    for row in group.rows:
        if isinstance(row, Flag):
            aurora = "ours" if row.differs is None else f"differs: {row.differs}" if row.differs else "same"
            names = ", ".join(f"`{spelled(name)}`" for name in (row.name, *row.aliases))
            cells = (names, row.kind.allowed, row.default_text, row.help, row.why, aurora)
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _unused(rows: Iterable[object]) -> Iterator[str]:
    for row in rows:
        if isinstance(row, Unused):
            yield f"| `{spelled(row.name)}` | {row.why} | {', '.join(row.only).lower()} |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
