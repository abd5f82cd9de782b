"""A backup into an empty store: the beginning of another history.

The new history has a lineage of its own, so that nothing of the old one fits it by accident: not the checkpoints of
other machines, not the cursors of followers, and not an engine with living tasks, which refuses to be attached to it.
`keep_lineage` says that it is meant: then the engine's tasks are taken up again. Epochs go on far above the backup's,
because leaders after it may have raised the engine's fence. So do offsets: one offset names one entry, and a follower's
cursor from before is older than all that is kept, so that it is told to read the state anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from uuid import uuid4

from scheduler.changelog.backup import Backup, read_backup
from scheduler.changelog.base import base_path, write_base
from scheduler.changelog.configs import Configs
from scheduler.changelog.datadir import lock, prepare
from scheduler.changelog.errors import DataDirRefused
from scheduler.changelog.frame import genesis
from scheduler.changelog.packing import packed
from scheduler.changelog.store import BASES, DB_FILE, WAL_FILE, Pointer, open_for_writing, remains_in
from scheduler.changelog.zookeeper_layout import Head, Layout
from scheduler.changelog.zookeeper_snapshot import Snapshot
from scheduler.contracts import Unavailable
from scheduler.core.state import State, apply, dump
from scheduler.zk.client import Client
from scheduler.zk.epoch import epoch_bytes
from scheduler.zk.errors import MultiRefused, NodeExists
from scheduler.zk.ops import create

__all__ = ["EPOCH_GAP", "OFFSET_GAP", "Restored", "read_for_restore", "restore_into_folder", "restore_into_zookeeper"]

EPOCH_GAP: Final = 1_000_000
"""Added to the backup's epoch: more take-overs than there can have been since."""

OFFSET_GAP: Final = 1_000_000_000
"""Added to the backup's offset, if the milliseconds since 1970 are not above that anyway.

Milliseconds, so that a second recovery of the same backup begins above all that the first one led to: nobody commits a
thousand entries a second for long.
"""


class Restored:
    """A backup that was read, and the history it begins."""

    def __init__(self, backup: Backup, state: State, *, keep_lineage: bool) -> None:
        self.backup = backup
        self.state = state
        self.lineage = backup.lineage if keep_lineage else uuid4().bytes
        self.epoch = state.epoch = backup.base.epoch + EPOCH_GAP
        self.offset = max(backup.base.covered + OFFSET_GAP, time.time_ns() // 1_000_000)
        """What the new history begins behind."""

    def write(self, folder: Path) -> Pointer:
        """The base file, of generation 1. Raises OSError."""
        written = write_base(
            base_path(folder, 1), dump(self.state), generation=1, lineage=self.lineage, configs=Configs()
        )
        old = self.backup.base
        checksum = genesis(self.lineage)
        return Pointer(
            1,
            self.offset,
            self.epoch,
            old.timestamp_ms,
            checksum,
            written.chunks,
            written.size_bytes,
            written.checksum,
        )


def read_for_restore(path: Path, *, keep_lineage: bool) -> Restored:
    """Raises Unreadable, OSError."""
    state = State()
    with TemporaryDirectory(prefix="thesan-recover-") as scratch:
        backup = read_backup(path, Path(scratch), lambda op: apply(state, op))
    return Restored(backup, state, keep_lineage=keep_lineage)


def restore_into_folder(data_dir: Path, restored: Restored) -> None:
    """Begin an embedded changelog, wholly or not at all.

    Raises DataDirRefused when there is one already, Unavailable when the disk does not take it.
    """
    prepare(data_dir)
    held = lock(data_dir)
    try:
        if (data_dir / DB_FILE).exists():
            raise DataDirRefused(f"{data_dir} has a changelog already: recover into an empty folder")
        if remains := remains_in(data_dir, BASES, WAL_FILE):
            raise DataDirRefused(f"{data_dir} has {', '.join(remains)} of a changelog: recover into an empty folder")
        try:
            pointer = restored.write(data_dir)
            open_for_writing(data_dir, restored.backup.cluster, restored.lineage, base=pointer).close()
        except BaseException as error:
            _take_back(data_dir)
            if isinstance(error, OSError):
                raise Unavailable(f"nothing was recovered into {data_dir}: {error.strerror}") from error
            if isinstance(error, Unavailable):
                raise Unavailable(f"nothing was recovered into {data_dir}: {error}") from error
            raise
    finally:
        held.release()


def _take_back(data_dir: Path) -> None:
    """Remove what was made, so that the folder is empty for the next try."""
    for path in (*data_dir.glob(f"{DB_FILE}*"), base_path(data_dir, 1)):
        with contextlib.suppress(OSError):
            path.unlink()


async def restore_into_zookeeper(client: Client, root: str, restored: Restored) -> None:
    """Begin a log in ZooKeeper. Raises DataDirRefused when there is one already, Refusal, ZkError, OSError."""
    layout, parts = Layout(root), 0
    await client.ensure(root)
    if await client.exists(layout.head) is not None:
        raise DataDirRefused(f"there is a log at {root} in ZooKeeper already: recover to another path, or remove it")
    name = f"0-{uuid4().hex}"
    folder = layout.snapshot_parts(name)
    await client.ensure(folder)
    with TemporaryDirectory(prefix="thesan-recover-") as scratch:
        base = restored.write(Path(scratch))
        for part in packed(base_path(Path(scratch), 1), layout.part_bytes):
            await client.create(f"{folder}/{parts}", part)
            parts += 1
            await asyncio.sleep(0)
    head = Head(base.covered + 1, base.checksum, restored.lineage)
    nodes = [
        create(layout.epoch, epoch_bytes(restored.epoch, "")),
        create(layout.head, head.to_bytes()),
        create(layout.log),
        create(layout.all_parts),
        create(layout.snapshot, Snapshot(restored.lineage, base, name, parts).to_bytes()),
    ]
    if not layout.opens_folder(head.next):
        nodes.append(create(layout.folder(head.next)))
    try:
        await client.multi(nodes)
    except MultiRefused as refused:
        if isinstance(refused.error, NodeExists):
            raise DataDirRefused(f"somebody began a log at {root} in ZooKeeper meanwhile") from None
        raise
