"""The way in: `thesan` and `python -m scheduler`."""

import sys


def main() -> None:
    """Run the command. The server's part is loaded only when it is asked for: a client should start fast."""
    if sys.argv[1:2] == ["serve"]:
        from scheduler.app.serve import serve

        serve(args=sys.argv[2:], prog_name="thesan serve")
        return
    from scheduler.client.cli import cli

    cli(prog_name="thesan")


if __name__ == "__main__":
    main()
