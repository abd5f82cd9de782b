"""What an update asks of this scheduler beyond Aurora's settings: metadata whose keys begin with `thesan.`.

Checked when an update starts; a key that is not known is refused, since a mistyped one would be obeyed by nobody.
Source: `docs/monitors.md`, "What an update can ask for".
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import lru_cache
from typing import Any, Final

from attrs import frozen

from scheduler.core.answers import Refused, invalid
from scheduler.core.policy import HOUR_MS, MINUTE_MS, SECOND_MS
from scheduler.core.records import Metadata

PREFIX: Final = "thesan."
MOST_PROCEEDS: Final = 1000
MOST_URL_CHARACTERS: Final = 1024
_UNITS_MS: Final = {"ms": 1, "s": SECOND_MS, "m": MINUTE_MS, "h": HOUR_MS}


class ProgressAction(Enum):
    """What becomes of an update in which nothing has moved for too long."""

    FAIL = "fail"
    ROLL_BACK = "roll_back"
    PAUSE = "pause"


@frozen
class Wishes:
    proceeds_to_resume: int = 1
    """PROCEEDs in a row that lift a soft pause, after the monitor said WAIT or fell silent."""
    rollback_gate_open: bool = False
    """A rollback does not wait for heartbeats."""
    monitor_url: str = ""
    progress_deadline_ms: int = 0
    """0: none."""
    progress_action: ProgressAction = ProgressAction.PAUSE


NO_WISHES: Final = Wishes()


def duration_ms(text: str) -> int:
    """`90s`, `10m`, `1h`, `500ms`. Raises ValueError."""
    for unit, factor in _UNITS_MS.items():
        number = text.removesuffix(unit)
        if number != text and number.isascii() and number.isdigit():
            return int(number) * factor
    raise ValueError(text)


def _proceeds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= MOST_PROCEEDS):
        raise ValueError(text)
    return int(text)


def _url(text: str) -> str:
    if not text or len(text) > MOST_URL_CHARACTERS or not text.isprintable():
        raise ValueError(text)
    return text


def _deadline_ms(text: str) -> int:
    found = duration_ms(text)
    if not SECOND_MS <= found <= 24 * 365 * HOUR_MS:
        raise ValueError(text)
    return found


_KNOWN: Final[dict[str, tuple[str, Callable[[str], Any], str]]] = {
    "thesan.proceeds_to_resume": ("proceeds_to_resume", _proceeds, f"a number from 1 to {MOST_PROCEEDS}"),
    "thesan.rollback_gate": (
        "rollback_gate_open",
        lambda text: {"heartbeat": False, "open": True}[text],
        "heartbeat or open",
    ),
    "thesan.monitor_url": ("monitor_url", _url, f"an address of at most {MOST_URL_CHARACTERS} characters"),
    "thesan.progress_deadline": ("progress_deadline_ms", _deadline_ms, "a time such as 90s, 10m or 2h, at least 1s"),
    "thesan.progress_action": ("progress_action", ProgressAction, "fail, roll_back or pause"),
}
"""Key -> field of Wishes, how to read the value, what is allowed."""


def check(metadata: tuple[Metadata, ...], watch_ms: int) -> None:
    """Raises Refused with the first wish that cannot be understood, or met: `watch_ms` is the watch window."""
    seen: set[str] = set()
    for item in metadata:
        if not item.key.startswith(PREFIX):
            continue
        if item.key not in _KNOWN:
            raise Refused(invalid(f"metadata {item.key!r} is not known; there are: {', '.join(_KNOWN)}"))
        if item.key in seen:
            raise Refused(invalid(f"metadata {item.key} stands there twice"))
        seen.add(item.key)
        _, read, allowed = _KNOWN[item.key]
        try:
            read(item.value)
        except (ValueError, KeyError):
            raise Refused(invalid(f"metadata {item.key} is {item.value!r}; it must be {allowed}")) from None
    if "thesan.progress_action" in seen and "thesan.progress_deadline" not in seen:
        raise Refused(invalid("metadata thesan.progress_action asks for thesan.progress_deadline beside it"))
    deadline_ms = wishes(metadata).progress_deadline_ms
    if deadline_ms and deadline_ms <= watch_ms:
        raise Refused(
            invalid(
                f"metadata thesan.progress_deadline is {deadline_ms} ms; it must be longer than "
                f"minWaitInInstanceRunningMs ({watch_ms} ms), in which nothing moves"
            )
        )


def wishes(metadata: tuple[Metadata, ...]) -> Wishes:
    """What was asked for. What cannot be understood (it came by an older way in) counts as not said."""
    return _wishes(metadata) if metadata else NO_WISHES


@lru_cache(maxsize=4096)
def _wishes(metadata: tuple[Metadata, ...]) -> Wishes:
    found: dict[str, Any] = {}
    for item in metadata:
        if item.key in _KNOWN:
            field, read, _ = _KNOWN[item.key]
            try:
                found[field] = read(item.value)
            except (ValueError, KeyError):
                continue
    return Wishes(**found) if found else NO_WISHES
