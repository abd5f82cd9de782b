"""What the demo shows: chapters, the scheduler's own sentences as it decides, and a bar that moves."""

from __future__ import annotations

import re
import time
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from scheduler.client.live import bar, grid, status_style
from scheduler.client.progress import Progress

_LINE = re.compile(r"(?P<date>\S+)[T ](?P<time>[\d:]+)[.,](?P<fraction>\d)\S*\s+(?P<level>[A-Za-z]+)\s+(?P<text>.*)")
_TASK = re.compile(r"[\w.-]+?-(?P<name>[\w]+)-(?P<instance>\d+)-[0-9a-f]{8}-[0-9a-f-]{27}")
_UPDATE = re.compile(r"(?P<job>[\w.-]+/[\w.-]+/[\w.-]+)/(?P<id>[0-9a-f]{8})-[0-9a-f-]{27}")
_STATUS = re.compile(r"\b(ROLL[A-Z_]+|ABORTED|FAILED|ERROR)\b")


class Stage:
    """Where the story is told. On a terminal the bar stays at the bottom; elsewhere it is a line when it changes."""

    def __init__(self, log: Path) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self._on_terminal = self.console.is_terminal and not self.console.is_dumb_terminal
        self._live: Live | None = None
        self._log = log
        self._read_to = 0
        self._began = time.monotonic()
        self._bar_line = ""

    # --- lines -------------------------------------------------------------------------------------------------------

    def chapter(self, text: str) -> None:
        self.decisions()
        self.console.print()
        at = f"{time.monotonic() - self._began:4.0f} s"
        self.console.print(Text.assemble((f"{at}  ", "dim"), (text, "bold cyan")))

    def say(self, text: str, style: str = "") -> None:
        self.decisions()
        self._line(Text("        "), Text(text, style=style))

    def decisions(self) -> None:
        """Print what the scheduler has written since the last look, each decision with its sentence."""
        if not self._log.exists():
            return
        with self._log.open("rb") as log:
            log.seek(self._read_to)
            data = log.read()
        whole, newline, _ = data.rpartition(b"\n")
        self._read_to += len(whole) + len(newline)
        for line in whole.decode(errors="replace").splitlines():
            found = decision(line)
            if found is not None:
                self._line(*found)

    def _line(self, margin: Text, text: Text) -> None:
        """On a terminal wrapped beside its margin; elsewhere one line, whatever its length."""
        if not self._on_terminal:
            self.console.print(Text.assemble(margin, text))
            return
        row = Table.grid()
        row.add_column(no_wrap=True)
        row.add_column()
        row.add_row(margin, text)
        self.console.print(row)

    # --- bar ---------------------------------------------------------------------------------------------------------

    def progress(self, progress: Progress) -> None:
        self.decisions()
        if not self._on_terminal:
            self._plain_bar(progress)
            return
        status = Text.assemble("        ", (progress.status_name, status_style(progress)), f"  {progress.sentence}")
        marks = Text("        ").append_text(grid(progress, unicode=self.console.encoding.startswith("utf")))
        picture = Group(Text(), status, bar(progress, now_ms=time.time() * 1000), marks)
        if self._live is None:
            self._live = Live(picture, console=self.console, transient=True, auto_refresh=False)
            self._live.start()
        self._live.update(picture, refresh=True)

    def lower_bar(self) -> None:
        """Take the bar away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _plain_bar(self, progress: Progress) -> None:
        total = max(1, len(progress.phases))
        filled = 30 * progress.done // total
        marks = " ".join(f"{instance}:{phase.value}" for instance, phase in progress.phases.items())
        line = f"        [{'#' * filled}{'-' * (30 - filled)}] {progress.done}/{total}  {progress.status_name}  {marks}"
        if line != self._bar_line:
            self._bar_line = line
            self.console.print(Text(line))


def decision(line: str) -> tuple[Text, Text] | None:
    """A line of the scheduler's log as `| 08:29:31.3` and `www-data/devel/hello update f53907c3: sentence`.

    None: nothing for the story.
    """
    found = _LINE.fullmatch(line)
    if found is None or found["level"].upper() == "DEBUG" or found["text"].startswith("{"):  # the audit trail
        return None
    text = _TASK.sub(lambda m: f"{m['name']}/{m['instance']}", found["text"])
    text = _UPDATE.sub(lambda m: f"{m['job']} update {m['id']}", text)
    margin = Text.assemble(("        | ", "blue"), (f"{found['time']}.{found['fraction']}  ", "dim"))
    sentence = Text(text)
    sentence.highlight_regex(_STATUS, "bold")
    if found["level"].upper() != "INFO":
        sentence = Text.assemble((f"{found['level'].lower()}: ", "yellow"), sentence)
    return margin, sentence
