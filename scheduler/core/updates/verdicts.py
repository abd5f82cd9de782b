"""Heartbeats that say why: PROCEED, WAIT, PAUSE, ROLL_BACK, ABORT, with a reason, a link and who says so.

Every verdict shows that the monitor is alive. PROCEED is Aurora's pulse. WAIT is soft: the next PROCEED lifts it. PAUSE
is hard: a person lifts it, so no verdict does, except that ROLL_BACK turns an update that was paused on its way
forward. A verdict never refuses because of what its reason looks like: an alert must not be lost to a long line.

Source of the rules: `docs/monitors.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum
from itertools import takewhile
from typing import Final

import attrs
from attrs import frozen

from scheduler.core.answers import Answer, Code, Refused, invalid
from scheduler.core.policy import MINUTE_MS
from scheduler.core.transaction import Transaction
from scheduler.core.updates import pulses, requests, status as table
from scheduler.core.updates.beating import forget_streak, proceed
from scheduler.core.updates.notes import MONITOR_SAYS, NO_BEAT, Hold, Pause
from scheduler.core.updates.noting import annotate, remark
from scheduler.core.updates.records import JobUpdate, UpdateKey, UpdateStatus
from scheduler.core.updates.standing import Outcome, Standing, standing
from scheduler.core.updates.updater import block, move
from scheduler.core.validation import require_update_key
from scheduler.visible import visible

MOST_AT_ONCE: Final = 1000
"""Heartbeats in one call: it is one decision."""
_LENGTHS: Final = (512, 256, 128)
"""The most characters of reason, link and source that are kept."""
_SAYS_WAIT: Final = f"{MONITOR_SAYS} wait"


class MonitorVerdict(IntEnum):
    """What a monitor says; names and numbers are those of `HeartbeatVerdict` in `thrift/thesan.thrift`."""

    PROCEED = 1
    WAIT = 2
    PAUSE = 3
    ROLL_BACK = 4
    ABORT = 5


@frozen
class Heartbeat:
    key: UpdateKey
    verdict: MonitorVerdict
    reason: str = ""
    link: str = ""
    source: str = ""

    def sentence(self) -> str:
        """`Monitor says wait: errors above 1% (probe) http://example.com/graph`."""
        word = self.verdict.name.lower().replace("_", " ")
        text = f"{MONITOR_SAYS} {word}{f': {self.reason}' if self.reason else ''}"
        return " ".join(filter(None, (text, f"({self.source})" if self.source else "", self.link)))


@frozen
class Standings:
    """What each of several heartbeats is answered, in their order."""

    answers: tuple[Answer, ...]


def heartbeat(tx: Transaction, told: Heartbeat, user: str) -> Answer:
    """Take one heartbeat; the answer says where the update stands afterwards."""
    require_update_key(told.key)
    update = tx.state.updates.get(told.key)
    if update is None:
        ended = Standing(Outcome.FINISHED, None)
        return Answer(Code.INVALID_REQUEST, (f"Update does not exist {told.key}: the monitor may stop",), ended)
    if update.status not in table.TERMINAL_UPDATE_STATES:
        told = _cut(told)
        _remember(tx, update, told)
        _VERDICTS[told.verdict](tx, update, told, user)
    return Answer(result=standing(tx.state, tx.clocks, tx.state.updates[told.key]))


def heartbeats(tx: Transaction, told: Iterable[Heartbeat | Answer], user: str) -> Answer:
    """Each heartbeat for itself: one that is refused takes nothing from the others. An Answer among them: that one was
    refused before it came here."""
    answers: list[Answer] = []
    for one in told:
        if len(answers) == MOST_AT_ONCE:
            raise Refused(invalid(f"heartbeats: more than {MOST_AT_ONCE}; send them in several calls"))
        before = tx.savepoint()
        try:
            answers.append(one if isinstance(one, Answer) else heartbeat(tx, one, user))
        except Refused as refused:
            tx.rollback(before)
            answers.append(refused.answer)
    return Answer(result=Standings(tuple(answers)))


def _cut(told: Heartbeat) -> Heartbeat:
    """One line each, and not longer than a history should hold."""
    reason, link, source = map(_line, (told.reason, told.link, told.source), _LENGTHS)
    return attrs.evolve(told, reason=reason, link=link, source=source)


def _line(text: str, most: int) -> str:
    text = visible(" ".join(text.split()))
    return text if len(text) <= most else text[: most - 1] + "…"


def _remember(tx: Transaction, update: JobUpdate, told: Heartbeat) -> None:
    beat = tx.state.beats.get(update.key) or NO_BEAT
    waits = told.verdict is MonitorVerdict.WAIT
    new = attrs.evolve(beat, reason=told.reason, link=told.link, source=told.source, said_wait=waits)
    if new != beat:
        tx.state.replace(tx.state.beats, update.key, new)


def _heard(tx: Transaction, update: JobUpdate) -> None:
    """The monitor is alive, whatever it says."""
    tx.state.replace(tx.state.pulses, update.key, tx.mono_ms)
    forget_streak(tx, update)


def _proceed(tx: Transaction, update: JobUpdate, told: Heartbeat, user: str) -> None:
    proceed(tx, update)


def _wait(tx: Transaction, update: JobUpdate, told: Heartbeat, user: str) -> None:
    _heard(tx, update)
    hold = update.notes.hold
    said = told.reason, told.link, told.source
    is_new = hold is None or (
        said != (hold.reason, hold.link, hold.source) and tx.now_ms - hold.recorded_ms >= MINUTE_MS
    )
    if is_new:
        since_ms = tx.now_ms if hold is None else hold.since_ms
        update = annotate(tx, update, hold=Hold(*said, since_ms, tx.now_ms))
    if update.status in table.ROLLING_STATES and not pulses.is_open(tx.state, update, tx.clocks):
        block(tx, update, told.sentence())
    elif is_new and not _was_remarked(tx, update):
        remark(tx, update.key, user, told.sentence())


def _was_remarked(tx: Transaction, update: JobUpdate) -> bool:
    """Is there a WAIT of the last minute on record? A monitor that toggles while it is paused shall not fill that."""
    remarks = reversed(tx.state.remarks.get(update.key) or ())
    lately = takewhile(lambda one: tx.now_ms - one.timestamp_ms < MINUTE_MS, remarks)
    return any(one.message.startswith(_SAYS_WAIT) for one in lately)


def _pause(tx: Transaction, update: JobUpdate, told: Heartbeat, user: str) -> None:
    _heard(tx, update)
    update = annotate(tx, update, hold=None)  # "wait" was less than "pause": the person who resumes lifts both
    if update.status in table.PAUSED_STATES:
        asked = Pause(0, user, told.sentence(), tx.now_ms)
        before = update.notes.pause
        if before is None or (before.until_ms, before.reason) != (0, asked.reason):
            annotate(tx, update, pause=asked)
            remark(tx, update.key, user, told.sentence())
        return
    paused = table.pause(update.status)
    assert paused is not None
    move(tx, update, paused, user=user, message=told.sentence())


def _roll_back(tx: Transaction, update: JobUpdate, told: Heartbeat, user: str) -> None:
    _heard(tx, update)
    if update.status is UpdateStatus.ROLL_BACK_PAUSED:
        return  # it is turned already, and a person stopped it
    update = annotate(tx, update, hold=None)
    requests.transition(tx, update, UpdateStatus.ROLLING_BACK, user, told.sentence())


def _abort(tx: Transaction, update: JobUpdate, told: Heartbeat, user: str) -> None:
    requests.transition(tx, update, UpdateStatus.ABORTED, user, told.sentence())


_VERDICTS: Final[dict[MonitorVerdict, Callable[[Transaction, JobUpdate, Heartbeat, str], None]]] = {
    MonitorVerdict.PROCEED: _proceed,
    MonitorVerdict.WAIT: _wait,
    MonitorVerdict.PAUSE: _pause,
    MonitorVerdict.ROLL_BACK: _roll_back,
    MonitorVerdict.ABORT: _abort,
}
