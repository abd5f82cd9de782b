"""The page of a drill: one HTML file that needs nothing else."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Final

from scheduler.testing.drills import picture
from scheduler.testing.drills.run import Drilled
from scheduler.testing.history.records import Heard

__all__ = ["figures", "page", "write_page"]

_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1040px; margin: 2em auto; padding: 0 1em; }
.good { color: #2f7d4f; } .bad { color: #c23b3b; }
table { border-collapse: collapse; } td { padding: .15em 1em .15em 0; vertical-align: top; }
td:first-child, td:nth-child(2) { text-align: right; font-variant-numeric: tabular-nums; }
.key span { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 1em; border-radius: 2px; }
"""


def figures(drilled: Drilled) -> list[str]:
    """The verdict's figures, a line each."""
    lines = [
        f"{drilled.seconds:.1f} s with seed {drilled.seed}",
        f"calls: {', '.join(f'{drilled.count(heard)} {heard.value}' for heard in Heard)}",
        f"longest time without an acknowledged call: {drilled.gap_s:.1f} s",
    ]
    if drilled.takeover_s is not None:
        lines.append(f"from the fault to the next leader: {drilled.takeover_s:.1f} s")
    return lines


def page(drilled: Drilled) -> str:
    scenario, timeline = drilled.scenario, drilled.timeline
    rows = "\n".join(
        f"<tr><td>{number}</td><td>{timeline.since(moment.at):.2f} s</td>"
        f"<td>{escape(moment.node)} {escape(moment.sentence)}</td></tr>"
        for number, moment in enumerate(timeline.moments, 1)
    )
    if drilled.violations:
        said = "".join(f"<li>{escape(str(one))}</li>" for one in drilled.violations)
        verdict = f'<p class="bad"><strong>FAILED</strong></p><ul>{said}</ul>'
    else:
        verdict = '<p class="good"><strong>Passed</strong>: nothing lost, nothing twice, one leader at a time.</p>'
    key = "".join(
        f'<span style="background:{colour}"></span>{name.value}'
        for name, colour in (*picture.COLOURS.items(), *picture.HEARD.items())
    )
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Drill: {escape(scenario.name)}</title>
<style>{_STYLE}</style>
<h1>Drill: {escape(scenario.name)}</h1>
<p>{escape(scenario.sentence)}</p>
{verdict}
{picture.svg(timeline, drilled.seconds, drilled.looks, drilled.calls)}
<p class="key">{key}</p>
<ul>{"".join(f"<li>{escape(line)}</li>" for line in figures(drilled))}</ul>
<table>
{rows}
</table>
</html>
"""


def write_page(drilled: Drilled, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(drilled), encoding="utf-8")
