"""Rules about updates: each started once, its history in the order of the calls, and nothing missing from it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from scheduler.core.updates import status as table
from scheduler.core.updates.records import UpdateStatus
from scheduler.testing.history.ledger import Change, Ledger
from scheduler.testing.history.records import OF_UPDATES, Heard, Kind, UpdateRow, Violation

_FIRST: Final = frozenset({UpdateStatus.ROLLING_FORWARD, UpdateStatus.ROLL_FORWARD_AWAITING_PULSE})

LEADS_TO: Final[dict[Kind, frozenset[UpdateStatus]]] = {
    Kind.PAUSE_UPDATE: table.PAUSED_STATES,
    Kind.RESUME_UPDATE: table.ROLLING_STATES | table.AWAITING_PULSE_STATES,
    Kind.ABORT_UPDATE: frozenset({UpdateStatus.ABORTED}),
    Kind.ROLL_BACK_UPDATE: frozenset({UpdateStatus.ROLLING_BACK}),
}
"""The states a call brings an update to. In one of them already, it changes nothing and leaves no trace."""


def starts(ledger: Ledger) -> Iterator[Violation]:
    for change in ledger.changes.values():
        if change.kind is not Kind.START_UPDATE or not change.may_be:
            continue
        rows = ledger.updates_with.get(change.token, [])
        # Each attempt asks anew: a second one may find that the first has happened and ended, and happen too.
        if len(rows) > sum(call.heard is not Heard.REFUSED for call in change.attempts):
            yield Violation("twice", change.token, f"{change} started {', '.join(row.id for row in rows)}")
        for row in rows:
            yield from _whole(change, row)
        if rows:
            continue
        if change.heard is Heard.ACKNOWLEDGED and not change.no_effect:
            yield Violation("lost", change.token, f"{change} of {change.job}: there is no such update")
        elif change.token in ledger.tasks_with:
            yield Violation("half", change.token, f"{change} of {change.job} has tasks and no update")


def _whole(change: Change, row: UpdateRow) -> Iterator[Violation]:
    first = row.events[0] if row.events else None
    if first is None or first.token != change.token or first.status not in _FIRST:
        yield Violation("half", change.token, f"{row.id} has not the event of its start: {first}")
    if row.desired_token != change.token:
        yield Violation("half", change.token, f"{row.id} brings the configuration of {row.desired_token}")


def moves(ledger: Ledger) -> Iterator[Violation]:
    """Calls on an update: in its history once, if they were effective and had something to do."""
    for change in ledger.changes.values():
        if change.kind not in OF_UPDATES or not change.may_be:
            continue
        events = [(row, at) for row, at in ledger.events_with.get(change.token, []) if row.id == change.call.update]
        if len(events) > 1:
            yield Violation("twice", change.token, f"{change} is {len(events)} times in the history of its update")
        for row, at in events:
            if row.events[at].status not in LEADS_TO[change.kind]:
                status = row.events[at].status.name
                yield Violation("half", change.token, f"{change} left its update in {status}")
        if not events and change.heard is Heard.ACKNOWLEDGED:
            yield from _without_trace(ledger, change)


def _without_trace(ledger: Ledger, change: Change) -> Iterator[Violation]:
    """Acknowledged, and not in the history: allowed only if it may have found what it asked for."""
    row = ledger.updates.get(change.call.update)
    if row is None:
        yield Violation("lost", change.token, f"{change}: there is no update {change.call.update}")
        return
    first, last = 0, len(row.events) - 1
    for at, event in enumerate(row.events):
        other = ledger.changes.get(event.token or "")
        if other is None:
            continue
        if other.before(change):
            first = max(first, at)
        elif change.before(other):
            last = min(last, at - 1)
    found = {event.status for event in row.events[first : last + 1]}
    if not found & LEADS_TO[change.kind]:
        names = ", ".join(sorted(status.name for status in found))
        yield Violation("lost", change.token, f"{change} is not in the history of {row.id}, which was in {names}")


def order(ledger: Ledger) -> Iterator[Violation]:
    """The history has the calls in an order their clients may have seen."""
    for row in ledger.world.updates:
        earlier: list[Change] = []
        for event in row.events:
            change = ledger.changes.get(event.token or "")
            if change is None:
                continue
            for one in earlier:
                if change.before(one):
                    yield Violation("order", row.id, f"{change.token} was over before {one.token} began, and is after")
            earlier.append(change)


def lifted(ledger: Ledger) -> Iterator[Violation]:
    """A pause ends by somebody's call, and not by itself; only an error of the scheduler's own may end it, too."""
    for row in ledger.world.updates:
        for before, after in pairwise(row.events):
            if before.status in table.PAUSED_STATES and after.token is None and after.status is not UpdateStatus.ERROR:
                yield Violation("unasked", row.id, f"{before.status.name} became {after.status.name}, by no call")


def folds(ledger: Ledger) -> Iterator[Violation]:
    """An update's status is its last event's, each event may follow the one before, and time does not go backwards."""
    for row in ledger.world.updates:
        if not row.events or row.events[-1].status is not row.status:
            last = row.events[-1].status.name if row.events else "nothing"
            yield Violation("fold", row.id, f"is {row.status.name}, its last event is {last}")
        for before, after in pairwise(row.events):
            if after.status not in table.ALLOWED[before.status]:
                yield Violation("fold", row.id, f"{after.status.name} cannot follow {before.status.name}")
            if after.timestamp_ms < before.timestamp_ms:
                yield Violation("fold", row.id, f"time goes back from {before.timestamp_ms} to {after.timestamp_ms}")
