"""Why tasks wait for a host: the nearest fit among the hosts, asked a few at a time."""

from __future__ import annotations

from itertools import islice
from typing import Final

from scheduler.core.placement.fit import CONSTRAINT_SCORE, limit_veto, maintenance_veto, shortfall, vetoes
from scheduler.core.placement.memory import Group, Memory
from scheduler.core.placement.work import Work
from scheduler.core.transaction import Transaction

EXPLAIN_COST_US: Final = 60
"""A reason is made anew when so many microseconds have passed per host and waiting group, so that all explaining
together takes a small part of a processor."""
MOST_EXPLAIN_WAIT_MS: Final = 60_000
MOST_EXPLAINED: Final = 10_000
"""Reasons that are remembered for others who ask for the same."""

NO_HOSTS: Final = "No host has been offered yet"


def explain(tx: Transaction, group: Group, work: Work) -> None:
    """Ask hosts what speaks against them, and tell the nearest fit when all have been asked."""
    memory, request = tx.state.placement, group.request
    asked = (request.need, request.rules)
    known = memory.explained.get(asked) if not request.limits else None
    if known is not None and tx.mono_ms - known[0] < explained_for_ms(memory):
        group.nearest = known[1]
        group.rest = iter(())
    _ask_hosts(tx, group, work)
    if work.looks > 0:
        memory.unexplained.popleft()
        group.rest = None
        group.explained_ms = tx.mono_ms
        memory.explained[asked] = (tx.mono_ms, group.nearest)
        if len(memory.explained) > MOST_EXPLAINED:
            del memory.explained[next(iter(memory.explained))]
        if request.config in tx.state.tasks.pending:
            _tell(tx, group)


def _ask_hosts(tx: Transaction, group: Group, work: Work) -> None:
    bans, request, policy = tx.state.placement.bans, group.request, tx.policy
    banned = group.banned = bans.of(request)
    soon_ms = tx.now_ms + policy.unavailability_threshold_ms
    counts, nearest = group.counts(tx.state), group.nearest
    best = nearest[0] if nearest is not None else None
    assert group.rest is not None
    for room in islice(group.rest, work.looks):
        work.looks -= 1
        static = bans.veto(policy, banned, room, request)
        if best is not None and best < CONSTRAINT_SCORE and static is not None:
            continue
        refused = static or maintenance_veto(room.host, soon_ms) or limit_veto(room, request, counts)
        score = refused.score if refused is not None else shortfall(room, request.need)
        if score and (best is None or score < best):
            found = vetoes(room, request, static, counts, soon_ms)
            best = sum(veto.score for veto in found)
            nearest = (best, found)
    group.nearest = nearest


def explained_for_ms(memory: Memory) -> int:
    """How long a reason stands before hosts are asked again."""
    cost_ms = len(memory.rooms.by_name) * len(memory.waiting) * EXPLAIN_COST_US // 1000
    return min(cost_ms, MOST_EXPLAIN_WAIT_MS)


def _tell(tx: Transaction, group: Group) -> None:
    config, reasons = group.request.config, tx.state.pending_reasons
    why = ",".join(veto.reason for veto in group.nearest[1]) if group.nearest is not None else NO_HOSTS
    if reasons.get(config) != why:
        tx.state.replace(reasons, config, why)
        task = next(iter(tx.state.tasks.pending[config].values()))
        others = len(tx.state.tasks.pending[config]) - 1
        tx.say(task.task_id, f"stays PENDING{f', and {others} like it' if others else ''}: {why}")
