"""watchEvents: the one call whose answer may have to be waited for."""

from __future__ import annotations

from typing import Any, Final

from scheduler.contracts import AheadOfLog, EventStream, NotFollowing, TooOld
from scheduler.core.answers import Answer, Code, invalid
from scheduler.rpc.to_thrift.events import event_batch

USUAL_LIMIT: Final = 500
MAX_LIMIT: Final = 2_000
"""Some ten milliseconds of encoding."""


async def watch(stream: EventStream, args: Any, wait: bool = True) -> Any:
    """The answer's struct, a refusal too. `wait` False: whatever was asked, it is answered at once."""
    wrong = _wrong(args)
    if wrong is not None:
        return event_batch(invalid(wrong))
    try:
        wait_ms = args.waitMs or 0 if wait else 0
        found = await stream.read(args.cursor, min(args.limit or USUAL_LIMIT, MAX_LIMIT), wait_ms)
    except TooOld as old:
        struct = event_batch(invalid(str(old)))
        struct.beginCursor = old.begin
    except AheadOfLog as ahead:
        struct = event_batch(invalid(str(ahead)))
    except NotFollowing as why:
        struct = event_batch(Answer(Code.ERROR_TRANSIENT, (str(why),)))
    else:
        struct = event_batch(Answer(result=found))
    struct.lineage = stream.lineage
    return struct


def _wrong(args: Any) -> str | None:
    for name in ("cursor", "limit", "waitMs"):
        value = getattr(args, name)
        if value is not None and value < 0:
            return f"{name} is {value}; it must not be negative"
    return None
