"""What is done in a drill, deed by deed, and what is remembered of it for the verdict."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from scheduler.core.updates.records import UpdateStatus
from scheduler.core.updates.status import AWAITING_PULSE_STATES, TERMINAL_UPDATE_STATES
from scheduler.testing.drills.doors import Answers
from scheduler.testing.drills.place import Node, Place
from scheduler.testing.drills.rolling import PULSE_TIMEOUT_MS, Rolling
from scheduler.testing.drills.scenarios import Deed, Step
from scheduler.testing.drills.timeline import Moment, Timeline
from scheduler.testing.drills.verdict import Gate
from scheduler.testing.drills.watch import Role, Watch
from scheduler.testing.history.recorder import Recorder

__all__ = ["Deeds"]

PATIENCE_S: Final = 30.0
LOOK_EVERY_S: Final = 0.05


class Deeds:
    """Use as a context."""

    def __init__(self, place: Place, watch: Watch, say: Callable[[str], None]) -> None:
        self.timeline = Timeline()
        self.recorder = Recorder()
        self.answers = Answers()
        self.victim: Node
        self.epoch = 0
        """In which the victim led."""
        self.takeover_s: float | None = None
        self.parts: list[tuple[float, float]] = []
        """Beginning and end of each part in which clients could work."""
        self._place, self._watch, self._say = place, watch, say
        self._rolling = Rolling(place.nodes, watch, self.recorder, self.answers)
        self._fault_at = 0.0
        self._cut_ms = self._healed_ms = 0
        self._paused = False
        self._status: UpdateStatus | None = None
        self._do: dict[Deed, Callable[[], None]] = {
            Deed.KILL: lambda: self._strike(place.kill, "killed (kill -9)"),
            Deed.RESTART: lambda: self._relieve(place.restart, "started again"),
            Deed.FREEZE: lambda: self._strike(place.freeze, "frozen (SIGSTOP)"),
            Deed.THAW: lambda: self._relieve(place.thaw, "wakes up (SIGCONT)"),
            Deed.CUT_ZOOKEEPER: lambda: self._strike(place.cut_zookeeper, "cut off from ZooKeeper"),
            Deed.HEAL_ZOOKEEPER: lambda: self._relieve(place.heal_zookeeper, "reaches ZooKeeper again"),
            Deed.AWAIT_TAKEOVER: self._await_takeover,
            Deed.AWAIT_STANDBY: self._await_standby,
            Deed.ROLL: self._roll,
            Deed.CUT_MONITOR: self._cut_monitor,
            Deed.AWAIT_PAUSE: self._await_pause,
            Deed.HEAL_MONITOR: self._heal_monitor,
            Deed.AWAIT_ARRIVAL: self._await_arrival,
        }

    def __enter__(self) -> Deeds:
        return self

    def __exit__(self, *error: object) -> None:
        self._rolling.__exit__(*error)

    def begin(self) -> None:
        """Who leads now is the victim of all that follows."""
        self.victim, self.epoch = self.leader()
        self.note(f"leads in epoch {self.epoch}", self.victim)

    def do(self, step: Step) -> None:
        """Raises TimeoutError when what is waited for does not come."""
        if step.deed is Deed.WORK:
            began = time.monotonic()
            time.sleep(step.seconds)
            self.parts.append((began, time.monotonic()))
        else:
            self._do[step.deed]()

    def leader(self) -> tuple[Node, int]:
        """Who leads, and in which epoch; waits for one. Raises TimeoutError."""
        self._until(lambda: self._watch.leader() is not None, "somebody leads")
        found = self._watch.leader()
        assert found is not None
        return found

    def gate(self) -> Gate | None:
        """What the watched update did; None where there was none."""
        if not self._cut_ms:
            return None
        begun_ms = self._rolling.instances_begun_ms()
        return Gate(self._cut_ms, self._healed_ms, PULSE_TIMEOUT_MS, begun_ms, self._paused, self._status)

    def note(self, sentence: str, node: Node | None = None, *, is_fault: bool = False) -> Moment:
        name = "" if node is None else node.name
        moment = self.timeline.note(sentence, name, is_fault=is_fault)
        self._say(f"{self.timeline.since(moment.at):6.2f} s  {name + ' ' if name else ''}{sentence}")
        return moment

    def _until(self, holds: Callable[[], bool], what: str) -> None:
        give_up_at = time.monotonic() + PATIENCE_S
        while not holds():
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"not within {PATIENCE_S:g} s: {what}\n{self._place.last_words()}")
            time.sleep(LOOK_EVERY_S)

    # --- the leader ---

    def _strike(self, fault: Callable[[Node], None], sentence: str) -> None:
        self._fault_at = self.note(sentence, self.victim, is_fault=True).at
        fault(self.victim)

    def _relieve(self, relief: Callable[[Node], None], sentence: str) -> None:
        relief(self.victim)
        self.note(sentence, self.victim)

    def _await_takeover(self) -> None:
        def taken_over() -> bool:
            found = self._watch.leader()
            return found is not None and found[1] > self.epoch

        self._until(taken_over, f"another one leads after epoch {self.epoch}")
        self.takeover_s = time.monotonic() - self._fault_at
        node, epoch = self.leader()
        self.note(f"leads in epoch {epoch}, {self.takeover_s:.1f} s after the fault", node)

    def _await_standby(self) -> None:
        self._until(lambda: self._watch.role_of(self.victim) is Role.STANDBY, f"{self.victim.name} follows")
        self.note("follows", self.victim)

    # --- the monitor ---

    def _roll(self) -> None:
        self._rolling.start()
        self.note("an update begins; its monitor says go on")

    def _cut_monitor(self) -> None:
        self._cut_ms = _wall_ms()
        self.note("the monitor is cut off from all schedulers", is_fault=True)
        self._rolling.cut()

    def _await_pause(self) -> None:
        self._until(lambda: self._rolling.status() in AWAITING_PULSE_STATES, "the update waits for a heartbeat")
        self._paused = True
        self.note("the update waits for a heartbeat")

    def _heal_monitor(self) -> None:
        self._healed_ms = _wall_ms()
        self._rolling.heal()
        self.note("the monitor is heard again")

    def _await_arrival(self) -> None:
        self._until(lambda: self._rolling.status() in TERMINAL_UPDATE_STATES, "the update has ended")
        self._status = self._rolling.status()
        self.note("the update has ended" if self._status is None else f"the update is {self._status.name}")


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000
