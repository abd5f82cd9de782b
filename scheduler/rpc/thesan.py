"""Thesan's own calls: like the rows of `handler.py`, but answered with structs of `thrift/thesan.thrift`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from scheduler.contracts import Ticket
from scheduler.core.answers import Answer, Code
from scheduler.core.cron import requests as cron
from scheduler.core.updates import expiring, explain, rehearsal, replay, set_aside, verdicts
from scheduler.rpc.from_thrift.heartbeats import heartbeat, heartbeats
from scheduler.rpc.from_thrift.keys import instance_ids, job_key, message, update_key
from scheduler.rpc.from_thrift.updates import update_request
from scheduler.rpc.port import Core
from scheduler.rpc.to_thrift import cron_jobs, events, explained, heartbeats as standings, rehearsals, update_answers

__all__ = ["METHODS", "as_struct", "is_own"]

Method = Callable[[Any, Core, str], Ticket]


def _heartbeat(args: Any, core: Core, user: str) -> Ticket:
    return core.write(verdicts.heartbeat, heartbeat(args.heartbeat), user)


def _heartbeat_many(args: Any, core: Core, user: str) -> Ticket:
    return core.write(verdicts.heartbeats, heartbeats(args.heartbeats), user)


def _explain_update(args: Any, core: Core, user: str) -> Ticket:
    return core.read_now(explain.explain, update_key(args.key))


def _pause_for(args: Any, core: Core, user: str) -> Ticket:
    key = update_key(args.key)
    return core.write(expiring.pause_for, key, args.durationMs or 0, user, message(args.message))


def _override(args: Any, core: Core, user: str) -> Ticket:
    return core.write(expiring.override, update_key(args.key), args.durationMs or 0, user, message(args.reason))


def _set_aside(decide: Callable[..., Answer]) -> Method:
    def method(args: Any, core: Core, user: str) -> Ticket:
        ids = instance_ids(args.instances)
        return core.write(decide, update_key(args.key), ids, user, message(args.reason))

    return method


def _show_cron_job(args: Any, core: Core, user: str) -> Ticket:
    return core.read(cron.show, job_key(args.job))


def _simulate(args: Any, core: Core, user: str) -> Ticket:
    return core.write(rehearsal.rehearse, update_request(args.request), user)


def _replay(args: Any, core: Core, user: str) -> Ticket:
    return core.read_logged(replay.replay, update_key(args.key))


def _watch_events(args: Any, core: Core, user: str) -> Ticket:
    """Only where nobody follows the log; otherwise `handler.py` answers, which can wait."""
    why = "Events cannot be followed here."
    return Ticket(core.durable_offset, Answer(Code.ERROR_TRANSIENT, (why,)))


METHODS: Final[dict[str, Method]] = {
    "heartbeat": _heartbeat,
    "heartbeatMany": _heartbeat_many,
    "explainUpdate": _explain_update,
    "pauseJobUpdateFor": _pause_for,
    "overrideHeartbeat": _override,
    "retryInstances": _set_aside(set_aside.retry),
    "skipInstances": _set_aside(set_aside.skip),
    "showCronJob": _show_cron_job,
    "simulateUpdate": _simulate,
    "replayUpdate": _replay,
    "watchEvents": _watch_events,
}

_STRUCTS: Final[dict[str, Callable[[Answer], Any]]] = {
    "heartbeat": standings.heartbeat_answer,
    "heartbeatMany": standings.heartbeat_answers,
    "explainUpdate": explained.explanation,
    "pauseJobUpdateFor": update_answers.update_answer,
    "overrideHeartbeat": update_answers.update_answer,
    "retryInstances": update_answers.update_answer,
    "skipInstances": update_answers.update_answer,
    "showCronJob": cron_jobs.cron_job,
    "simulateUpdate": rehearsals.simulation,
    "replayUpdate": rehearsals.replay,
    "watchEvents": events.event_batch,
}
"""Method -> how its answer is written: every answer, a refusal too, which has no result."""


def is_own(method: str) -> bool:
    return method in METHODS


def as_struct(method: str, answer: Answer) -> Any:
    """The answer to one of our own methods, as the struct it returns."""
    return _STRUCTS[method](answer)
