"""`thesan password`: a hash of a password, as it stands in the file of users."""

from __future__ import annotations

import sys

import click

from scheduler.security.passwords import make


@click.command()
def password() -> None:
    """Make a hash of a password, for the file that --shiro-ini-path names.

    The password is asked for twice; or it is the first line of standard input, where that is no terminal.
    """
    if sys.stdin.isatty():
        given = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        given = sys.stdin.readline().rstrip("\r\n")
    if not given:
        raise click.UsageError("the password is empty")
    click.echo(make(given))
