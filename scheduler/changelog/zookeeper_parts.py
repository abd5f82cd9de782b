"""Frames too large for one request: their parts, written before the commit, and swept when there never was one.

Parts mean nothing by themselves. A commit makes them part of the log, by a manifest at their offset; that commit is
fenced, so the parts of a leader that lost its epoch are never referred to any more, and the next leader removes them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Final

from scheduler.changelog.errors import Damaged
from scheduler.changelog.frame import Header
from scheduler.changelog.zookeeper_fenced import names_in, remove_folder
from scheduler.changelog.zookeeper_layout import Layout, Manifest, numbers
from scheduler.failpoints import failpoint
from scheduler.zk.client import Client
from scheduler.zk.epoch import Claim
from scheduler.zk.errors import MISREAD, NodeExists, NoNode

__all__ = ["offset_of_parts", "read_parts", "sweep_parts", "write_parts"]

_AT_ONCE: Final = 4
"""Parts on their way at a time: below 2 MB."""


async def write_parts(client: Client, layout: Layout, header: Header, frame: bytes, checksum: bytes) -> Manifest:
    """Writes all parts of a frame and returns what to commit. What is there already, from an earlier try, is kept.

    The folder says for which offset it is: that is how the sweeper finds its manifest.
    Raises NoNode when the next leader has swept them meanwhile, another Refusal, ZkError.
    """
    folder = layout.parts(header.epoch, header.uuid)
    cut = layout.pieces(frame)
    await client.ensure(layout.all_parts)  # so that what is missing below can only have been swept
    await _make(client, folder, json.dumps({"offset": header.offset}).encode())
    for first in range(0, len(cut), _AT_ONCE):
        batch = enumerate(cut[first : first + _AT_ONCE], first)
        await asyncio.gather(*(_make(client, f"{folder}/{index}", piece) for index, piece in batch))
    return Manifest(header.epoch, header.uuid, header.previous, checksum, len(cut), len(frame))


def offset_of_parts(told: bytes) -> int | None:
    """What the folder of some parts says of itself: for which entry they are. None when it is no such folder."""
    try:
        return int(json.loads(told)["offset"])
    except MISREAD:
        return None


async def _make(client: Client, path: str, data: bytes) -> None:
    with contextlib.suppress(NodeExists):
        await client.create(path, data)
    failpoint("entry-part")


async def read_parts(client: Client, layout: Layout, manifest: Manifest, offset: int) -> bytes:
    """The frame; whether it is the right one, its checksum says. Raises NoNode for a missing part, Damaged, ZkError."""
    folder = layout.parts(manifest.epoch, manifest.uuid)
    found: list[bytes] = []
    for first in range(0, manifest.parts, _AT_ONCE):
        numbers = range(first, min(first + _AT_ONCE, manifest.parts))
        answers = await asyncio.gather(*(client.get(f"{folder}/{number}") for number in numbers))
        found += [data for data, _ in answers]
    frame = b"".join(found)
    if len(frame) != manifest.size:
        raise Damaged(offset, f"its parts have {len(frame)} bytes and should have {manifest.size}")
    return frame


async def sweep_parts(client: Client, layout: Layout, held: Claim) -> int:
    """Remove what leaders before this one wrote and never committed, or what was cut off the log since.

    In fenced multis, so that a leader that is none any more removes nothing. Returns how many frames were removed.
    Raises Superseded, ZkError.
    """
    removed = 0
    for name in await names_in(client, layout.all_parts):
        epoch, _, uuid = name.partition("-")
        if not numbers([epoch]) or int(epoch) >= held.number:
            continue
        folder = f"{layout.all_parts}/{name}"
        if await _is_in_log(client, layout, folder, uuid):
            continue
        removed += await remove_folder(client, held, folder)
    return removed


async def _is_in_log(client: Client, layout: Layout, folder: str, uuid: str) -> bool:
    try:
        told, _ = await client.get(folder)
        offset = offset_of_parts(told)
        if offset is None:
            return False
        data, _ = await client.get(layout.entry(offset))
    except NoNode:
        return False
    manifest = Manifest.from_bytes(data, offset)
    return manifest is not None and manifest.uuid.hex() == uuid
