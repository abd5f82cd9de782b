"""What is said about an update from outside its history: a monitor's "wait", an override, a timed pause.

Aurora's history has no place for these, so they stand beside it, durable, and every leader knows them. `after` says
what is left of them when the update comes to another status: nothing outlives what it was said about.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen


@frozen
class Hold:
    """A monitor said WAIT: nothing starts until it says PROCEED. `recorded_ms`: when this reason was written down."""

    reason: str
    link: str
    source: str
    since_ms: int
    recorded_ms: int


@frozen
class Override:
    """Until then the heartbeat does not gate the update: a person answers for it."""

    until_ms: int
    user: str
    reason: str


@frozen
class Pause:
    """What the history cannot say of a hard pause: that it ends by itself (`until_ms`; 0: it does not), and who last
    asked for it and why, when it was paused already."""

    until_ms: int
    user: str
    reason: str
    since_ms: int


@frozen
class Notes:
    hold: Hold | None = None
    override: Override | None = None
    pause: Pause | None = None
    progress_used_ms: int = 0
    """How much of its progress deadline an update had used when its clock last stood still."""
    progress_from_ms: int = 0
    """Since when that clock runs; 0: it stands, or there is no deadline."""

    @property
    def latest_ms(self) -> int:
        """The latest past instant that is noted."""
        said_ms = 0 if self.hold is None else self.hold.recorded_ms
        paused_ms = 0 if self.pause is None else self.pause.since_ms
        return max(said_ms, paused_ms, self.progress_from_ms)


NO_NOTES: Final = Notes()


@frozen
class Remark:
    """Something that was done to an update and that left its status as it was, so that Aurora's history has no event
    for it. `user` empty: nobody did it, it came about."""

    timestamp_ms: int
    user: str
    message: str


MONITOR_SAYS: Final = "Monitor says"
"""How a sentence begins that a monitor's verdict causes."""
MOST_REMARKS: Final = 200
"""Kept for an update, the newest: whoever asks again and again must not make it grow."""


def with_remark(remarks: tuple[Remark, ...], last: Remark) -> tuple[Remark, ...]:
    """When there are too many, what a monitor said is forgotten before what a person did."""
    if len(remarks) < MOST_REMARKS:
        return (*remarks, last)
    oldest = next((at for at, one in enumerate(remarks) if one.message.startswith(MONITOR_SAYS)), 0)
    return (*remarks[:oldest], *remarks[oldest + 1 :], last)


@frozen
class Beat:
    """What the last heartbeats of one monitor said, as far as this leader heard them. Never stored."""

    reason: str = ""
    link: str = ""
    source: str = ""
    said_wait: bool = False
    streak: int = 0
    """PROCEEDs in a row, counted while the update waits."""


NO_BEAT: Final = Beat()
