"""The table of drills. A drill is a list of deeds, done one after another while clients are at work."""

from __future__ import annotations

from enum import Enum
from typing import Final

from attrs import frozen

__all__ = ["SCENARIOS", "Deed", "Scenario", "Step"]


class Deed(Enum):
    """What happens next. "The victim" is who led when the drill began."""

    WORK = "clients work"
    KILL = "the leader is killed (kill -9)"
    RESTART = "the victim is started again"
    FREEZE = "the leader is frozen (SIGSTOP)"
    THAW = "the victim wakes up (SIGCONT)"
    CUT_ZOOKEEPER = "the leader is cut off from ZooKeeper"
    HEAL_ZOOKEEPER = "the victim reaches ZooKeeper again"
    AWAIT_TAKEOVER = "another one leads"
    AWAIT_STANDBY = "the victim follows"
    ROLL = "an update begins, and a monitor says go on"
    CUT_MONITOR = "the monitor is cut off from all schedulers"
    AWAIT_PAUSE = "the update waits for a heartbeat"
    HEAL_MONITOR = "the monitor is heard again"
    AWAIT_ARRIVAL = "the update has arrived"


@frozen
class Step:
    deed: Deed
    seconds: float = 0
    """How long, for WORK."""


@frozen
class Scenario:
    """One drill. `sentence` says what it shows; `leadership_moves`: whether another scheduler must lead at the end."""

    name: str
    sentence: str
    steps: tuple[Step, ...]
    leadership_moves: bool


def _scenario(name: str, sentence: str, *steps: Deed | float, leadership_moves: bool) -> tuple[str, Scenario]:
    """A number among the steps is so many seconds of work."""
    made = tuple(Step(one) if isinstance(one, Deed) else Step(Deed.WORK, one) for one in steps)
    return name, Scenario(name, sentence, made, leadership_moves)


SCENARIOS: Final[dict[str, Scenario]] = dict(
    [
        _scenario(
            "leader-killed",
            "The leader dies at once and without a word; a standby goes on, and the dead one comes back as a standby.",
            2,
            Deed.KILL,
            Deed.AWAIT_TAKEOVER,
            1.5,
            Deed.RESTART,
            Deed.AWAIT_STANDBY,
            1,
            leadership_moves=True,
        ),
        _scenario(
            "leader-frozen",
            "The leader stands still for longer than its session and then wakes up, believing that it leads.",
            2,
            Deed.FREEZE,
            Deed.AWAIT_TAKEOVER,
            1.5,
            Deed.THAW,
            Deed.AWAIT_STANDBY,
            1,
            leadership_moves=True,
        ),
        _scenario(
            "zookeeper-cut",
            "The leader loses the network to ZooKeeper, and clients still reach it: it must stop before another leads.",
            2,
            Deed.CUT_ZOOKEEPER,
            Deed.AWAIT_TAKEOVER,
            1.5,
            Deed.HEAL_ZOOKEEPER,
            Deed.AWAIT_STANDBY,
            1,
            leadership_moves=True,
        ),
        _scenario(
            "monitor-cut",
            "The monitor of an update cannot be heard: the update pauses, touches nothing, and goes on when it can.",
            1,
            Deed.ROLL,
            1.5,
            Deed.CUT_MONITOR,
            Deed.AWAIT_PAUSE,
            3,
            Deed.HEAL_MONITOR,
            Deed.AWAIT_ARRIVAL,
            leadership_moves=False,
        ),
    ]
)
