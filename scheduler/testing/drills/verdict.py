"""Rules about a whole drill; those about single calls are in `scheduler.testing.history`.

| rule | what must not be |
| --- | --- |
| two leaders | an answer from the state by a scheduler of an older epoch, after one of a newer epoch had answered |
| takeover | leadership that stays where it should not, or moves too late, or without a reason |
| gate | an update that begins with an instance while its monitor is silent, or does not pause, or does not go on |
| engine | a task that the state and the engine tell differently |
| nothing tested | a part of the drill in which no call was acknowledged |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from attrs import frozen

from scheduler.contracts import TaskReport
from scheduler.core.records import TERMINAL_STATES, TaskStatus
from scheduler.core.updates.records import UpdateStatus
from scheduler.testing.drills.doors import Answered
from scheduler.testing.drills.watch import Look, Role
from scheduler.testing.history.records import Call, Heard, Violation, World

__all__ = ["Gate", "engine_agrees", "gate_held", "leadership", "longest_gap_s", "one_leader", "something_tested"]

IN_FLIGHT_MS: Final = 250
"""A heartbeat that was sent before the monitor was cut off may be heard that much later."""


def one_leader(answers: Sequence[Answered], looks: Sequence[Look]) -> Iterator[Violation]:
    """Who answered in an older epoch after a newer one had answered? Whoever leads again later is not meant."""
    terms = {(look.node, look.epoch): look.began for look in reversed(looks) if look.role is Role.LEADING}
    newest = 0
    newest_node = ""
    by_end = sorted(answers, key=lambda one: one.ended)
    ended = iter(by_end)
    upcoming = next(ended, None)
    for answer in sorted(answers, key=lambda one: one.began):
        while upcoming is not None and upcoming.ended < answer.began:
            if upcoming.epoch > newest:
                newest, newest_node = upcoming.epoch, upcoming.node
            upcoming = next(ended, None)
        if answer.epoch >= newest or answer.node == newest_node:
            continue
        later = (at for (node, epoch), at in terms.items() if node == answer.node and epoch > newest)
        if any(at < answer.ended for at in later):
            continue
        yield Violation(
            "two leaders",
            answer.node,
            f"answered in epoch {answer.epoch} after {newest_node} had answered in epoch {newest}",
        )


def leadership(
    first: tuple[str, int], last: tuple[str, int], *, moves: bool, took_s: float | None, within_s: float
) -> Iterator[Violation]:
    """`first` and `last`: who led at the beginning and at the end, and the epochs. `took_s`: to the new leader."""
    if not moves:
        if first != last:
            yield Violation("takeover", last[0], f"leads in epoch {last[1]}, and nothing had happened to {first[0]}")
        return
    if last[1] <= first[1] or last[0] == first[0]:
        yield Violation("takeover", first[0], f"still leads, in epoch {last[1]}, after what happened to it")
    elif took_s is None or took_s > within_s:
        took = "never" if took_s is None else f"after {took_s:.1f} s"
        yield Violation("takeover", last[0], f"led {took}; within {within_s:.1f} s is allowed")


@frozen
class Gate:
    """What an update did while its monitor was cut off. Milliseconds since 1970."""

    cut_ms: int
    healed_ms: int
    timeout_ms: int
    begun_ms: Sequence[int]
    """When it began with each instance."""
    paused: bool
    """Was it seen waiting for its heartbeat while the monitor was cut off?"""
    status: UpdateStatus | None
    """In the end."""


def gate_held(gate: Gate) -> Iterator[Violation]:
    silent_from_ms = gate.cut_ms + gate.timeout_ms + IN_FLIGHT_MS
    blind = [at for at in gate.begun_ms if silent_from_ms < at < gate.healed_ms]
    if blind:
        after_s = (blind[0] - gate.cut_ms) / 1000
        sentence = f"began with {len(blind)} instances in silence, the first {after_s:.1f} s after the cut"
        yield Violation("gate", "update", sentence)
    if not gate.paused:
        yield Violation("gate", "update", "did not pause while its monitor was silent")
    if gate.status is not UpdateStatus.ROLLED_FORWARD:
        status = "unknown" if gate.status is None else gate.status.name
        yield Violation("gate", "update", f"is {status} in the end, not ROLLED_FORWARD")
    if not any(at < gate.cut_ms for at in gate.begun_ms) or not any(at > gate.healed_ms for at in gate.begun_ms):
        yield Violation("nothing tested", "update", "had nothing to do before the cut, or nothing left after it")


def engine_agrees(world: World, tasks: Mapping[str, TaskReport]) -> Iterator[Violation]:
    known = {task.task_id: task for task in world.tasks}
    for task_id, report in tasks.items():
        task = known.get(task_id)
        if report.status in TERMINAL_STATES:
            continue
        if task is None:
            yield Violation("engine", task_id, f"is {report.status.name} there, and the state does not know it")
        elif task.status in TERMINAL_STATES:
            yield Violation("engine", task_id, f"is {report.status.name} there, and {task.status.name} in the state")
    for task in world.tasks:
        there = tasks.get(task.task_id)
        if task.status is TaskStatus.RUNNING and (there is None or there.status is not TaskStatus.RUNNING):
            said = "absent" if there is None else there.status.name
            yield Violation("engine", task.task_id, f"is RUNNING in the state, and {said} there")


def something_tested(calls: Sequence[Call], edges: Sequence[float]) -> Iterator[Violation]:
    """`edges`: instants between which calls must have been acknowledged."""
    for number, (begin, end) in enumerate(pairwise(edges), 1):
        if not any(call.heard is Heard.ACKNOWLEDGED and begin <= call.ended < end for call in calls):
            yield Violation("nothing tested", f"part {number}", f"no call was acknowledged in {end - begin:.1f} s")


def longest_gap_s(calls: Sequence[Call]) -> float:
    """The longest time in which no call was acknowledged."""
    instants = sorted(call.ended for call in calls if call.heard is Heard.ACKNOWLEDGED)
    return max((later - earlier for earlier, later in pairwise(instants)), default=0.0)
