"""Where things are in ZooKeeper, and what is in them. See docs/zookeeper.md.

epoch                       {number, holder}; its version is the fence
head                        {next, checksum, lineage}: the offset the next entry gets, the checksum of the last one
log/<offset / 1000>/<offset>   an entry's frame, or the manifest of one that is kept in parts
parts/<epoch>-<uuid>/<i>    a piece of a frame that is too large for one request
snapshot                    which copy of the state counts, and what it covers (`zookeeper_snapshot.py`)
snapshots/<epoch>-<uuid>/<i>   a piece of such a copy
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final

from attrs import frozen

from scheduler.changelog.errors import Damaged
from scheduler.changelog.frame import genesis
from scheduler.changelog.packing import PART_BYTES
from scheduler.zk.errors import MISREAD

__all__ = ["Head", "Layout", "Manifest", "numbers"]

_MANIFEST: Final = b"TSNm"
_NUMBER: Final = re.compile(r"0|[1-9][0-9]*")


def numbers(names: Iterable[str]) -> list[int]:
    """Those of the names that a log gives its nodes, in order. Others are somebody else's, and are left alone."""
    return sorted(int(name) for name in names if _NUMBER.fullmatch(name))


@frozen
class Layout:
    """The paths of one log, and how much is told or asked at a time. `root` is a path like "/thesan/east".

    All schedulers of a log have the same. Smaller sizes are for tests, and for the simulator.
    """

    root: str
    entry_bytes: int = 400 * 1024
    """The largest frame that stands in the log itself: with the rest of its multi it stays below 512 KB."""
    part_bytes: int = PART_BYTES
    folder_entries: int = 1000
    """So that no list of names is long."""
    reads_at_once: int = 64
    """Entries asked for at a time. More bring nothing: ZooKeeper answers 3,000 to 7,000 a second."""

    @property
    def epoch(self) -> str:
        return f"{self.root}/epoch"

    @property
    def head(self) -> str:
        return f"{self.root}/head"

    @property
    def log(self) -> str:
        return f"{self.root}/log"

    @property
    def all_parts(self) -> str:
        return f"{self.root}/parts"

    @property
    def snapshot(self) -> str:
        return f"{self.root}/snapshot"

    @property
    def all_snapshots(self) -> str:
        return f"{self.root}/snapshots"

    def snapshot_parts(self, name: str) -> str:
        return f"{self.root}/snapshots/{name}"

    def folder(self, offset: int) -> str:
        return f"{self.root}/log/{offset // self.folder_entries}"

    def entry(self, offset: int) -> str:
        return f"{self.root}/log/{offset // self.folder_entries}/{offset}"

    def last_of_folder(self, number: int) -> int:
        """The highest offset that belongs into this folder of the log."""
        return (number + 1) * self.folder_entries - 1

    def opens_folder(self, offset: int) -> bool:
        """Does this entry have to make its folder? The first one is made with the log."""
        return offset % self.folder_entries == 0

    def parts(self, epoch: int, uuid: bytes) -> str:
        return f"{self.root}/parts/{epoch}-{uuid.hex()}"

    def pieces(self, frame: bytes) -> list[bytes]:
        """A frame cut for parts."""
        return [frame[at : at + self.part_bytes] for at in range(0, len(frame), self.part_bytes)]


@frozen
class Head:
    """Where the log ends. `next` is the offset of the entry to come; `checksum` and `lineage` have 16 bytes."""

    next: int
    checksum: bytes
    lineage: bytes

    @classmethod
    def of_new_log(cls, lineage: bytes) -> Head:
        return cls(1, genesis(lineage), lineage)

    def to_bytes(self) -> bytes:
        told = {"next": self.next, "checksum": self.checksum.hex(), "lineage": self.lineage.hex()}
        return json.dumps(told).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Head:
        """Raises Damaged."""
        try:
            told = json.loads(data)
            if not 0 < int(told["next"]) < 2**62:
                raise ValueError(f"next is {told['next']}")
            return cls(int(told["next"]), bytes.fromhex(told["checksum"]), bytes.fromhex(told["lineage"]))
        except MISREAD as error:
            raise Damaged(None, f"the head of the log in ZooKeeper cannot be read ({error!r})") from None


@frozen
class Manifest:
    """Stands in the log for a frame that is kept in parts. `checksum` is the frame's."""

    epoch: int
    uuid: bytes
    previous: bytes
    checksum: bytes
    parts: int
    size: int

    def to_bytes(self) -> bytes:
        told = {
            "epoch": self.epoch,
            "uuid": self.uuid.hex(),
            "previous": self.previous.hex(),
            "checksum": self.checksum.hex(),
            "parts": self.parts,
            "size": self.size,
        }
        return _MANIFEST + json.dumps(told).encode()

    @classmethod
    def from_bytes(cls, data: bytes, offset: int) -> Manifest | None:
        """None when it is not a manifest. Raises Damaged."""
        if not data.startswith(_MANIFEST):
            return None
        try:
            told: dict[str, Any] = json.loads(data[len(_MANIFEST) :])
            uuid, previous, checksum = (bytes.fromhex(told[name]) for name in ("uuid", "previous", "checksum"))
            return cls(int(told["epoch"]), uuid, previous, checksum, int(told["parts"]), int(told["size"]))
        except MISREAD as error:
            raise Damaged(offset, f"its manifest cannot be read ({error!r})") from None
