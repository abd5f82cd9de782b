"""``scripts/crash``: kill a working scheduler again and again, and see whether anything was lost or done twice."""

from __future__ import annotations

import signal
import sys
import time

import click

from scheduler.testing.crash.run import Outcome, crash
from scheduler.testing.history.records import Heard


def report(outcome: Outcome) -> list[str]:
    """The figures of a run, in lines for people."""
    before = ", ".join(map(str, outcome.acknowledged))
    calls = outcome.calls
    inside = ", ".join(map(str, outcome.inside_a_commit)) or "none"
    return [
        f"{len(outcome.kills)} kills in {outcome.seconds:.1f} s with seed {outcome.seed}",
        f"calls: {calls[Heard.ACKNOWLEDGED]} acknowledged, {calls[Heard.REFUSED]} refused, {calls[Heard.UNKNOWN]} "
        f"unknown, of which {outcome.unknown_and_there} had happened",
        f"acknowledged before, between and after the kills: {before}",
        f"kills inside a commit: {len(outcome.inside_a_commit)} (numbers {inside})",
        f"tasks: {outcome.tasks} made, {outcome.started} started once, "
        f"{outcome.cut_off} cut off before they started, and replaced",
    ]


@click.command(help=__doc__)
@click.option("--kills", type=click.IntRange(1), default=10, show_default=True, help="How often the scheduler dies.")
@click.option("--seconds", type=click.IntRange(15), default=40, show_default=True, help="How long it all may take.")
@click.option("--seed", type=int, default=None, help="What the plan and the clients' habits are drawn from.")
@click.option("--keep", is_flag=True, help="Leave the folder behind, with the scheduler's log.")
def main(kills: int, seconds: int, seed: int | None, keep: bool) -> None:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that all that runs is ended
    seed = int(time.time()) if seed is None else seed
    click.echo(f"crash: seed {seed}")
    outcome = crash(kills, seconds, seed, say=lambda line: click.echo(f"  {line}"), keep=keep)
    for line in report(outcome):
        click.echo(line)
    for complaint in outcome.complaints:
        click.echo(f"WRONG {complaint}")
    click.echo("verdict: " + ("FAILED" if outcome.complaints else "nothing lost, nothing twice"))
    sys.exit(1 if outcome.complaints else 0)


if __name__ == "__main__":
    main()
