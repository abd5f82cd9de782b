"""The moment of a decision: recorded time, which neither goes back nor stands still, and the clock that never jumps.

The wall's clock can be set back, by hand or by the network. What was recorded before then lies in the future, and
whoever asks how long ago it was (a watch window, a kill, a penalty) would wait until the wall has caught up. So
recorded time goes on at the pace of the other clock as long as the wall is behind it; from one leader to the next the
log carries it over.
"""

from __future__ import annotations

from scheduler.contracts import Clock
from scheduler.core.state import State
from scheduler.core.transaction import Clocks


class Moments:
    """Reads both clocks for one leader."""

    def __init__(self, clock: Clock, state: State) -> None:
        self._clock = clock
        self._last = Clocks(_recorded_until_ms(state), clock.mono_ms())

    def take(self) -> Clocks:
        mono_ms = self._clock.mono_ms()
        gone_on_ms = self._last.now_ms + mono_ms - self._last.mono_ms
        self._last = Clocks(max(self._clock.wall_ms(), gone_on_ms), mono_ms)
        return self._last


def _recorded_until_ms(state: State) -> int:
    """The latest instant any history names; 0: there is none."""
    tasks = max((task.latest_event_ms for task in state.tasks.values()), default=0)
    updates = max((update.last_modified_ms for update in state.updates.values()), default=0)
    notes = max((update.notes.latest_ms for update in state.updates.active.values()), default=0)
    remarks = max((remarks[-1].timestamp_ms for remarks in state.remarks.values()), default=0)
    return max(tasks, updates, notes, remarks)
