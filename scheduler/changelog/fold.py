"""The helper process that folds the tail into a new base: ``python -m scheduler.changelog.fold DATA_DIR``.

It reads base and tail as any reader does, and writes the state it got into a new base file. It changes nothing else:
the server, which alone writes to the SQLite file, points to the new base when the helper reports success (one line of
JSON), and then deletes what the base covers. So a helper that is killed leaves nothing but a file nobody points to,
and the server's commits never wait for it.

It is a process of its own because building and encoding a large state holds the interpreter lock for seconds.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from attrs import asdict, frozen

from scheduler.changelog.base import base_path, sweep, write_base
from scheduler.changelog.configs import Configs
from scheduler.changelog.datadir import FileLock
from scheduler.changelog.errors import Unreadable
from scheduler.changelog.gc_policy import rehydrating
from scheduler.changelog.load import load
from scheduler.changelog.store import Pointer, open_for_reading, read_meta
from scheduler.core.ops import Op
from scheduler.core.state import State, apply, dump
from scheduler.failpoints import failpoint
from scheduler.failpoints.from_env import arm_from_env

__all__ = ["FOLD_LOCK", "Folded", "fold", "from_line", "main", "to_line"]

FOLD_LOCK: Final = "fold.lock"


@frozen
class Folded:
    """What the server must point to, and how much of the tail that covers."""

    pointer: Pointer
    entries: int
    size_bytes: int


def fold(data_dir: Path) -> Folded | None:
    """Write the next base; None when there is nothing to fold.

    Raises Unreadable for a damaged log, OSError when the disk does not take it, BlockingIOError when another helper
    is at work.
    """
    guard = FileLock(data_dir / FOLD_LOCK)
    db = open_for_reading(data_dir)
    try:
        meta = read_meta(db)
        sweep(data_dir, meta.pointer.generation)
        (end,) = db.execute('SELECT max("offset") FROM tail').fetchone()
        if end is None or end <= meta.pointer.covered:
            return None
        state, configs = State(), Configs()

        def fold_in(op: Op) -> None:
            apply(state, op)

        parent = os.getppid()
        found = load(db, data_dir, fold_in, configs, upto=end)
        if os.getppid() != parent:
            return None  # the server died: the next one starts its own helper
        failpoint("fold-began")
        generation = meta.pointer.generation + 1
        written = write_base(
            base_path(data_dir, generation),
            dump(state),
            generation=generation,
            lineage=meta.lineage,
            configs=configs,
        )
        pointer = Pointer(
            generation,
            found.offset,
            found.epoch,
            found.timestamp_ms,
            found.checksum,
            written.chunks,
            written.size_bytes,
            written.checksum,
        )
        return Folded(pointer, found.tail_entries, found.tail_bytes)
    finally:
        db.close()
        guard.release()


def to_line(folded: Folded | None) -> str:
    """The report of the helper."""
    return json.dumps(None if folded is None else asdict(folded), default=bytes.hex)


def from_line(line: str) -> Folded | None:
    """Raises ValueError, KeyError or TypeError for anything but a report."""
    told: dict[str, Any] | None = json.loads(line)
    if told is None:
        return None
    pointer = told["pointer"]
    for name in ("checksum", "base_checksum"):
        pointer[name] = bytes.fromhex(pointer[name])
    return Folded(Pointer(**pointer), told["entries"], told["size_bytes"])


def main() -> int:
    """0: folded, or nothing to fold. 1: could not, said on stderr. 75: another helper is at work."""
    arm_from_env()
    os.nice(10)
    try:
        with rehydrating():
            folded = fold(Path(sys.argv[1]))
    except BlockingIOError:
        return 75
    except (Unreadable, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(to_line(folded) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
