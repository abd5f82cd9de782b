"""The snapshot: a base in ZooKeeper, so that the log behind it can be cut off and a new machine can start.

It is the very file that the helper process has folded, with each configuration once, compressed and cut into parts;
one node, `snapshot`, says which parts count. The parts are complete before that node points to them, and are never
changed. Reading checks them as it checks any base: frame by frame, and the last checksum against the pointer.
"""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from attrs import evolve, frozen

from scheduler.changelog.base import base_path
from scheduler.changelog.errors import Damaged
from scheduler.changelog.packing import Unpacking
from scheduler.changelog.store import Pointer
from scheduler.changelog.zookeeper_layout import Head, Layout
from scheduler.contracts import Unavailable
from scheduler.zk.client import Client
from scheduler.zk.errors import MISREAD, NoNode

__all__ = ["GENERATION", "Snapshot", "fetch", "fetch_of", "read_snapshot", "room"]

GENERATION: Final = 1
"""Of the base that a fetched snapshot becomes: the first of its folder."""

_AT_ONCE: Final = 4
"""Parts on their way at a time: below 2 MB."""

_log = logging.getLogger("thesan")


@frozen
class Snapshot:
    """What the node `snapshot` says. `base.generation` counts the snapshots of this log.

    `folder` holds `parts` parts. `cut` is the last offset that may be cut off the log: that covered by the snapshot
    before. Its parts, in `previous`, are kept for whoever is reading them just now.
    """

    lineage: bytes
    base: Pointer
    folder: str
    parts: int
    cut: int = 0
    previous: str | None = None

    def to_bytes(self) -> bytes:
        base = self.base
        told = {
            "generation": base.generation,
            "covered": base.covered,
            "epoch": base.epoch,
            "timestamp_ms": base.timestamp_ms,
            "checksum": base.checksum.hex(),
            "chunks": base.chunks,
            "size_bytes": base.size_bytes,
            "base_checksum": base.base_checksum.hex(),
            "lineage": self.lineage.hex(),
            "folder": self.folder,
            "parts": self.parts,
            "cut": self.cut,
            "previous": self.previous,
        }
        return json.dumps(told).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Snapshot:
        """Raises Damaged."""
        try:
            told = json.loads(data)
            base = Pointer(
                int(told["generation"]),
                int(told["covered"]),
                int(told["epoch"]),
                int(told["timestamp_ms"]),
                bytes.fromhex(told["checksum"]),
                int(told["chunks"]),
                int(told["size_bytes"]),
                bytes.fromhex(told["base_checksum"]),
            )
            lineage, previous = bytes.fromhex(told["lineage"]), told["previous"]
            return cls(lineage, base, str(told["folder"]), int(told["parts"]), int(told["cut"]), previous)
        except MISREAD as error:
            raise Damaged(None, f"the pointer to the snapshot in ZooKeeper cannot be read ({error!r})") from None


async def read_snapshot(client: Client, layout: Layout) -> tuple[Snapshot, int] | None:
    """The snapshot that counts, and the version of its node; None when there is none. Raises Damaged, ZkError."""
    try:
        data, stat = await client.get(layout.snapshot)
    except NoNode:
        return None
    return Snapshot.from_bytes(data), stat.version


def room() -> TemporaryDirectory[str]:
    """A folder for a snapshot that is read once. Raises Unavailable when there is no room for one."""
    try:
        return TemporaryDirectory(prefix="thesan-snapshot-")
    except OSError as error:
        raise Unavailable(f"there is no folder for the snapshot, a temporary one neither: {error}") from error


async def fetch_of(client: Client, layout: Layout, head: Head, folder: Path) -> Pointer | None:
    """The snapshot that the log with this head goes on from, as a base in `folder`; None when there is none.

    Raises Damaged, Unavailable when the disk does not take it, ZkError.
    """
    try:
        snapshot = await fetch(client, layout, folder)
    except OSError as error:
        raise Unavailable(f"the snapshot cannot be written to {folder}: {error.strerror}") from error
    if snapshot is None:
        return None
    if snapshot.lineage != head.lineage or snapshot.base.covered >= head.next:
        raise Damaged(snapshot.base.covered, "the snapshot in ZooKeeper is not one of the log beside it")
    _log.info("begins with the snapshot up to entry %d", snapshot.base.covered)
    return snapshot.base


async def fetch(client: Client, layout: Layout, folder: Path) -> Snapshot | None:
    """Bring the snapshot that counts into `folder`, as a durable base file of GENERATION; None when there is none.

    Should the leader replace it twice meanwhile, its parts go, and the one that counts now is fetched.
    Raises Damaged when a part is missing or cannot be unpacked, ZkError, OSError.
    """
    missing: Snapshot | None = None
    while (found := await read_snapshot(client, layout)) is not None:
        snapshot, _ = found
        if snapshot == missing:
            raise Damaged(snapshot.base.covered, f"a part of the snapshot is missing (in {snapshot.folder})")
        try:
            await _fetch(client, layout, snapshot, base_path(folder, GENERATION))
        except NoNode:
            missing = snapshot
            continue
        return evolve(snapshot, base=evolve(snapshot.base, generation=GENERATION))
    return None


async def _fetch(client: Client, layout: Layout, snapshot: Snapshot, path: Path) -> None:
    with Unpacking(path, snapshot.base) as arriving:
        for first in range(0, snapshot.parts, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, snapshot.parts))
            paths = (f"{layout.snapshot_parts(snapshot.folder)}/{number}" for number in numbers)
            for data, _ in await asyncio.gather(*(client.get(part) for part in paths)):
                await asyncio.to_thread(arriving.add, data)
        await asyncio.to_thread(arriving.finish)
