"""The base: the state at an offset, as a file of chunks beside the tail.

Chunks are frames like entries, chained from the lineage on; each holds ops that build a part of the state. They are
about 512 KB each, the most that is sent to ZooKeeper in one request, unless one record alone is larger. A base is
written by a helper process, complete and durable, before anything points to it, and never changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from attrs import frozen

from scheduler.changelog.codec import decode_chunk, encode_chunk
from scheduler.changelog.configs import Configs
from scheduler.changelog.errors import Damaged
from scheduler.changelog.frame import OVERHEAD_BYTES, Header, Kind, genesis, open_frame, read_header
from scheduler.changelog.store import BASES, Pointer, sync_folder
from scheduler.core.ops import FORMAT_LEVEL, Op, SaveConfig, SaveTask, SaveUpdate
from scheduler.failpoints import failpoint

__all__ = ["CHUNK_BYTES", "Written", "base_path", "read_base", "sweep", "write_base"]

CHUNK_BYTES: Final = 512 * 1024


def base_path(data_dir: Path, generation: int) -> Path:
    return data_dir / f"base-{generation:08d}"


@frozen
class Written:
    """What a finished base amounts to."""

    chunks: int
    size_bytes: int
    checksum: bytes


def write_base(path: Path, ops: Iterable[Op], *, generation: int, lineage: bytes, configs: Configs) -> Written:
    """Write all ops, make them durable, read them back and check. A file that is there already is replaced."""
    previous, chunks, size = genesis(lineage), 0, 0
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    with path.open("wb") as file:
        for batch in _batches(ops):
            data, previous = encode_chunk(
                batch, position=chunks, generation=generation, lineage=lineage, previous=previous, configs=configs
            )
            file.write(data)
            chunks, size = chunks + 1, size + len(data)
            failpoint("fold-chunk")
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)
    written = Written(chunks, size, previous)
    for _ in _frames(path, lineage, written):
        pass
    return written


def _batches(ops: Iterable[Op]) -> Iterator[list[Op]]:
    """Cut where about CHUNK_BYTES are reached, by a rough guess of each op's size: exact sizes need encoding."""
    batch: list[Op] = []
    size = 0
    for op in ops:
        guess = _guess_bytes(op)
        if batch and size + guess > CHUNK_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(op)
        size += guess
    if batch:
        yield batch


def _guess_bytes(op: Op) -> int:
    """Rather too much than too little: texts that repeat in a chunk are stored once."""
    match op:
        case SaveConfig(config=config):
            return 600 + (len(config.executor.data.encode()) if config.executor else 0)
        case SaveTask(task):
            return 200 + sum(20 + len(event.message or "") for event in task.events)
        case SaveUpdate(update, progress):
            told = (*update.events, *update.instance_events)
            return 600 + sum(20 + len(event.message or "") for event in told) + 30 * len(progress)
        case _:
            return 100


def read_base(
    data_dir: Path, pointer: Pointer, lineage: bytes, configs: Configs, *, level: int = FORMAT_LEVEL
) -> Iterator[list[Op]]:
    """The ops, chunk by chunk. Every chunk is checked, and the last against the pointer. Raises Unreadable.

    `level` is the highest format level that is read; lower only in tests.
    """
    if pointer.generation == 0:
        return
    path = base_path(data_dir, pointer.generation)
    expected = Written(pointer.chunks, pointer.size_bytes, pointer.base_checksum)
    previous = genesis(lineage)
    for position, frame in enumerate(_frames(path, lineage, expected, pointer.covered)):
        ops, previous = decode_chunk(
            frame,
            position=position,
            covered=pointer.covered,
            lineage=lineage,
            previous=previous,
            configs=configs,
            level=level,
        )
        yield ops


def _frames(path: Path, lineage: bytes, expected: Written, covered: int | None = None) -> Iterator[bytes]:
    """Each frame once it is checked; after the last, that it is the last."""
    previous = genesis(lineage)
    try:
        with path.open("rb") as file:
            for position in range(expected.chunks):
                frame = _next_frame(file, path, covered)
                header = Header(Kind.CHUNK, position, 0, 0, bytes(16), lineage, previous)
                _, _, previous = open_frame(frame, header, covered)
                yield frame
            if file.read(1):
                raise Damaged(covered, f"{path.name} is longer than it should be")
    except OSError as error:
        raise Damaged(covered, f"{path.name} cannot be read ({error.strerror})") from error
    if previous != (expected.checksum):
        raise Damaged(covered, f"{path.name} is not the base that was written")


def _next_frame(file: BinaryIO, path: Path, covered: int | None) -> bytes:
    head = file.read(OVERHEAD_BYTES)
    header = read_header(head, covered)
    frame = head + file.read(header.length)
    if len(frame) != OVERHEAD_BYTES + header.length:
        raise Damaged(covered, f"{path.name} ends in the middle of a chunk")
    return frame


def sweep(data_dir: Path, keep: int) -> None:
    """Remove every base but generation `keep`: replaced ones, and what a helper that died left behind."""
    for path in data_dir.glob(BASES):
        if path != base_path(data_dir, keep):
            path.unlink(missing_ok=True)
