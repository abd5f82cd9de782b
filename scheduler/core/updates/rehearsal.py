"""What an update would do, without doing it: it is started for real, looked at, and all of that is undone.

So a rehearsal is refused for exactly the reasons a start is, and its groups are what the strategy gives.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from scheduler.core.answers import Answer, Refused
from scheduler.core.queries import StartedUpdate, UpdateRequest
from scheduler.core.transaction import Transaction
from scheduler.core.updates import requests
from scheduler.core.updates.plan import Plan
from scheduler.core.updates.records import JobUpdate, QueueStrategy, Range, to_ranges
from scheduler.core.updates.strategies import Counts, next_group_size, pauses_between_groups
from scheduler.core.updates.updater import plan_of


@frozen
class Group:
    """Instances whose turn comes together. `sentence` says what becomes of them."""

    instances: tuple[Range, ...]
    sentence: str


@frozen
class Rehearsal:
    groups: tuple[Group, ...]
    sentences: tuple[str, ...]
    if_pulses_stopped: str


def rehearse(tx: Transaction, request: UpdateRequest, user: str) -> Answer:
    """Never changes anything: whatever comes of it is raised, so that the decision is undone."""
    answer = requests.start(tx, request, user, None)
    if not answer.ok or not isinstance(answer.result, StartedUpdate):
        raise Refused(answer)
    update = tx.state.updates[answer.result.key]
    plan = plan_of(tx, update)
    groups = tuple(Group(to_ranges(ids), _group_sentence(plan, ids)) for ids in _groups(update, plan))
    raise Refused(Answer(result=Rehearsal(groups, tuple(_sentences(update, plan, groups)), _if_stopped(tx, update))))


def _groups(update: JobUpdate, plan: Plan) -> Iterator[tuple[int, ...]]:
    """As if every instance of a group were done before the next begins; of a queue, one group is all at one time."""
    order, started = plan.forward_order, 0
    while started < len(order):
        size = next_group_size(update.settings.strategy, Counts(len(order), started, 0), back=False)
        yield order[started : started + size]
        started += size


def _group_sentence(plan: Plan, ids: tuple[int, ...]) -> str:
    parts = (
        ("create", [i for i in ids if i not in plan.initial]),
        ("replace", [i for i in ids if i in plan.initial and i in plan.desired]),
        ("remove", [i for i in ids if i not in plan.desired]),
    )
    return ", ".join(f"{verb} {named(rows)}" for verb, rows in parts if rows)


def named(ids: list[int]) -> str:
    return ", ".join(str(r.first) if r.first == r.last else f"{r.first}-{r.last}" for r in to_ranges(ids))


def _sentences(update: JobUpdate, plan: Plan, groups: tuple[Group, ...]) -> Iterator[str]:
    settings, wishes = update.settings, update.wishes
    total = len(plan.forward_order)
    if update.is_coordinated:
        yield "Nothing starts before the first heartbeat."
    if isinstance(settings.strategy, QueueStrategy):
        yield f"{total} instances, up to {settings.strategy.group_size} in progress at any time."
    else:
        yield f"{total} instances in {len(groups)} groups, one after another."
    if pauses_between_groups(settings.strategy):
        yield "It pauses after each group until a person resumes it."
    yield f"An instance is done when it has been RUNNING for {settings.min_wait_in_instance_running_ms / 1000:g} s."
    end = "the update rolls back" if settings.rollback_on_failure else "the update fails"
    failed = settings.max_failed_instances + 1
    yield (
        f"An instance fails at exit {settings.max_per_instance_failures + 1}; "
        f"when {failed} {'has' if failed == 1 else 'have'} failed, {end}."
    )
    if settings.sla_aware:
        yield "A task is ended only when its SLA policy lets it go; until then it keeps its place in its group."
    if wishes.progress_deadline_ms:
        end = {"fail": "it fails", "roll_back": "it rolls back", "pause": "it is paused"}[wishes.progress_action.value]
        yield f"When nothing moves for {wishes.progress_deadline_ms / 1000:g} s while it rolls, {end}."


def _if_stopped(tx: Transaction, update: JobUpdate) -> str:
    if not update.is_coordinated:
        return "No heartbeat gates it: it would go on."
    timeout_ms = update.settings.pulse_timeout_ms
    grace_s = tx.policy.pulse_grace_ms(timeout_ms) / 1000
    back = "; a rollback would go on without" if update.wishes.rollback_gate_open else ", on its way back too"
    many = update.wishes.proceeds_to_resume
    lifts = "the next heartbeat lifts that" if many == 1 else f"{many} heartbeats in a row lift that"
    return (
        f"If heartbeats stopped now, it would not begin. If they stop while it rolls, nothing starts from "
        f"{timeout_ms / 1000:g} s after the last one{back}; at the latest {grace_s:g} s later that is in its history, "
        f"and {lifts}. What runs keeps running."
    )
