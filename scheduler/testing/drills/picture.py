"""The timeline as a picture: a lane for each scheduler, one for what clients heard, and a line for each fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

from scheduler.testing.drills.timeline import Moment, Timeline
from scheduler.testing.drills.watch import Look, Role
from scheduler.testing.history.records import Call, Heard

__all__ = ["svg"]

WIDTH: Final = 1000
LEFT: Final = 120
LANE: Final = 34
CALLS: Final = 90
"""Height of the lane of calls."""
BIN_S: Final = 0.2
COLOURS: Final = {
    Role.LEADING: "#2f7d4f",
    Role.TAKING_OVER: "#9cc36b",
    Role.SUSPENDED: "#e0a030",
    Role.STANDBY: "#b8c4d6",
    Role.SILENT: "#3a3a3a",
}
HEARD: Final = {Heard.ACKNOWLEDGED: "#2f7d4f", Heard.REFUSED: "#e0a030", Heard.UNKNOWN: "#c23b3b"}
FAULT: Final = "#c23b3b"


def svg(timeline: Timeline, seconds: float, looks: Sequence[Look], calls: Sequence[Call]) -> str:
    """One <svg> element that needs nothing else."""
    nodes = sorted({look.node for look in looks})
    scale = (WIDTH - LEFT - 10) / max(seconds, 0.001)
    calls_top = 30 + LANE * len(nodes)
    height = calls_top + CALLS + 30

    def x(at: float) -> float:
        return LEFT + min(max(timeline.since(at), 0.0), seconds) * scale

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="what happened when" '
        'xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif" font-size="12">'
    ]
    for row, node in enumerate(nodes):
        top = 24 + row * LANE
        parts.append(_text(LEFT - 8, top + 15, node, anchor="end"))
        parts += _lane([look for look in looks if look.node == node], top, timeline, seconds, scale)
    parts.append(_text(LEFT - 8, calls_top + CALLS / 2, "calls", anchor="end"))
    parts += _calls(calls, calls_top, timeline, seconds, scale)
    parts += [_mark(x(moment.at), number, moment, calls_top + CALLS) for number, moment in _numbered(timeline)]
    parts += _axis(seconds, scale, calls_top + CALLS)
    return "\n".join([*parts, "</svg>"])


def _numbered(timeline: Timeline) -> Iterable[tuple[int, Moment]]:
    return enumerate(timeline.moments, 1)


def _lane(looks: Sequence[Look], top: int, timeline: Timeline, seconds: float, scale: float) -> Iterator[str]:
    """One box for each stretch in which the scheduler said the same."""
    begin = 0
    for at in range(1, len(looks) + 1):
        first = looks[begin]
        if at < len(looks) and (looks[at].role, looks[at].epoch) == (first.role, first.epoch):
            continue
        since = max(0.0, timeline.since(first.began))
        until = min(seconds, timeline.since(looks[at].began) if at < len(looks) else seconds)
        begin = at
        if until <= since:
            continue
        said = f"{first.role.value}{f', epoch {first.epoch}' if first.epoch else ''}"
        left, width = LEFT + since * scale, (until - since) * scale
        yield (
            f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{LANE - 10}" rx="3" '
            f'fill="{COLOURS[first.role]}"><title>{said}, {since:.1f} to {until:.1f} s</title></rect>'
        )
        if first.role is Role.LEADING and width > 60:
            yield _text(left + 6, top + 16, f"epoch {first.epoch}", fill="#fff")


def _calls(calls: Sequence[Call], top: int, timeline: Timeline, seconds: float, scale: float) -> Iterator[str]:
    """Bars of what was heard in each fifth of a second; what is unknown stands where it was asked."""
    bins: dict[int, Counter[Heard]] = {}
    for call in calls:
        at = timeline.since(call.began if call.heard is Heard.UNKNOWN else call.ended)
        if 0 <= at <= seconds:
            bins.setdefault(int(at / BIN_S), Counter())[call.heard] += 1
    most = max((count.total() for count in bins.values()), default=1)
    for number, count in sorted(bins.items()):
        base = float(top + CALLS)
        for heard, colour in HEARD.items():
            if not count[heard]:
                continue
            tall = max(2.0, count[heard] / most * (CALLS - 10))
            base -= tall
            yield (
                f'<rect x="{LEFT + number * BIN_S * scale:.1f}" y="{base:.1f}" width="{BIN_S * scale - 0.5:.1f}" '
                f'height="{tall:.1f}" fill="{colour}"><title>{count[heard]} {heard.value}</title></rect>'
            )


def _mark(at: float, number: int, moment: Moment, bottom: int) -> str:
    colour = FAULT if moment.is_fault else "#777"
    said = escape(f"{moment.node} {moment.sentence}".strip())
    return (
        f'<g><title>{said}</title><line x1="{at:.1f}" x2="{at:.1f}" y1="18" y2="{bottom}" stroke="{colour}" '
        f'stroke-width="{2 if moment.is_fault else 1}" stroke-dasharray="{"none" if moment.is_fault else "3 3"}"/>'
        f"{_text(at, 13, str(number), anchor='middle', fill=colour)}</g>"
    )


def _axis(seconds: float, scale: float, bottom: int) -> Iterator[str]:
    step = next(step for step in (1, 2, 5, 10, 30, 60, 300) if seconds / step <= 20 or step == 300)
    for second in range(0, int(seconds) + 1, step):
        yield _text(LEFT + second * scale, bottom + 16, f"{second} s", anchor="middle", fill="#777")


def _text(x: float, y: float, text: str, *, anchor: str = "start", fill: str = "currentColor") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}">{escape(text)}</text>'
