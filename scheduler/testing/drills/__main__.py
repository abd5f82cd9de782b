"""``scripts/drill NAME``: rehearse a disaster, and see whether anything was lost."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

import click

from scheduler.contracts import EngineError
from scheduler.testing.drills.local import local
from scheduler.testing.drills.machines import NoMachines
from scheduler.testing.drills.page import figures, write_page
from scheduler.testing.drills.place import Place
from scheduler.testing.drills.run import drill
from scheduler.testing.drills.scenarios import SCENARIOS
from scheduler.testing.drills.vagrant import vagrant

_PLACES: Final[dict[str, Callable[[], AbstractContextManager[Place]]]] = {"local": local, "vagrant": vagrant}
_LIST: Final = "\n\n".join(f"{one.name}: {one.sentence}" for one in SCENARIOS.values())


@click.command(help=f"Rehearse a disaster, and see whether anything was lost. Exit code 1: something was.\n\n{_LIST}")
@click.argument("name", type=click.Choice(list(SCENARIOS)), metavar="NAME")
@click.option("--on", "where", type=click.Choice(list(_PLACES)), default="local", show_default=True, help="Where.")
@click.option("--page", "page_path", type=click.Path(path_type=Path, dir_okay=False), help="Where its page is written.")
@click.option("--seed", type=int, default=None, help="What the clients' habits are drawn from.")
def main(name: str, where: str, page_path: Path | None, seed: int | None) -> None:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # so that all that runs is ended
    seed = int(time.time()) if seed is None else seed
    path = page_path or Path(f"drill-{name}.html")
    click.echo(f"drill {name}, {where}, seed {seed}")
    try:
        with _PLACES[where]() as place:
            drilled = drill(SCENARIOS[name], place, seed, say=lambda line: click.echo(f"  {line}"))
    except (NoMachines, EngineError, TimeoutError) as wrong:
        raise click.ClickException(f"the drill could not be gone through: {wrong}") from None
    write_page(drilled, path)
    for line in figures(drilled):
        click.echo(line)
    for violation in drilled.violations:
        click.echo(f"WRONG {violation}")
    click.echo(f"page: {path}")
    click.echo("verdict: " + ("FAILED" if drilled.violations else "nothing lost, nothing twice, one leader at a time"))
    sys.exit(1 if drilled.violations else 0)


if __name__ == "__main__":
    main()
