"""What one row of the table of flags says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs
from attrs import frozen

from scheduler.app.flags.kinds import Anything, Kind, Switch
from scheduler.core.policy import Policy
from scheduler.settings import Settings

POLICY: Final = "policy."


@frozen
class Flag:
    """A flag that is served. Its default is that of the field it sets, and stands nowhere else."""

    name: str
    """Aurora's where Aurora has it, with underscores."""
    kind: Kind
    to: str
    """The field of `Settings` that it sets, or `policy.` and a field of `Policy`."""
    help: str
    why: str
    """Why the default is what it is."""
    differs: str | None = None
    """How it differs from Aurora's flag of this name; empty: it does not; None: Aurora has no such flag."""
    default: str | None = None
    """The default in words, where it is found out at start."""
    aliases: tuple[str, ...] = ()

    @property
    def default_text(self) -> str:
        """The default as it would be written on a command line, or in words."""
        if self.default is not None:
            return self.default
        value = default_of(self.to)
        return "none" if value in (None, "", ()) else self.kind.show(value)


@frozen
class Unused:
    """A flag of Aurora's that does nothing here. It is accepted with a warning that says why, so that an Aurora command
    line starts Thesan; but not with a value that would leave its user with less safety than was asked for."""

    name: str
    why: str
    """Ends the sentence "NAME is accepted and does nothing: ..."."""
    switch: bool = False
    only: tuple[str, ...] = ()
    """Where given: the only values accepted. Another one is refused with `why`."""
    aliases: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        return Switch() if self.switch else Anything()


Row = Flag | Unused


@frozen
class Group:
    """Flags of one idea."""

    title: str
    rows: tuple[Row, ...]


def spelled(name: str) -> str:
    """The name as our documentation writes it: `--http-port`."""
    return "--" + name.replace("_", "-")


def by_name(rows: Iterable[Row]) -> Mapping[str, Row]:
    """Name or alias to row, with underscores. Raises ValueError when two rows claim one name."""
    found: dict[str, Row] = {}
    for row in rows:
        for name in (row.name, *row.aliases):
            if name in found:
                raise ValueError(f"two rows of flags are called {name}")
            found[name] = row
    return found


def default_of(to: str) -> Any:
    """The default of the field that a flag sets. Raises KeyError when there is no such field."""
    owner, name = (Policy, to.removeprefix(POLICY)) if to.startswith(POLICY) else (Settings, to)
    default: Any = attrs.fields_dict(owner)[name].default
    return default.factory() if isinstance(default, attrs.Factory) else default  # type: ignore[arg-type]
