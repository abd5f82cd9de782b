"""watchEvents: the one call whose answer may have to be waited for."""

from __future__ import annotations

from typing import Any, Final

from scheduler.contracts import AheadOfLog, EventStream, NotFollowing, TooOld
from scheduler.core.answers import Answer, Code, invalid
from scheduler.rpc.to_thrift.events import event_batch

USUAL_LIMIT: Final = 500
MAX_LIMIT: Final = 2_000
"""Some ten milliseconds of encoding."""


async def watch(stream: EventStream, args: Any, wait: bool = True) -> tuple[Answer, Any]:
    """The answer, a refusal too, and its struct. `wait` False: whatever was asked, it is answered at once."""
    wrong = _wrong(args)
    if wrong is not None:
        return invalid(wrong), event_batch(invalid(wrong))
    begin: int | None = None
    try:
        wait_ms = args.waitMs or 0 if wait else 0
        answer = Answer(result=await stream.read(args.cursor, min(args.limit or USUAL_LIMIT, MAX_LIMIT), wait_ms))
    except TooOld as old:
        answer, begin = invalid(str(old)), old.begin
    except AheadOfLog as ahead:
        answer = invalid(str(ahead))
    except NotFollowing as why:
        answer = Answer(Code.ERROR_TRANSIENT, (str(why),))
    struct = event_batch(answer)
    struct.beginCursor, struct.lineage = begin, stream.lineage
    return answer, struct


def _wrong(args: Any) -> str | None:
    for name in ("cursor", "limit", "waitMs"):
        value = getattr(args, name)
        if value is not None and value < 0:
            return f"{name} is {value}; it must not be negative"
    return None
