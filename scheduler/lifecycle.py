"""The life of one scheduler, as data. No I/O: `leadership/leading.py` feeds inputs and does what the state asks for.

Theory. A scheduler is a standby until it is elected; it claims the epoch, takes over (reads, rebuilds, begins) and
leads. When its store cannot be reached it is suspended: nothing is decided, nothing answered from state, nothing lost.
It resumes if it is back in time with no newer epoch, otherwise it is deposed: memory and timers go, and it is a standby
again, in the same process. Embedded mode is the same life with an election that is always won.

`ANSWERS` says which states answer requests from state; in all others a request gets ERROR_TRANSIENT.
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class Stage(Enum):
    STANDBY = "standby"
    TAKING_OVER = "taking over"
    LEADING = "leading"
    SUSPENDED = "suspended"
    STOPPING = "stopping"


class Input(Enum):
    ELECTED = "elected"
    EPOCH_BEGUN = "epoch begun"
    STORE_LOST = "store lost"
    STORE_BACK = "store back"
    DEPOSED = "deposed"
    STOP_ASKED = "stop asked"


TRANSITIONS: Final[dict[Stage, dict[Input, Stage]]] = {
    Stage.STANDBY: {Input.ELECTED: Stage.TAKING_OVER, Input.STOP_ASKED: Stage.STOPPING},
    Stage.TAKING_OVER: {
        Input.EPOCH_BEGUN: Stage.LEADING,
        Input.STORE_LOST: Stage.STANDBY,
        Input.DEPOSED: Stage.STANDBY,
        Input.STOP_ASKED: Stage.STOPPING,
    },
    Stage.LEADING: {
        Input.STORE_LOST: Stage.SUSPENDED,
        Input.DEPOSED: Stage.STANDBY,
        Input.STOP_ASKED: Stage.STOPPING,
    },
    Stage.SUSPENDED: {
        Input.STORE_BACK: Stage.LEADING,
        Input.DEPOSED: Stage.STANDBY,
        Input.STOP_ASKED: Stage.STOPPING,
    },
    Stage.STOPPING: {},
}

ANSWERS: Final[dict[Stage, bool]] = {stage: stage is Stage.LEADING for stage in Stage}


class Lifecycle:
    """Where this scheduler is. An input that the table does not list changes nothing and is told so."""

    def __init__(self) -> None:
        self.stage = Stage.STANDBY

    def feed(self, what: Input) -> bool:
        """Returns whether the stage changed."""
        following = TRANSITIONS[self.stage].get(what)
        if following is None:
            return False
        self.stage = following
        return True

    @property
    def answers(self) -> bool:
        return ANSWERS[self.stage]
