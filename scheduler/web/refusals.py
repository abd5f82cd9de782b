"""What is said to a request that no page answers, and to the auditor about one."""

from __future__ import annotations

from scheduler.security.audit import Audit, Deed, request_id
from scheduler.security.names import NOBODY
from scheduler.web.guard import Scope, Send


def tell(audit: Audit | None, scope: Scope, status: int) -> None:
    """What became of a request for a page. One that was told more than its path put it into `scope["arguments"]`."""
    if audit is None:
        return
    client = scope.get("client")
    given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"]
    audit(
        Deed(
            user=scope.get("user", NOBODY),
            address=f"{client[0]}:{client[1]}" if client else "",
            call=f"{scope['method']} {scope['path']}",
            target="",
            result=str(status),
            request_id=request_id(given[0] if len(given) == 1 else None),
            arguments=scope.get("arguments", {}),
        )
    )


async def refuse(send: Send, status: int, sentence: str, *more: tuple[bytes, bytes]) -> None:
    """A sentence in plain text, and the connection's end."""
    body = f"{sentence}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),  # the body, if there is one, is not read
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
