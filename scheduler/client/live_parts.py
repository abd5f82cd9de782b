"""Lines of the live picture: what an update has done so far, what holds it, when the next heartbeat is due."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from scheduler.client.explained import Explained, Waiting
from scheduler.client.progress import AWAITING_PULSE, GOING_BACK, PAUSED, TERMINAL, Progress, Span
from scheduler.client.quantities import duration_text
from scheduler.interface import aurora

BAR_WIDTH: Final = 40
MOST_NAMED: Final = 4
_STATUS: Final = aurora.JobUpdateStatus


def timeline(progress: Progress, *, now_ms: float, unicode: bool) -> Text:
    """A line that is divided as the time was, and the last parts of it in words."""
    lasted = lengths(progress, now_ms=now_ms)
    line = Text(no_wrap=True, overflow="ellipsis")
    total = sum(length_ms for _, length_ms in lasted) or 1
    done_ms, drawn = 0.0, 0
    for span, length_ms in lasted:
        done_ms += length_ms
        until = max(drawn, round(BAR_WIDTH * done_ms / total))
        line.append(("▬" if unicode else "-") * (until - drawn), style_of(span.status))
        drawn = until
    return line.append(" ").append(timeline_text(progress, now_ms=now_ms), "dim")


def timeline_text(progress: Progress, *, now_ms: float) -> str:
    """`waits 3.0 s, rolls 12 s, paused 1 min 5 s`; the last few only."""
    parts = [f"{_word(span.status)} {duration_text(ms)}" for span, ms in lengths(progress, now_ms=now_ms)]
    return ", ".join(["…"] * (len(parts) > MOST_NAMED) + parts[-MOST_NAMED:])


def lengths(progress: Progress, *, now_ms: float) -> list[tuple[Span, float]]:
    """Each time in a status and how many milliseconds it lasted, the last until now; an end has no length."""
    going = [span for span in progress.spans if span.status not in TERMINAL]
    return [(span, max(0.0, (span.end_ms or now_ms) - span.start_ms)) for span in going]


def _word(status: int) -> str:
    if status in AWAITING_PULSE:
        return "waits"
    if status in PAUSED:
        return "paused"
    return "rolls back" if status in GOING_BACK else "rolls"


def reasons(progress: Progress, explained: Explained | None, *, now_ms: float) -> Iterator[RenderableType]:
    """Why it stands where it stands, instances in progress, the countdown; nothing when nobody says."""
    if explained is None or progress.is_over:
        return
    countdown = countdown_row(progress, explained)
    if countdown is not None:
        yield countdown
    yield Text(explained.sentence, style="italic")
    for line in waiting_lines(explained.waiting, now_ms=now_ms):
        yield Text(f"  {line}", style="cyan", no_wrap=True, overflow="ellipsis")


def waiting_lines(waiting: tuple[Waiting, ...], *, now_ms: float) -> Iterator[str]:
    """`instance 1 STARTING for 2.0 s`, the first few."""
    for one in waiting[:MOST_NAMED]:
        why = f": {one.reason}" if one.reason else ""
        yield f"instance {one.instance} {one.status or 'has no task'} for {duration_text(now_ms - one.since_ms)}{why}"
    if len(waiting) > MOST_NAMED:
        yield f"and {len(waiting) - MOST_NAMED} more"


def countdown_row(progress: Progress, explained: Explained) -> RenderableType | None:
    """None: the update needs no heartbeats."""
    text = countdown_text(progress, explained)
    if not text:
        return None
    left_ms = progress.pulse_timeout_ms - explained.heartbeat_age_ms if explained.heartbeat_age_ms >= 0 else 0
    total_ms, style = progress.pulse_timeout_ms, "green" if left_ms > progress.pulse_timeout_ms / 3 else "yellow"
    row = Table.grid(padding=(0, 1))
    bar = ProgressBar(
        total=total_ms, completed=max(0, left_ms), width=BAR_WIDTH, complete_style=style, finished_style=style
    )
    row.add_row(bar, Text(text, style="dim"))
    return row


def countdown_text(progress: Progress, explained: Explained) -> str:
    """Empty: the update needs no heartbeats."""
    timeout_ms, age_ms = progress.pulse_timeout_ms, explained.heartbeat_age_ms
    if not timeout_ms:
        return ""
    if age_ms < 0:
        return "heartbeat: none heard yet"
    source = f", the last from {explained.heartbeat_source}" if explained.heartbeat_source else ""
    if age_ms >= timeout_ms:
        return f"heartbeat: overdue for {duration_text(age_ms - timeout_ms)}{source}"
    return f"heartbeat: within {duration_text(timeout_ms - age_ms)}{source}"


def status_style(progress: Progress) -> str:
    return style_of(progress.status)


def style_of(status: int) -> str:
    """One colour for all that looks at a status."""
    if status in AWAITING_PULSE:
        return "bold yellow"
    if status in PAUSED:
        return "bold magenta"
    if status == _STATUS.ROLLED_FORWARD:
        return "bold green"
    return "bold red" if status in TERMINAL or status in GOING_BACK else "bold cyan"
