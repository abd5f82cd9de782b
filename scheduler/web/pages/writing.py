"""Pages as bytes: JSON and plain HTML, made and sent in slices so that a large one holds up nobody."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from html import escape
from typing import Any, Final

from starlette.responses import HTMLResponse, Response, StreamingResponse

SLICE_S: Final = 0.004
"""How long a slice may take to be made."""
PIECE_BYTES: Final = 64 * 1024

Parts = Iterable[str]
"""The text of a page, in parts that are each short to make."""

SAFE: Final = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}
"""Names in these pages were chosen by whoever submitted a job: they are escaped, and no script runs anyway."""

_STYLE: Final = (
    ":root{color-scheme:light dark}body{font:14px sans-serif;margin:8px}h1{font-size:22px;overflow-wrap:anywhere}"
    "h2{font-size:17px;margin:16px 0 4px}nav{color:gray}"
    "td,th{padding:2px 12px 2px 0;text-align:left;vertical-align:top}form{margin:0}"
    "table{display:block;overflow-x:auto}pre{white-space:pre-wrap;overflow-wrap:anywhere}"
)
"""No page is wider than its window, be it a telephone's: long words are broken, wide tables scroll alone."""


def as_json(parts: Parts) -> Response:
    return StreamingResponse(_sliced(parts), media_type="application/json", headers=SAFE)


def as_html(parts: Parts) -> Response:
    return StreamingResponse(_sliced(parts), media_type="text/html", headers=SAFE)


def usage(sentence: str, status: int = 400) -> Response:
    return HTMLResponse(f"<p>{escape(sentence)}</p>\n", status_code=status, headers=SAFE)


async def _sliced(parts: Parts) -> AsyncIterator[bytes]:
    gathered: list[str] = []
    size = 0
    end = time.perf_counter() + SLICE_S
    for part in parts:
        gathered.append(part)
        size += len(part)
        if size >= PIECE_BYTES or time.perf_counter() >= end:
            yield "".join(gathered).encode()
            gathered.clear()
            size = 0
            await asyncio.sleep(0)
            end = time.perf_counter() + SLICE_S
    yield "".join(gathered).encode()


# --- JSON ------------------------------------------------------------------------------------------------------------


def array(items: Iterable[Any]) -> Iterator[str]:
    """A JSON array of what can be written as JSON, an item a part."""
    between = "["
    for item in items:
        yield between + json.dumps(item)
        between = ","
    yield "]\n" if between == "," else "[]\n"


def members(items: Iterable[tuple[str, str]]) -> Iterator[str]:
    """The members of a JSON object: names, and values that are JSON already."""
    between = ""
    for name, value in items:
        yield f"{between}{json.dumps(name)}:{value}"
        between = ","


# --- HTML ------------------------------------------------------------------------------------------------------------


def head(title: str, refresh_s: int = 0) -> str:
    """How each page begins. After `refresh_s` seconds a browser asks for it again; 0: never."""
    again = f'<meta http-equiv="refresh" content="{refresh_s}">\n' if refresh_s else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"{again}<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n<h1>{escape(title)}</h1>\n"
    )


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """A page with one table."""
    yield head(title)
    yield from columns_and_rows(columns, rows)


def columns_and_rows(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """A table alone. Cells are escaped, except those that are `Link`."""
    yield "<table>\n"
    yield f"<tr>{''.join(f'<th>{escape(column)}' for column in columns)}\n"
    for row in rows:
        yield f"<tr>{''.join(f'<td>{cell.html() if isinstance(cell, Link) else escape(str(cell))}' for cell in row)}\n"
    yield "</table>\n"


class Link:
    """A cell that leads somewhere on this server."""

    def __init__(self, path: str, text: str) -> None:
        self._path, self._text = path, text

    def html(self) -> str:
        return f'<a href="{escape(self._path)}">{escape(self._text)}</a>'


def preformatted(title: str, text: str) -> Iterator[str]:
    """A page with one text."""
    yield f"{head(title)}<pre>{escape(text)}</pre>\n"
