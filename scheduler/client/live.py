"""Showing an update while it goes: a picture that changes on a terminal, one line per event elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from scheduler.client.explained import ITS_OWN_COURSE, Explained
from scheduler.client.live_parts import BAR_WIDTH, reasons, status_style, timeline
from scheduler.client.output import Complaints, echo
from scheduler.client.progress import Event, Phase, Progress, with_remarks
from scheduler.client.quantities import clock_text, duration_text
from scheduler.client.watch import View
from scheduler.visible import visible

LAST_EVENTS: Final = 8

_MARKS: Final = {
    Phase.WAITING: ("·", ".", "dim"),
    Phase.WORKING: ("◐", "o", "cyan"),
    Phase.DONE: ("✓", "+", "green"),
    Phase.FAILED: ("✗", "x", "bold red"),
}


class PlainView:
    """Each event once, as it comes: for files, pipes and logs. `err`: to stderr, when stdout is for JSON."""

    def __init__(self, *, err: bool = False) -> None:
        self._seen: set[Event] = set()
        self._complain = Complaints()
        self._err = err
        self._held: tuple[str, ...] | None = None

    def show(self, progress: Progress, explained: Explained | None = None) -> None:
        for event in _events(progress, explained):
            if event not in self._seen:
                self._seen.add(event)
                echo(f"{clock_text(event.timestamp_ms)} {event.text}", err=self._err)
        self._say_why(explained)

    def _say_why(self, explained: Explained | None) -> None:
        """Once for each stop; what takes its own course is in the events."""
        if explained is None or explained.held_by in ITS_OWN_COURSE:
            self._held = None
            return
        held = (explained.held_by, explained.who, explained.why)
        if held != self._held:
            self._held = held
            echo(f"{clock_text(int(time.time() * 1000))} {explained.sentence}", err=self._err)

    def note(self, sentence: str) -> None:
        self._complain(sentence)


class LiveView:
    """Redraws in place."""

    def __init__(self, live: Live, *, unicode: bool) -> None:
        self._live = live
        self._unicode = unicode
        self._progress: Progress | None = None
        self._explained: Explained | None = None
        self._note = ""

    def show(self, progress: Progress, explained: Explained | None = None) -> None:
        self._progress, self._explained = progress, explained
        self._draw()

    def note(self, sentence: str) -> None:
        sentence = visible(sentence)
        if sentence != self._note:
            self._note = sentence
            self._draw()

    def _draw(self) -> None:
        parts: list[RenderableType] = []
        if self._progress is not None:
            now_ms = time.time() * 1000
            parts.append(picture(self._progress, self._explained, now_ms=now_ms, unicode=self._unicode))
        if self._note:
            parts.append(Text(self._note, style="yellow"))
        self._live.update(Group(*parts), refresh=True)


@contextmanager
def view_for_stdout(*, json: bool = False) -> Iterator[View]:
    """The view that fits: nothing is drawn where nobody looks, and stdout is left alone when it is for JSON."""
    if json:
        yield PlainView(err=True)
        return
    console = Console(highlight=False)
    if not console.is_terminal or console.is_dumb_terminal:
        yield PlainView()
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        yield LiveView(live, unicode=_can_show(console.encoding))


def draw_for_terminal(progress: Progress, *, now_ms: float) -> None:
    """One mark per instance and the timeline, once; nothing where nobody looks."""
    console = Console(highlight=False)
    if console.is_terminal and not console.is_dumb_terminal:
        unicode = _can_show(console.encoding)
        console.print(grid(progress, unicode=unicode))
        console.print(timeline(progress, now_ms=now_ms, unicode=unicode))


def _can_show(encoding: str) -> bool:
    try:
        "".join(mark for mark, _, _ in _MARKS.values()).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def picture(progress: Progress, explained: Explained | None = None, *, now_ms: float, unicode: bool) -> RenderableType:
    """Status, bar, one mark per instance, what it did so far, why it stands, the next heartbeat, the last events."""
    return Group(
        Text.assemble(("update of ", "dim"), (progress.job, "bold"), (f"  {progress.update_id}", "dim")),
        Text.assemble((progress.status_name, status_style(progress)), f"  {progress.sentence}"),
        bar(progress, now_ms=now_ms),
        grid(progress, unicode=unicode),
        timeline(progress, now_ms=now_ms, unicode=unicode),
        *reasons(progress, explained, now_ms=now_ms),
        *(
            Text.assemble(
                (f"  {clock_text(event.timestamp_ms)} ", "dim"), event.text, overflow="ellipsis", no_wrap=True
            )
            for event in _events(progress, explained)[-LAST_EVENTS:]
        ),
    )


def _events(progress: Progress, explained: Explained | None) -> tuple[Event, ...]:
    return progress.events if explained is None else with_remarks(progress.events, explained.remarks)


def bar(progress: Progress, *, now_ms: float) -> RenderableType:
    total = max(1, len(progress.phases))
    end_ms = progress.modified_ms if progress.is_over else now_ms
    style = "red" if progress.going_back else "green"
    row = Table.grid(padding=(0, 1))
    row.add_row(
        ProgressBar(total=total, completed=progress.done, width=BAR_WIDTH, complete_style=style, finished_style=style),
        f"{progress.done}/{len(progress.phases)}",
        Text(duration_text(end_ms - progress.started_ms), style="dim"),
    )
    return row


def grid(progress: Progress, *, unicode: bool) -> Text:
    """`0 ✓  1 ◐  2 ·`, wrapped by the console."""
    cells = Text()
    for instance, phase in progress.phases.items():
        mark, plain, style = _MARKS[phase]
        cells.append(f"{instance} ", "dim").append(mark if unicode else plain, style).append("  ")
    return cells
