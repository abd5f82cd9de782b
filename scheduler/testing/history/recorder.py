"""What clients write their calls down with. Safe for threads."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Any

from attrs import evolve, frozen

from scheduler.interface import aurora
from scheduler.testing.cluster import BROKEN
from scheduler.testing.history.records import FOREVER, Call, Heard, History, Kind, Sighting

__all__ = ["Recorder", "Said", "blank"]


@frozen
class Said:
    """A call as it was written down, and its Response; None when no answer came."""

    call: Call
    response: Any


class Recorder:
    """Collects calls and sightings of all clients. `clock` is any that never goes back and that all of them share."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._calls: list[Call] = []
        self._sightings: list[Sighting] = []
        self._tokens = 0

    def token(self, prefix: str = "c") -> str:
        """One that nobody else has."""
        with self._lock:
            self._tokens += 1
            return f"{prefix}-{self._tokens}"

    def call(self, call: Call, ask: Callable[[], Any]) -> Said:
        """Ask, and write down what was heard; `call` has everything but that, and its times."""
        began = self._clock()
        response: Any = None
        try:
            response = ask()
            heard, answer, no_effect = _understood(response)
            ended = self._clock()
        except BROKEN as broken:
            heard, answer, no_effect, ended = Heard.UNKNOWN, repr(broken), False, FOREVER
        done = evolve(call, began=began, ended=ended, heard=heard, answer=answer, no_effect=no_effect)
        with self._lock:
            self._calls.append(done)
        return Said(done, response)

    def looked(self, token: str, look: Callable[[], bool]) -> bool | None:
        """Look for what a startJobUpdate made, and write down what was seen; None when no answer came."""
        began = self._clock()
        try:
            found = look()
        except BROKEN:
            return None
        with self._lock:
            self._sightings.append(Sighting(token, began, self._clock(), found))
        return found

    def counts(self) -> dict[Heard, int]:
        """How many calls so far, by what was heard."""
        with self._lock:
            heard = [call.heard for call in self._calls]
        return {one: heard.count(one) for one in Heard}

    def acknowledged_between(self, instants: Iterable[float]) -> list[int]:
        """How many calls were acknowledged before the first of these instants, between each two, and after the last."""
        edges = sorted(instants)
        found = [0] * (len(edges) + 1)
        with self._lock:
            for call in self._calls:
                if call.heard is Heard.ACKNOWLEDGED:
                    found[bisect_right(edges, call.ended)] += 1
        return found

    def history(self, deaths: Iterable[float] = ()) -> History:
        """All of it. `deaths`: when the only scheduler there was died; nothing it had in hand can happen after that."""
        edges = sorted(deaths)
        with self._lock:
            calls = tuple(_until_death(call, edges) for call in self._calls)
            return History(calls, tuple(self._sightings))


def _understood(response: Any) -> tuple[Heard, str, bool]:
    code = response.responseCode
    said = "; ".join(detail.message or "" for detail in response.details or ())
    ok = code == aurora.ResponseCode.OK
    name = aurora.ResponseCode._VALUES_TO_NAMES.get(code, code)
    # An OK that says something says that there was nothing to do.
    return (Heard.ACKNOWLEDGED if ok else Heard.REFUSED), f"{name} {said}".strip(), ok and bool(said)


def _until_death(call: Call, deaths: list[float]) -> Call:
    if call.heard is not Heard.UNKNOWN:
        return call
    following = bisect_right(deaths, call.began)
    return evolve(call, ended=deaths[following]) if following < len(deaths) else call


def blank(token: str, kind: Kind, job: str, **more: Any) -> Call:
    """A call that is about to be made."""
    return Call(token=token, kind=kind, job=job, began=0, heard=Heard.UNKNOWN, **more)
