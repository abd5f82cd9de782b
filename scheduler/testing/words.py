"""The words of a script's commands: ranges of instances, spans of time, options, update settings."""

from __future__ import annotations

import shlex

from attrs import evolve

from scheduler.core.queries import SettingsRequest
from scheduler.core.records import (
    Constraint,
    CoordinatorSlaPolicy,
    CountSlaPolicy,
    LimitConstraint,
    PartitionPolicy,
    PercentageSlaPolicy,
    Resource,
    ResourceKind,
    SlaPolicy,
    TaskConfig,
)
from scheduler.core.updates.records import (
    BatchStrategy,
    QueueStrategy,
    Range,
    Strategy,
    VariableBatchStrategy,
    instance_ids,
)

UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class ScriptError(Exception):
    """A command that cannot be understood or carried out; says which line and why."""


def ranges(text: str) -> tuple[Range, ...]:
    """`0-2,5` as closed ranges."""
    found = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found.append(Range(int(first), int(last or first)))
    return tuple(found)


def ids(text: str) -> list[int]:
    return list(instance_ids(ranges(text)))


def milliseconds(text: str) -> int:
    for unit, factor in UNITS_MS.items():
        number = text.removesuffix(unit)
        if number != text and number.isdigit():
            return int(number) * factor
    return int(text)


class Sentence(str):
    """A word in quotes."""

    __slots__ = ()


def split(command: str) -> list[str]:
    """The words of a command; what stands in quotes is one word, a `Sentence`."""
    words = shlex.split(command, posix=False)
    return [Sentence(word[1:-1]) if word.startswith('"') else word for word in words]


class Options:
    """The words after a command: NAME=VALUE, flags, and at most one sentence."""

    def __init__(self, words: list[str]) -> None:
        self.values: dict[str, str] = {}
        self.message: str | None = None
        for word in words:
            name, equals, value = word.partition("=")
            if isinstance(word, Sentence):
                self.message = str(word)
            else:
                self.values[name] = value if equals else "yes"

    def take(self, name: str, default: str = "") -> str:
        return self.values.pop(name, default)

    def number(self, name: str, default: int) -> int:
        return milliseconds(self.values.pop(name, str(default)))

    def done(self) -> None:
        if self.values:
            raise ScriptError(f"what is {', '.join(self.values)}?")


def wishes_from(config: TaskConfig, options: Options) -> TaskConfig:
    """The configuration with other cores, tier, priority, limits or policies, taken out of `options`."""
    cpus = float(options.take("cpus", "1"))
    kept = tuple(r for r in config.resources if r.kind is not ResourceKind.CPUS)
    limits = [part.partition(":") for part in options.take("limit").split(",") if part]
    return evolve(
        config,
        resources=(*kept, Resource(ResourceKind.CPUS, cpus)),
        tier=options.take("tier") or config.tier,
        priority=int(options.take("priority", "0")),
        sla_policy=sla_from(options),
        partition_policy=patience_from(options),
        constraints=tuple(Constraint(name, LimitConstraint(int(limit))) for name, _, limit in limits),
    )


def patience_from(options: Options) -> PartitionPolicy | None:
    """`patience=10m` with silent hosts, or `patience=ever`."""
    if "patience" not in options.values:
        return None
    if options.values["patience"] == "ever":
        del options.values["patience"]
        return PartitionPolicy(reschedule=False)
    return PartitionPolicy(reschedule=True, delay_secs=options.number("patience", 0) // 1000)


def sla_from(options: Options) -> SlaPolicy | None:
    """`percent=95` or `count=2`, with `duration=30m`; `coordinator=URL`, with `key=drain`."""
    duration_secs = options.number("duration", 0) // 1000
    if "percent" in options.values:
        return PercentageSlaPolicy(float(options.take("percent")), duration_secs)
    if "count" in options.values:
        return CountSlaPolicy(options.number("count", 0), duration_secs)
    if "coordinator" in options.values:
        return CoordinatorSlaPolicy(options.take("coordinator"), options.take("key", "drain"))
    return None


def settings_from(options: Options) -> SettingsRequest:
    """Update settings, taken out of `options`."""
    only = options.take("only")
    return SettingsRequest(
        strategy=strategy_from(options),
        max_per_instance_failures=options.number("failures", 0),
        max_failed_instances=options.number("failed", 0),
        min_wait_in_instance_running_ms=options.number("watch", 2000),
        rollback_on_failure=options.take("norollback") != "yes",
        update_only_these_instances=ranges(only) if only else (),
        block_if_no_pulses_after_ms=options.number("pulse", 0) or None,
        sla_aware=options.take("sla") == "yes" or None,
    )


def strategy_from(options: Options) -> Strategy:
    autopause = options.take("autopause") == "yes"
    if "batch" in options.values:
        return BatchStrategy(options.number("batch", 1), autopause)
    if "variable" in options.values:
        return VariableBatchStrategy(tuple(map(int, options.take("variable").split(","))), autopause)
    return QueueStrategy(options.number("queue", 1))
