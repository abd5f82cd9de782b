"""The rules. Each is a generator of violations over the ledger; `check` runs them all.

| rule | what must not be |
| --- | --- |
| refused | a call that was refused, and a trace of it |
| foreign | a trace that no call left, or in another place than the call was for |
| lost | an acknowledged call without a trace |
| half | a call of which one part is there and another is not |
| twice | one change that happened twice, or two tasks of one instance |
| order | of two calls, one over before the other began, found the other way round |
| unasked | a pause that ended by itself |
| fold | a state that is not what its history adds up to, or a history that cannot be |
| seen | something that was seen and is gone, or was acknowledged and not seen |
| last word | a job that is not as the last call that changed it said |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from scheduler.testing.history import jobs, updates
from scheduler.testing.history.ledger import Ledger
from scheduler.testing.history.records import Heard, History, Kind, Violation, World


def check(history: History, world: World) -> list[Violation]:
    """What is wrong with `world`, given what the clients did and heard. Nothing found: an empty list."""
    ledger = Ledger(history, world)
    return [violation for rule in _RULES for violation in rule(ledger)]


def refused_calls(ledger: Ledger) -> Iterator[Violation]:
    for change in ledger.changes.values():
        if change.heard is Heard.REFUSED and ledger.is_there(change):
            yield Violation("refused", change.token, f"{change} of {change.job}, and yet it is there")


def foreign_traces(ledger: Ledger) -> Iterator[Violation]:
    for task in ledger.world.tasks:
        maker = ledger.changes.get(task.token or "")
        if maker is None or maker.job != task.job or maker.kind not in (Kind.CREATE_JOB, Kind.START_UPDATE):
            yield Violation("foreign", task.task_id, f"no call of {task.job} brought in its configuration {task.token}")
        elif not maker.covers(task.instance):
            yield Violation("foreign", task.task_id, f"{maker} was not for instance {task.instance}")
        for token in task.killed_by:
            killer = ledger.changes.get(token)
            if killer is None or killer.job != task.job or not killer.covers(task.instance):
                yield Violation("foreign", task.task_id, f"no call asked for its end with {token}")
    for update in ledger.world.updates:
        starter = ledger.changes.get(update.token or "")
        if starter is None or starter.kind is not Kind.START_UPDATE or starter.job != update.job:
            yield Violation("foreign", update.id, f"no call started it with {update.token}")
        for event in update.events[1:]:
            if event.token is None:
                continue
            mover = ledger.changes.get(event.token)
            if mover is None or mover.call.update != update.id:
                yield Violation("foreign", update.id, f"{event.status.name}: no call on it had {event.token}")


def sightings(ledger: Ledger) -> Iterator[Violation]:
    first_seen: dict[str, float] = {}
    for one in sorted(ledger.history.sightings, key=lambda one: one.ended):
        if one.found:
            first_seen.setdefault(one.token, one.ended)
    for token in first_seen:
        change = ledger.changes.get(token)
        if change is None or not ledger.is_there(change):
            yield Violation("seen", token, "it was seen, and is not there at the end")
    for one in ledger.history.sightings:
        if one.found:
            continue
        change = ledger.changes.get(one.token)
        if change is not None and not change.no_effect and change.acknowledged_at < one.began:
            yield Violation("seen", one.token, f"{change}, and was not seen after that")
        if first_seen.get(one.token, one.began) < one.began:
            yield Violation("seen", one.token, "it was seen, and later it was not")


_RULES: Final[tuple[Callable[[Ledger], Iterator[Violation]], ...]] = (
    refused_calls,
    foreign_traces,
    jobs.creations,
    jobs.kills,
    jobs.instances,
    jobs.last_words,
    jobs.folds,
    updates.starts,
    updates.moves,
    updates.order,
    updates.lifted,
    updates.folds,
    sightings,
)
