"""The calls by token, beside what is found of each: what the rules look things up in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property
from typing import TypeVar

from attrs import define, field

from scheduler.testing.history.records import FOREVER, Call, Heard, History, Kind, TaskRow, UpdateRow, World

T = TypeVar("T")


@define(slots=False)
class Change:
    """One change somebody asked for: all attempts with one token, as if they were one call."""

    attempts: list[Call]

    @cached_property
    def call(self) -> Call:
        return self.attempts[0]

    @property
    def token(self) -> str:
        return self.call.token

    @property
    def kind(self) -> Kind:
        return self.call.kind

    @property
    def job(self) -> str:
        return self.call.job

    @property
    def began(self) -> float:
        return min(call.began for call in self.attempts)

    @property
    def ended(self) -> float:
        return max(call.ended for call in self.attempts)

    @property
    def heard(self) -> Heard:
        """Acknowledged if any attempt was; surely refused only if all were."""
        heard = {call.heard for call in self.attempts}
        return next(one for one in (Heard.ACKNOWLEDGED, Heard.UNKNOWN, Heard.REFUSED) if one in heard)

    @property
    def acknowledged_at(self) -> float:
        """From when on everybody must see it."""
        return min((c.ended for c in self.attempts if c.heard is Heard.ACKNOWLEDGED), default=FOREVER)

    @property
    def no_effect(self) -> bool:
        return all(call.no_effect for call in self.attempts if call.heard is Heard.ACKNOWLEDGED)

    @property
    def may_be(self) -> bool:
        """May the system hold it?"""
        return self.heard is not Heard.REFUSED

    def before(self, other: Change) -> bool:
        return self.ended < other.began

    def covers(self, instance: int) -> bool:
        """Is this instance meant?"""
        return instance in self.call.instances or (self.kind is Kind.KILL_TASKS and not self.call.instances)

    def __str__(self) -> str:
        return f"{self.kind.value} ({self.heard.value})"


@define(slots=False)
class Ledger:
    """Everything, indexed."""

    history: History
    world: World
    changes: dict[str, Change] = field(init=False)
    of_job: dict[str, list[Change]] = field(init=False)
    tasks_of_job: dict[str, list[TaskRow]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        attempts: dict[str, list[Call]] = defaultdict(list)
        for call in self.history.calls:
            attempts[call.token].append(call)
        self.changes = {token: Change(calls) for token, calls in attempts.items()}
        self.of_job = defaultdict(list)
        for change in self.changes.values():
            self.of_job[change.job].append(change)
        self.tasks_of_job = defaultdict(list)
        for task in self.world.tasks:
            self.tasks_of_job[task.job].append(task)

    @cached_property
    def updates(self) -> dict[str, UpdateRow]:
        return {update.id: update for update in self.world.updates}

    @cached_property
    def tasks_with(self) -> dict[str, list[TaskRow]]:
        """Tasks by the token of their configuration."""
        return _grouped((task.token, task) for task in self.world.tasks)

    @cached_property
    def tasks_killed_by(self) -> dict[str, list[TaskRow]]:
        return _grouped((token, task) for task in self.world.tasks for token in task.killed_by)

    @cached_property
    def updates_with(self) -> dict[str, list[UpdateRow]]:
        """Updates by the token of their metadata."""
        return _grouped((update.token, update) for update in self.world.updates)

    @cached_property
    def events_with(self) -> dict[str, list[tuple[UpdateRow, int]]]:
        """Updates and positions of events, by token; the first event of an update is that of its start."""
        return _grouped(
            (event.token, (update, position))
            for update in self.world.updates
            for position, event in enumerate(update.events)
        )

    def is_there(self, change: Change) -> bool:
        """Is any trace of it found?"""
        if change.kind is Kind.CREATE_JOB:
            return change.token in self.tasks_with
        if change.kind is Kind.KILL_TASKS:
            return change.token in self.tasks_killed_by
        if change.kind is Kind.START_UPDATE:
            return change.token in self.updates_with or change.token in self.tasks_with
        return change.token in self.events_with


def _grouped(pairs: Iterable[tuple[str | None, T]]) -> dict[str, list[T]]:
    found: dict[str, list[T]] = defaultdict(list)
    for token, what in pairs:
        if token is not None:
            found[token].append(what)
    return dict(found)
