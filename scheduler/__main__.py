"""The way in: `thesan` and `python -m scheduler`."""

import sys

import click

from scheduler.client.cli import cli
from scheduler.client.output import forget_unwritten


@cli.command(
    "serve",
    short_help="Run the scheduler in the foreground.",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def serve(arguments: tuple[str, ...]) -> None:
    # The server's rooms are loaded only when it is asked for: a client should start fast.
    from scheduler.app.serve import serve as real

    real(args=list(arguments), prog_name="thesan serve")


@cli.command(
    "simulated-engine",
    short_help="A pretended cluster, for schedulers to share.",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def simulated_engine(arguments: tuple[str, ...]) -> None:
    from scheduler.engines.simulated.server import main as real

    sys.exit(real(list(arguments)))


cli.add_lazy("password", "scheduler.app.password", "password", "Make a hash of a password, for --shiro-ini-path.")
cli.add_lazy("recover", "scheduler.app.offline", "recover", "Begin an empty store with a backup.")
cli.add_lazy("log", "scheduler.app.offline", "log", "Look at a changelog without a server.")


def main() -> None:
    try:
        cli(prog_name="thesan")
    finally:
        forget_unwritten()


if __name__ == "__main__":
    main()
