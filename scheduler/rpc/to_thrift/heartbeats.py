"""What heartbeats are answered."""

from __future__ import annotations

from typing import Any

from scheduler.core.answers import Answer
from scheduler.core.updates.standing import Standing
from scheduler.core.updates.verdicts import Standings
from scheduler.interface import thesan


def details(answer: Answer) -> list[str]:
    """Sentences; where Aurora would send one without text there is none."""
    return [detail for detail in answer.details if detail]


def heartbeat_answer(answer: Answer) -> Any:
    struct = thesan.HeartbeatAnswer(responseCode=answer.code, details=details(answer))
    found = answer.result
    if isinstance(found, Standing):
        struct.outcome = found.outcome
        struct.status = found.status
        struct.nextWithinMs = found.next_within_ms
        struct.waitsFor = found.waits_for
        struct.pausedBy = found.paused_by
        struct.pausedWhy = found.paused_why
    return struct


def heartbeat_answers(answer: Answer) -> Any:
    found = answer.result.answers if isinstance(answer.result, Standings) else ()
    return thesan.HeartbeatAnswers(
        responseCode=answer.code, details=details(answer), answers=[heartbeat_answer(one) for one in found]
    )
