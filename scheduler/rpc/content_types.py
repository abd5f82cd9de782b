"""Which protocol an HTTP request is in, and which its answer.

Source: Aurora's documentation, "HTTP endpoints", and its clients: several send `application/x-thrift` for JSON, one
sends the header twice. Anything but TBinary named exactly in Accept is answered in JSON.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from scheduler.rpc.binary import LENIENT
from scheduler.rpc.messages import Codec
from scheduler.rpc.tjson import JSON

BINARY_TYPE: Final = "application/vnd.apache.thrift.binary"
JSON_TYPE: Final = "application/vnd.apache.thrift.json"

_REQUESTS: Final[dict[str, Codec]] = {
    "": JSON,
    "application/x-thrift": JSON,
    "application/json": JSON,
    JSON_TYPE: JSON,
    f"{JSON_TYPE};charset=utf-8": JSON,
    BINARY_TYPE: LENIENT,
}

Headers = Iterable[tuple[bytes, bytes]]


class UnsupportedType(Exception):
    """A Content-Type that is none of ours; the text names it and what is allowed."""


def values(headers: Headers, name: bytes) -> list[str]:
    """All values of a header, in order; names are in lower case, as ASGI has them."""
    return [value.decode("latin-1") for key, value in headers if key == name]


def request_codec(headers: Headers) -> Codec:
    """The protocol of the body. Raises UnsupportedType."""
    encoding = {item.strip().lower() for value in values(headers, b"content-encoding") for item in value.split(",")}
    if encoding - {"", "identity"}:
        raise UnsupportedType(
            f"Content-Encoding {', '.join(sorted(encoding))} is not supported; send the body as it is"
        )
    found = {_normal(item) for value in values(headers, b"content-type") for item in value.split(",")} or {""}
    codec = _REQUESTS.get(found.pop()) if len(found) == 1 else None
    if codec is None:
        sent = ", ".join(values(headers, b"content-type"))
        known = ", ".join(name for name in _REQUESTS if name)
        raise UnsupportedType(f"Content-Type {sent} is not supported; use one of: {known}")
    return codec


def reply_codec(headers: Headers) -> Codec:
    """The protocol of the answer."""
    accepted = {value.strip().lower() for value in values(headers, b"accept")}
    return LENIENT if accepted == {BINARY_TYPE} else JSON


def _normal(content_type: str) -> str:
    return "".join(content_type.split()).lower()
