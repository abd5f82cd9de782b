"""The heart of a monitor: look, say what was found, wait for the next beat; until the update has ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from attrs import define, frozen

from scheduler.client.checks import Check
from scheduler.client.connection import Connection
from scheduler.client.errors import CommandError, Exit, Refused, Unreachable
from scheduler.client.progress import status_name
from scheduler.client.quantities import clock_text, duration_text
from scheduler.interface import aurora, thesan

RETRY_S: Final = 0.5
FRESH_S: Final = 10.0
"""What a check found is sent for so long while nobody answers; then the check looks again."""
VERDICTS: Final = dict(thesan.HeartbeatVerdict._NAMES_TO_VALUES)


@frozen
class Settings:
    """`on_failure`: a HeartbeatVerdict."""

    every_s: float
    check_timeout_s: float
    on_failure: int
    link: str
    source: str


@define
class Tally:
    """What a monitor has done. Late: when a check began, against when it was due."""

    heartbeats: int = 0
    failed_checks: int = 0
    unanswered: int = 0
    latest_ms: float = 0.0
    late_sum_ms: float = 0.0
    longest_gap_ms: float = 0.0
    """Between two heartbeats that were answered."""
    answered_at: float = 0.0

    def began(self, late_ms: float) -> None:
        self.heartbeats += 1
        self.latest_ms = max(self.latest_ms, late_ms)
        self.late_sum_ms += late_ms

    def answered(self, now: float) -> None:
        if self.answered_at:
            self.longest_gap_ms = max(self.longest_gap_ms, (now - self.answered_at) * 1000)
        self.answered_at = now

    @property
    def late_mean_ms(self) -> float:
        return self.late_sum_ms / max(1, self.heartbeats)


class Beats:
    """Heartbeats for one update. `tell` gets a line whenever something is new, `complain` one about the way there."""

    def __init__(
        self,
        server: str,
        key: Any,
        check: Check,
        settings: Settings,
        tell: Callable[[str], None],
        complain: Callable[[str], None],
    ) -> None:
        self._server, self._key, self._check, self._settings = server, key, check, settings
        self._tell, self._complain = tell, complain
        self._told: object = None
        self._trouble = ""
        self._too_seldom = False
        self._connection = self._connect()
        self.tally = Tally()

    def _connect(self) -> Connection:
        """A connection without a past: the name is looked up again, and the leader found again."""
        return Connection(self._server, retry_s=0, connect_timeout_s=2, timeout_s=max(2.0, self._settings.every_s))

    def until_ended(self) -> int:
        """Returns the JobUpdateStatus in which it ended. Raises CommandError."""
        due = time.monotonic()
        while True:
            late_s = max(0.0, time.monotonic() - due)
            self.tally.began(late_s * 1000)
            if late_s > self._settings.every_s:
                due += late_s  # what was missed is not made up for
            finding = self._check.look(self._settings.check_timeout_s)
            if not finding.passed:
                self.tally.failed_checks += 1
            verdict = VERDICTS["PROCEED"] if finding.passed else self._settings.on_failure
            answer = self._say(verdict, finding.reason)
            if answer is not None:
                self._tell_news(verdict, finding.reason, answer)
                if answer.outcome == thesan.HeartbeatOutcome.FINISHED:
                    return self._ended(answer)
            now = time.monotonic()
            due = now if answer is None else due + self._settings.every_s
            time.sleep(max(0.0, due - now))

    def _say(self, verdict: int, reason: str) -> Any | None:
        """Send until somebody answers; None: what the check found is old by now."""
        settings = self._settings
        beat = thesan.Heartbeat(
            key=self._key, verdict=verdict, reason=reason, link=settings.link, source=settings.source
        )
        give_up_at = time.monotonic() + min(settings.every_s, FRESH_S)
        while True:
            try:
                answer = self._connection.call("heartbeat", heartbeat=beat)
            except (Unreachable, Refused) as failure:
                if not _may_pass(failure):
                    raise
                self.tally.unanswered += 1
                self._trouble_is(f"{failure.format_message().rstrip('.')}; goes on beating")
                self._connection.close()
                self._connection = self._connect()
                time.sleep(min(RETRY_S, settings.every_s))
                if time.monotonic() >= give_up_at:
                    return None
            else:
                self._trouble_is("")
                self.tally.answered(time.monotonic())
                return answer

    def _trouble_is(self, sentence: str) -> None:
        if sentence and not self._trouble:
            self._complain(sentence)
        elif self._trouble and not sentence:
            self._complain(f"{self._server} answers again")
        self._trouble = sentence

    def _tell_news(self, verdict: int, reason: str, answer: Any) -> None:
        """One line when the verdict, its reason or the answer is another than last time."""
        failed = verdict != VERDICTS["PROCEED"]
        said = thesan.HeartbeatVerdict._VALUES_TO_NAMES[verdict]
        heard = answer_text(answer)
        news = (verdict, reason if failed else "", heard)
        if news != self._told:
            self._told = news
            why = f" ({reason})" if failed else ""
            self._tell(f"{clock_text(int(time.time() * 1000))} {said}{why} -> {heard}")
        wanted_ms = answer.nextWithinMs or 0
        if wanted_ms and wanted_ms <= self._settings.every_s * 1000 and not self._too_seldom:
            self._too_seldom = True
            every = duration_text(self._settings.every_s * 1000)
            self._complain(f"--every {every} is too seldom: a heartbeat is wanted every {duration_text(wanted_ms)}")

    def _ended(self, answer: Any) -> int:
        if answer.status is None:
            raise CommandError(f"the scheduler does not know update {self._key.id}")
        return int(answer.status)


def answer_text(answer: Any) -> str:
    """A HeartbeatAnswer in words: `PAUSED, ROLL_FORWARD_PAUSED, paused by alice: lunch`."""
    outcomes = thesan.HeartbeatOutcome
    text = str(outcomes._VALUES_TO_NAMES.get(answer.outcome, answer.outcome))
    text += f", {status_name(answer.status)}" if answer.status is not None else ", not known"
    if answer.outcome == outcomes.PAUSED:
        why = f": {answer.pausedWhy}" if answer.pausedWhy else ""
        return f"{text}, paused by {answer.pausedBy or 'the scheduler'}{why}"
    return f"{text}, waits for {answer.waitsFor}" if answer.waitsFor else text


def _may_pass(failure: CommandError) -> bool:
    return failure.exit_code == Exit.UNREACHABLE


def arrived(status: int) -> bool:
    return bool(status == aurora.JobUpdateStatus.ROLLED_FORWARD)
