"""Making a failing script short: delta debugging over its actions, after Zeller and Hildebrandt (2002).

A shorter script counts only if it breaks the same rule. Chance is drawn by name (`chance.py`), so what is left of a
script means the same without the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from attrs import evolve

from scheduler.testing.simulation.run import Report, run_script
from scheduler.testing.simulation.script import Action

T = TypeVar("T")


def shrink(report: Report, *, is_time_up: Callable[[], bool]) -> Report:
    """The report of the shortest script found that breaks the same rule. `report` must be of a failure."""
    assert report.failure is not None
    rule = report.failure.rule
    best = [report]

    def fails(actions: tuple[Action, ...]) -> bool:
        again = run_script(evolve(best[0].script, actions=actions))
        if again.failure is None or again.failure.rule != rule:
            return False
        best[0] = again
        return True

    # Nothing after the failure is needed: the run ended there.
    if fails(report.script.actions):
        fewest(best[0].script.actions, fails, is_time_up=is_time_up)
    return best[0]


def fewest(items: tuple[T, ...], fails: Callable[[tuple[T, ...]], bool], *, is_time_up: Callable[[], bool]) -> None:
    """Try ever shorter selections of `items`; `fails` keeps the last that did. Ends when no single one can go."""
    parts = 2
    while len(items) >= 1 and not is_time_up():
        size = max(1, len(items) // parts)
        for first in range(0, len(items), size):
            if is_time_up():
                return
            rest = items[:first] + items[first + size :]
            if fails(rest):
                items, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                return
            parts = min(len(items), parts * 2)
