"""Which scheduler this is: an id kept in its data directory, the same when address and process are others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from uuid import uuid4

from scheduler.changelog.datadir import prepare
from scheduler.contracts import Unavailable

__all__ = ["FILE", "instance_id"]

FILE: Final = "instance-id"

_GOOD: Final = re.compile(r"[0-9a-f]{32}")


def instance_id(data_dir: Path, new: str = "") -> str:
    """32 hexadecimal digits. A directory without one, or with something else in its place, is given one: `new`, if any.

    Raises DataDirRefused, and Unavailable while the disk is full or fails.
    """
    prepare(data_dir)
    path = data_dir / FILE
    try:
        found = path.read_bytes().decode("ascii", errors="replace").strip() if path.exists() else ""
        if _GOOD.fullmatch(found):
            return found
        made, beside = new or uuid4().hex, path.with_suffix(".new")
        beside.write_text(f"{made}\n", encoding="ascii")
        beside.replace(path)
    except OSError as error:
        raise Unavailable(f"the id of this scheduler cannot be kept in {path}: {error.strerror}") from error
    return made
