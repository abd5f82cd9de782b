"""A script: everything that is done to a scheduler from outside, with its time. With the seed it is the whole run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attrs import frozen

FORMAT = 1


@frozen
class Action:
    """At `at_ms` of the run, `do` with `args` (see `deeds.py`)."""

    at_ms: int
    do: str
    args: dict[str, Any]

    def __str__(self) -> str:
        told = " ".join(f"{name}={value}" for name, value in self.args.items())
        return f"{self.at_ms / 1000:9.3f} s  {self.do} {told}".rstrip()


@frozen
class Script:
    """`end_ms`: where the run stops, unless something fails before. `schedulers`: how many there are."""

    seed: int
    actions: tuple[Action, ...]
    end_ms: int
    schedulers: int = 1

    def save(self, path: Path, remarks: list[str]) -> None:
        """Write it as JSON, one action a line; `remarks` are for people."""
        rows = ",\n".join("  " + json.dumps([a.at_ms, a.do, a.args]) for a in self.actions)
        head = {
            "format": FORMAT,
            "seed": self.seed,
            "end_ms": self.end_ms,
            "schedulers": self.schedulers,
            "remarks": remarks,
        }
        text = json.dumps(head, indent=1)[:-2] + f',\n "actions": [\n{rows}\n ]\n}}\n'
        path.write_text(text, encoding="utf-8")


def load(path: Path) -> Script:
    """Raises ValueError for a file that is no script."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["format"] != FORMAT:
            raise ValueError(f"{path}: a script of format {told['format']}; this simulator reads {FORMAT}")
        actions = tuple(Action(at_ms, do, args) for at_ms, do, args in told["actions"])
        return Script(told["seed"], actions, told["end_ms"], told.get("schedulers", 1))
    except (KeyError, TypeError, json.JSONDecodeError) as wrong:
        raise ValueError(f"{path}: not a script of the simulator: {wrong!r}") from wrong
