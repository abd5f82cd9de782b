"""Making snapshots, and cutting the log behind them: what the leader does beside leading.

Everything here is fenced, so that a leader that is none any more publishes and removes nothing. Whatever it leaves
half done means nothing, and the next one tidies it up.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from uuid import uuid4

from attrs import evolve

from scheduler.changelog.packing import packed
from scheduler.changelog.store import Pointer
from scheduler.changelog.zookeeper_fenced import DELETES, fenced, names_in, remove_folder
from scheduler.changelog.zookeeper_layout import Layout, numbers
from scheduler.changelog.zookeeper_parts import offset_of_parts
from scheduler.changelog.zookeeper_snapshot import Snapshot, read_snapshot
from scheduler.failpoints import failpoint
from scheduler.zk.client import Client
from scheduler.zk.epoch import Claim
from scheduler.zk.errors import MultiRefused, NodeExists, NoNode, NotEmpty
from scheduler.zk.ops import create, delete, set_data

__all__ = ["publish", "tidy"]


async def publish(client: Client, layout: Layout, held: Claim, lineage: bytes, base: Pointer, path: Path) -> Snapshot:
    """Make the base in the file `path` the snapshot that counts, unless the one that counts covers as much.

    Returns that which counts. Raises Superseded when the epoch is over, ZkError when ZooKeeper does not answer, OSError
    when the file cannot be read: then the one before counts, or this one, and both are whole.
    """
    found = await read_snapshot(client, layout)
    old, version = found or (None, 0)
    if old is not None and old.base.covered >= base.covered:
        return old
    name = f"{held.number}-{uuid4().hex}"
    with contextlib.suppress(NodeExists):
        await client.create(layout.all_snapshots)
    folder = layout.snapshot_parts(name)
    await fenced(client, held, create(folder))
    parts, count = packed(path, layout.part_bytes), 0
    while (part := await asyncio.to_thread(next, parts, None)) is not None:
        await fenced(client, held, create(f"{folder}/{count}", part))
        count += 1
        failpoint("snapshot-part")
    generation = old.base.generation + 1 if old else 1
    new = Snapshot(lineage, evolve(base, generation=generation), name, count)
    if old is not None:
        new = evolve(new, cut=old.base.covered, previous=old.folder)
    failpoint("before-snapshot-pointer")
    data = new.to_bytes()
    await fenced(client, held, set_data(layout.snapshot, data, version) if old else create(layout.snapshot, data))
    failpoint("after-snapshot-pointer")
    return new


async def tidy(client: Client, layout: Layout, held: Claim) -> int:
    """Remove the log up to where the snapshot that counts allows it, and the parts of snapshots nobody needs.

    Returns how many entries were cut off. Raises Superseded, ZkError: the next call goes on where this one was.
    """
    found = await read_snapshot(client, layout)
    if found is None:
        return 0
    snapshot, _ = found
    removed = await _cut_log(client, layout, held, snapshot.cut)
    await _sweep_entry_parts(client, layout, held, snapshot.cut)
    for name in await names_in(client, layout.all_snapshots):
        if name not in (snapshot.folder, snapshot.previous):
            await remove_folder(client, held, layout.snapshot_parts(name))
    return removed


async def _cut_log(client: Client, layout: Layout, held: Claim, upto: int) -> int:
    """In order, oldest first, so that what is left is always one piece."""
    removed = 0
    failpoint("before-truncate")
    for folder in numbers(await client.children(layout.log)):
        offsets = numbers(await client.children(f"{layout.log}/{folder}"))
        cut = [offset for offset in offsets if offset <= upto]
        for first in range(0, len(cut), DELETES):
            gone = cut[first : first + DELETES]
            await fenced(client, held, *(delete(layout.entry(offset)) for offset in gone))
            removed += len(gone)
            failpoint("truncating")
        if layout.last_of_folder(folder) <= upto:
            await _remove_unless_used(client, held, f"{layout.log}/{folder}")
        if len(cut) < len(offsets):
            break
    failpoint("after-truncate")
    return removed


async def _remove_unless_used(client: Client, held: Claim, folder: str) -> None:
    """Somebody may have put something of theirs beside the entries that were there."""
    try:
        await fenced(client, held, delete(folder))
    except MultiRefused as refused:
        if not isinstance(refused.error, NotEmpty):
            raise


async def _sweep_entry_parts(client: Client, layout: Layout, held: Claim, upto: int) -> None:
    """The parts of large entries that were cut off, whoever wrote them."""
    for name in await names_in(client, layout.all_parts):
        folder = f"{layout.all_parts}/{name}"
        try:
            told, _ = await client.get(folder)
        except NoNode:
            continue
        offset = offset_of_parts(told)
        if offset is not None and offset <= upto:
            await remove_folder(client, held, folder)
