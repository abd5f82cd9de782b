"""Files that a person names on the command line: whatever is there, it is not read without end."""

from __future__ import annotations

from pathlib import Path
from typing import Final

MOST_BYTES: Final = 1_000_000


def read_file(path: Path) -> bytes:
    """The whole of a small file. Raises OSError, and ValueError when it is larger: it may be a device, or a pipe."""
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"is larger than the {MOST_BYTES} bytes that such a file may have")
    return data
