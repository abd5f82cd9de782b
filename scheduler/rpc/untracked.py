"""Long lists of a large answer, kept from Python's look for cyclic garbage: while they are young, each look would touch
every record and every piece of bytes in them, which takes 60 ms at half a million tasks.

Safe, because the collector only follows references from objects that it tracks: what such a list refers to merely seems
to be used by somebody, as it is. CPython leaves tuples of plain values untracked in the same way. What is lost is that
a cycle through the list would not be found; records and bytes form none.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Final

LONG: Final = 50
"""Shorter ones are looked through in no time."""


def untrack(members: Sequence[object]) -> None:
    """They are found by reference counts alone, from now on."""
    if len(members) >= LONG and isinstance(members, (tuple, list)):
        ctypes.pythonapi.PyObject_GC_UnTrack(ctypes.py_object(members))
