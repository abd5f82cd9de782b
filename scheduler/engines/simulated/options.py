"""How the simulated cluster behaves: sizes, delays, and how often what goes wrong.

What one task does is drawn from the seed and its id, so it is the same in every run, whatever else happens.
A task can be told what to do by its metadata: key `simulate`, value as in `crash_after_ms=500 ignore_term`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from random import Random
from typing import Any

from attrs import evolve, field, fields, frozen

METADATA_KEY = "simulate"


def _option(default: float, text: str) -> float:
    return field(default=default, metadata={"help": text})


@frozen
class Options:
    """Rates are shares of tasks, 0 to 1. Delays are drawn between half and one and a half of what is given."""

    hosts: int = field(default=3, metadata={"help": "how many hosts there are"})
    hosts_file: str = field(default="", metadata={"help": "a TOML file that describes them instead; none"})
    seed: int = field(default=0, metadata={"help": "what all chance is drawn from"})
    racks: int = field(default=3, metadata={"help": "over how many racks the hosts are spread"})
    cpus: float = _option(16, "per host")
    ram_mb: int = field(default=65536, metadata={"help": "per host"})
    disk_mb: int = field(default=1_000_000, metadata={"help": "per host"})
    start_ms: float = _option(20, "from launch to STARTING")
    run_ms: float = _option(100, "from STARTING to RUNNING")
    stop_ms: float = _option(20, "from TERM or KILL to the end")
    crash_rate: float = _option(0, "share of tasks that fail by themselves")
    crash_after_ms: float = _option(5000, "from RUNNING to their failure")
    hang_rate: float = _option(0, "share of tasks that ignore TERM")
    slow_rate: float = _option(0, "share of tasks that take ten times as long for everything")
    late_rate: float = _option(0, "share of tasks that run only after --late-ms more")
    late_ms: float = _option(30_000, "how much later those run")
    lost_host_rate: float = _option(0, "share of hosts that are lost, once in a while")
    lost_host_every_ms: float = _option(60_000, "how long such a host stays before it is lost")
    lost_host_for_ms: float = _option(20_000, "how long it is away")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    for each in fields(Options):
        flag = f"--{each.name.replace('_', '-')}"
        kind: type = type(each.default)
        if each.name.endswith("_ms") or each.name.endswith("_rate") or each.name == "cpus":
            kind = float
        parser.add_argument(flag, type=kind, default=each.default, help=f"{each.metadata['help']} (%(default)s)")


def from_arguments(arguments: argparse.Namespace) -> Options:
    return Options(**{each.name: getattr(arguments, each.name) for each in fields(Options)})


def to_arguments(options: Options) -> list[str]:
    words: list[str] = []
    for each in fields(Options):
        words += [f"--{each.name.replace('_', '-')}", str(getattr(options, each.name))]
    return words


@frozen
class Behaviour:
    """What one task will do. Times in ms; None: never."""

    start_ms: float
    run_ms: float
    stop_ms: float
    crash_after_ms: float | None = None
    finish_after_ms: float | None = None
    ignore_term: bool = False


def behaviour(options: Options, task_id: str, told: str | None) -> Behaviour:
    """Drawn from the seed and the task's id; `told` (the task's metadata) goes before. Raises ValueError for it."""
    chance = Random(f"{options.seed}/{task_id}")

    def delay(ms: float) -> float:
        return ms * (0.5 + chance.random())

    drawn = Behaviour(delay(options.start_ms), delay(options.run_ms), delay(options.stop_ms))
    crashes, hangs, slow, late = (chance.random() for _ in range(4))
    if slow < options.slow_rate:
        drawn = Behaviour(drawn.start_ms * 10, drawn.run_ms * 10, drawn.stop_ms * 10)
    if late < options.late_rate:
        drawn = evolve(drawn, run_ms=drawn.run_ms + options.late_ms)
    drawn = evolve(
        drawn,
        crash_after_ms=delay(options.crash_after_ms) if crashes < options.crash_rate else None,
        ignore_term=hangs < options.hang_rate,
    )
    return evolve(drawn, **_told(told)) if told else drawn


def _told(text: str) -> dict[str, Any]:
    known = [each.name for each in fields(Behaviour)]
    wishes: dict[str, Any] = {}
    for word in text.split():
        name, given, value = word.partition("=")
        if name not in known:
            raise ValueError(f"metadata {METADATA_KEY}: {name!r} is not understood; known: {', '.join(known)}")
        try:
            wishes[name] = float(value) if given else True
        except ValueError:
            raise ValueError(f"metadata {METADATA_KEY}: {word!r} needs a number of milliseconds") from None
        if (name == "ignore_term") == bool(given):
            raise ValueError(f"metadata {METADATA_KEY}: {word!r}; allowed: NAME_ms=NUMBER and ignore_term")
    return wishes


def parse_arguments(words: Sequence[str] | None, parser: argparse.ArgumentParser) -> tuple[Options, argparse.Namespace]:
    add_arguments(parser)
    arguments = parser.parse_args(words)
    return from_arguments(arguments), arguments
