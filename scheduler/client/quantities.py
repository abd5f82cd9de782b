"""Times and sizes as people write them: `45s`, `5m`, `128MB`; and back."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

_NUMBER: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", re.ASCII)
_DURATIONS_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SIZES: Final = {"KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZES.update({"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40})

DURATION_HINT: Final = "a time with its unit, such as 500ms, 45s, 5m, 1h or 1d"
SIZE_HINT: Final = "a size with its unit, such as 128MB or 2GB"
MOST_DURATION_MS: Final = 36_500 * 86_400_000
_MOST_DIGITS: Final = 18


def parse_duration_ms(text: str) -> int:
    """Milliseconds. `1h 30m` is a sum. Raises ValueError."""
    if text.strip() == "0":
        return 0
    total = sum(float(number) * _DURATIONS_MS[unit] for number, unit in _parts(text, _DURATIONS_MS, DURATION_HINT))
    if total != int(total):
        raise ValueError(f"must be whole milliseconds, not {text!r}")
    if total > MOST_DURATION_MS:
        raise ValueError(f"must be at most {MOST_DURATION_MS // 86_400_000}d, not {text!r}")
    return int(total)


def parse_size_mb(text: str) -> int:
    """Whole megabytes of 1024 * 1024 bytes, as the scheduler counts. Raises ValueError."""
    parts = _parts(text, _SIZES, SIZE_HINT)
    if len(parts) > 1:
        raise ValueError(f"must be {SIZE_HINT}, not {text!r}")
    ((number, unit),) = parts
    size_mb = float(number) * _SIZES[unit] / 2**20
    if size_mb != int(size_mb):
        raise ValueError(f"must be whole megabytes, not {text!r}")
    return int(size_mb)


def _parts(text: str, units: dict[str, int], hint: str) -> list[tuple[str, str]]:
    found = _NUMBER.findall(text)
    if not found or _NUMBER.sub("", text).strip() or any(unit not in units for _, unit in found):
        raise ValueError(f"must be {hint}, not {text!r}")
    if any(len(number) > _MOST_DIGITS for number, _ in found):
        raise ValueError(f"must be {hint}, and have at most {_MOST_DIGITS} digits")
    return [(number, unit) for number, unit in found]


def parse_instances(text: str) -> tuple[int, ...]:
    """Instance ids from `0-2,5`, ascending. Raises ValueError."""
    ids: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"must be instances such as 0-2,5, not {text!r}")
        if max(len(first), len(last)) > _MOST_DIGITS:
            raise ValueError(f"an instance has at most {_MOST_DIGITS} digits")
        begin, end = int(first), int(last) if dash else int(first)
        if end < begin or end - begin >= 100_000:
            raise ValueError(f"{part.strip()} is no range of instances")
        ids.update(range(begin, end + 1))
    return tuple(sorted(ids))


def instances_text(ids: tuple[int, ...] | list[int]) -> str:
    """`0-2,5` from instance ids."""
    return ",".join(f"{first}-{last}" if last > first else f"{first}" for first, last in to_ranges(ids))


def to_ranges(ids: tuple[int, ...] | list[int]) -> list[tuple[int, int]]:
    """The fewest closed ranges that hold exactly these ids, ascending."""
    ranges: list[tuple[int, int]] = []
    for i in sorted(set(ids)):
        if ranges and ranges[-1][1] == i - 1:
            ranges[-1] = (ranges[-1][0], i)
        else:
            ranges.append((i, i))
    return ranges


def duration_text(duration_ms: float) -> str:
    """Short and rounded: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`, `3 d`."""
    seconds = duration_ms / 1000
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def time_text(timestamp_ms: int) -> str:
    """UTC, to the second."""
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def clock_text(timestamp_ms: int) -> str:
    """The time of day only, to a tenth of a second, in local time: for what happens while somebody watches."""
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC).astimezone().strftime("%H:%M:%S.%f")[:-5]
