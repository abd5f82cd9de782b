"""Metrics under Aurora's names: /vars as lines, /vars.json as an object."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

Metrics = Callable[[], Mapping[str, int | float | str]]

_NOT_ALLOWED: Final = re.compile(r"[^A-Za-z0-9_/.\-]")


def vars_text(metrics: Metrics) -> Response:
    """One `name value` per line, sorted by name."""
    return PlainTextResponse("".join(f"{name} {value}\n" for name, value in _sorted(metrics).items()))


def vars_json(metrics: Metrics, request: Request) -> Response:
    """An object of names and numbers or strings; `?pretty` indents it."""
    pretty = request.query_params.get("pretty")
    indent = 2 if pretty is not None and pretty.lower() not in ("false", "0") else None
    return Response(json.dumps(_sorted(metrics), indent=indent), media_type="application/json")


def _sorted(metrics: Metrics) -> dict[str, int | float | str]:
    """Characters that Aurora's names may not have become underscores."""
    return {_NOT_ALLOWED.sub("_", name): value for name, value in sorted(metrics().items())}
