"""What an update would do, and what it did."""

from __future__ import annotations

from typing import Any

from scheduler.core.answers import Answer
from scheduler.core.updates.rehearsal import Rehearsal
from scheduler.core.updates.replay import Replay
from scheduler.interface import thesan
from scheduler.rpc.to_thrift.heartbeats import details
from scheduler.rpc.to_thrift.keys import ranges


def simulation(answer: Answer) -> Any:
    struct = thesan.Simulation(responseCode=answer.code, details=details(answer))
    found = answer.result
    if isinstance(found, Rehearsal):
        struct.groups = [
            thesan.PlannedGroup(instances=ranges(group.instances), sentence=group.sentence) for group in found.groups
        ]
        struct.sentences = list(found.sentences)
        struct.ifPulsesStopped = found.if_pulses_stopped
    return struct


def replay(answer: Answer) -> Any:
    struct = thesan.Replay(responseCode=answer.code, details=details(answer))
    found = answer.result
    if isinstance(found, Replay):
        struct.steps = [thesan.ReplayStep(timestampMs=s.timestamp_ms, sentence=s.sentence) for s in found.steps]
        struct.endsAs = found.ends_as
        struct.matches = not found.differences
        struct.differences = list(found.differences)
    return struct
