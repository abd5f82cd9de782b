"""Is SQLite's write-ahead log whole? SQLite itself does not say.

After a crash SQLite reads the log up to the first page that is not as it was written, and takes that for the end: the
transaction that was being written when the lights went out. A page damaged later, in the middle, looks the same, and
every acknowledged transaction from there on would be gone without a word.

But each commit of ours is on the disk before the next one is written (`synchronous = FULL`, one writer). So at most
one transaction can be torn, and if two or more ended behind the break, the break is damage. What cannot be told from a
torn write is damage to the very last transaction, and a file of which the end was cut off.

Format: https://sqlite.org/fileformat2.html, "The Write-Ahead Log".
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import BinaryIO, Final

from attrs import frozen

__all__ = ["Break", "find_break"]

_HEADER: Final = Struct(">IIIIII II")
_FRAME: Final = Struct(">II II II")
_CHECKED_BYTES: Final = 8  # of a frame's header, the page number and the commit mark are under the checksum
_MAGIC: Final = 0x377F0682
_MASK: Final = 0xFFFF_FFFF


@frozen
class Break:
    """Where the log breaks off, and how many commits stand behind the last that SQLite would take."""

    frame: int
    lost_commits: int


@frozen
class _Frame:
    salts: tuple[int, int]
    is_commit: bool
    is_whole: bool


def find_break(wal: Path) -> Break | None:
    """None for a log that is whole, torn only in its last transaction, empty, or not there.

    Reads all of it: some 80 MB a second. Raises OSError.
    """
    try:
        with wal.open("rb") as file:
            head = file.read(_HEADER.size)
            if len(head) < _HEADER.size:
                return None
            return _search(file, head)
    except FileNotFoundError:
        return None


def _search(file: BinaryIO, head: bytes) -> Break | None:
    magic, _, page_bytes, _, salt_1, salt_2, *told = _HEADER.unpack(head)
    if magic & ~1 != _MAGIC or not 512 <= page_bytes <= 65_536:
        return None if not any(head) else _behind_a_bad_header(file, 4096)
    swapped = (magic & 1 == 1) == (sys.byteorder == "little")
    seed = _checksum(head[:24], (0, 0), swapped)
    if seed != tuple(told):
        return _behind_a_bad_header(file, page_bytes)
    first_broken: int | None = None
    lost = 0
    for number, frame in enumerate(_frames(file, page_bytes, seed, swapped), 1):
        if frame.salts != (salt_1, salt_2):
            continue  # left from before the log was last begun anew; all of that is in the database
        if first_broken is None and not frame.is_whole:
            first_broken = number
        if first_broken is not None and frame.is_commit:
            lost += 1
    return Break(first_broken or 0, lost) if lost > 1 else None


def _behind_a_bad_header(file: BinaryIO, page_bytes: int) -> Break | None:
    """SQLite would take such a log for empty. The salts of its first page tell which pages were written with it."""
    frames = _frames(file, page_bytes, (0, 0), False)
    first = next(frames, None)
    if first is None or first.salts == (0, 0):
        return None
    lost = first.is_commit + sum(frame.is_commit for frame in frames if frame.salts == first.salts)
    return Break(0, lost) if lost > 1 else None


def _frames(file: BinaryIO, page_bytes: int, seed: tuple[int, int], swapped: bool) -> Iterator[_Frame]:
    """Checksums run on from frame to frame, and mean nothing behind the first that does not match."""
    running: tuple[int, int] | None = seed
    while len(data := file.read(_FRAME.size + page_bytes)) == _FRAME.size + page_bytes:
        _, commit, salt_1, salt_2, *told = _FRAME.unpack_from(data)
        if running is not None:
            running = _checksum(data[:_CHECKED_BYTES] + data[_FRAME.size :], running, swapped)
            if running != tuple(told):
                running = None
        yield _Frame((salt_1, salt_2), commit != 0, running is not None)


def _checksum(data: bytes, seed: tuple[int, int], swapped: bool) -> tuple[int, int]:
    words = array("I", data)
    if swapped:
        words.byteswap()
    first, second = seed
    pairs = iter(words)
    for word in pairs:
        first = (first + word + second) & _MASK
        second = (second + next(pairs) + first) & _MASK
    return first, second
