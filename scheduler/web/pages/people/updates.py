"""/updates: all of them; /scheduler/{role}/{env}/{job}/update/{id}: one, with why it does not move."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from scheduler.core.answers import Answer
from scheduler.core.policy import Policy
from scheduler.core.state import State
from scheduler.core.transaction import Clocks
from scheduler.core.updates.explain import explained, span
from scheduler.core.updates.records import (
    BatchStrategy,
    JobUpdate,
    Phase,
    QueueStrategy,
    Range,
    Strategy,
    UpdateKey,
    to_ranges,
)
from scheduler.core.updates.status import TERMINAL_UPDATE_STATES
from scheduler.web.pages.people.layout import ELSEWHERE, job_path, page, section, sentence, trail, update_link, utc
from scheduler.web.pages.writing import Link

REFRESH_S: Final = 5
"""An update that is under way is shown anew so often."""
MOST_LISTED: Final = 500
MOST_EVENTS: Final = 500
"""Of instances: the latest."""

COLUMNS: Final = ("update", "status", "since (UTC)", "by", "begun (UTC)")

Row = tuple[object, ...]


def listed(state: State, policy: Policy) -> Answer:
    """Updates that are under way, then those that have ended; the latest begun first."""
    columns = ("job", *COLUMNS)
    under_way, known = list(reversed(state.updates.active.values())), list(state.updates.values())
    ended = (update for update in reversed(known) if update.status in TERMINAL_UPDATE_STATES)
    return Answer(
        result=page(
            "Updates",
            ELSEWHERE,
            section(_heading("Under way", len(under_way)), columns, map(_with_job, under_way[:MOST_LISTED])),
            section("Ended", columns, map(_with_job, islice(ended, MOST_LISTED))),
        )
    )


def update(state: State, policy: Policy, clocks: Clocks, key: UpdateKey) -> Answer:
    """One update: why it is as it is, what it was told, and what happened. None: there is none."""
    found = state.updates.get(key)
    if found is None:
        return Answer()
    why = explained(state, policy, clocks, found)
    phases: dict[Phase, list[int]] = {}
    for instance, progress in state.progress.tally(key).rows.items():
        phases.setdefault(progress.phase, []).append(instance)
    waiting = (
        (one.instance, "no task" if one.status is None else one.status.name, utc(one.since_ms), one.reason)
        for one in why.waiting
    )
    stand = ((phase.name, ranges_text(to_ranges(phases[phase]))) for phase in sorted(phases))
    remarks = ((utc(r.timestamp_ms), r.user, r.message) for r in why.remarks)
    events = ((utc(e.timestamp_ms), e.status.name, e.user or "", e.message or "") for e in found.events)
    moves = (
        (utc(e.timestamp_ms), e.instance_id, e.action.name, e.message or "")
        for e in reversed(found.instance_events[-MOST_EVENTS:])
    )
    return Answer(
        result=page(
            f"{key.job} {key.id}",
            trail(key.job),
            sentence(f"{found.status.name}. {why.sentence}"),
            section("Instances", ("are", "which"), stand),
            section("Waited for", ("instance", "status", "since (UTC)", "why"), waiting),
            section("Told", ("setting", "value"), _told(found)),
            section("History", ("at (UTC)", "status", "by", "message"), events),
            section("Beside it", ("at (UTC)", "by", "what"), remarks),
            section(
                _heading("Instances' history, the latest first", len(found.instance_events), MOST_EVENTS),
                ("at (UTC)", "instance", "what", "message"),
                moves,
            ),
            refresh_s=0 if found.status in TERMINAL_UPDATE_STATES else REFRESH_S,
        )
    )


def _told(update: JobUpdate) -> Iterator[Row]:
    settings = update.settings
    yield "by", update.user
    yield "strategy", _strategy_text(settings.strategy)
    yield "an instance is watched for", span(settings.min_wait_in_instance_running_ms)
    yield "failures of one instance that are taken", settings.max_per_instance_failures
    yield "failed instances that are taken", settings.max_failed_instances
    yield "after more than that", "rolls back" if settings.rollback_on_failure else "fails"
    if update.is_coordinated:
        yield "wants a heartbeat every", span(settings.pulse_timeout_ms)
    if settings.update_only_these_instances:
        yield "only the instances", ranges_text(settings.update_only_these_instances)
    if settings.sla_aware:
        yield "keeps to the SLA", "yes"
    for one in update.metadata:
        yield one.key, one.value


def _strategy_text(strategy: Strategy) -> str:
    if isinstance(strategy, QueueStrategy):
        return f"{strategy.group_size} at a time"
    if isinstance(strategy, BatchStrategy):
        text = f"batches of {strategy.group_size}"
    else:
        text = f"batches of {', '.join(map(str, strategy.group_sizes))}"
    return f"{text}, with a pause after each" if strategy.autopause_after_batch else text


def ranges_text(ranges: Iterable[Range]) -> str:
    return ", ".join(str(r.first) if r.first == r.last else f"{r.first}-{r.last}" for r in ranges)


def row_of(update: JobUpdate) -> Row:
    since = utc(update.events[-1].timestamp_ms)
    return update_link(update.key), update.status.name, since, update.user, utc(update.created_ms)


def _with_job(update: JobUpdate) -> Row:
    return Link(job_path(update.key.job), str(update.key.job)), *row_of(update)


def _heading(text: str, count: int, most: int = MOST_LISTED) -> str:
    return text if count <= most else f"{text} ({most} of {count})"
