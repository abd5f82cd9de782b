"""Words with commas between, as the commands of aurora_admin take them."""

from __future__ import annotations

from typing import Any

import click

__all__ = ["Words"]


class Words(click.ParamType[tuple[str, ...]]):
    """The value is a tuple, none of it empty."""

    name = "list"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        words = tuple(word.strip() for word in value.split(","))
        if not all(words):
            self.fail(f"{value!r} must be words with commas between", param, ctx)
        return words
