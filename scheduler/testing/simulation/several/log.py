"""What is written to the pretended ZooKeeper, seen where it is: each entry once, and nothing goes that is needed yet.

The rules judge from the transactions themselves. What a snapshot holds is judged by those who begin with it: they are
compared with the log as standbys are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from attrs import define
from kazoo.exceptions import BadVersionError, NoNodeError
from kazoo.protocol.serialization import Create, Delete, SetData, Transaction

from scheduler.changelog.frame import read_header
from scheduler.changelog.zookeeper_layout import Layout, Manifest
from scheduler.changelog.zookeeper_reading import Position
from scheduler.changelog.zookeeper_snapshot import Snapshot
from scheduler.contracts import Entry
from scheduler.core.ops import FORMAT_LEVEL, EpochBegun
from scheduler.testing.simulation.broken import Broken
from scheduler.testing.simulation.zookeeper.tree import Tree
from scheduler.zk.election import PREFIX as CANDIDATE

if TYPE_CHECKING:
    from scheduler.testing.simulation.several.world import SeveralWorld

LOG_ROOT: Final = "/thesan/log"
SERVERSET: Final = "/thesan/scheduler"
LAYOUT: Final = Layout(LOG_ROOT, entry_bytes=700, part_bytes=400, folder_entries=60, reads_at_once=2)
"""So small that entries in parts, snapshots of several parts, and folders that come and go are common."""


@define(eq=False)
class _Snapshots:
    """That which counts, and the one before it, whose coverage is what may be cut off."""

    now: Snapshot | None = None
    before: Snapshot | None = None

    def are_needed(self, folder: str) -> bool:
        return folder in {one.folder for one in (self.now, self.before) if one is not None}


class LogWatch:
    """Told of everything that the ensemble agrees on."""

    def __init__(self, world: SeveralWorld) -> None:
        self._world = world
        self.epoch = 0
        """That was claimed last."""
        self.given: dict[bytes, Entry] = {}
        """What was given to the changelog, by its uuid."""
        self._position: Position | None = None
        """Of a reader that misses nothing, and whose state is the mirror."""
        self._checksums = [b""]
        """Of each entry, by its offset."""
        self._first = 1
        """The oldest entry that is there."""
        self._parts: dict[int, str] = {}
        """Which entries are kept in parts, and where."""
        self._had_entry: set[str] = set()
        """Folders of parts whose entry is in the log, or was."""
        self._snapshots = _Snapshots()
        self._had_pointer: set[str] = set()
        self._standing: dict[str, int] = {}
        """Who stood for election when the epoch was claimed, and which format level each reads."""
        self._level = FORMAT_LEVEL
        """What every reader of this epoch understands."""

    @property
    def _tree(self) -> Tree:
        assert self._world.ensemble.leader is not None
        return self._world.ensemble.leader.tree

    def _met(self, what: str) -> None:
        self._world.coverage.note("met", what)

    def committed(self, zxid: int, session: int, request: Any, result: Any) -> None:
        """By the ensemble, or refused by it."""
        operations = [request]
        if isinstance(request, Transaction):
            operations = request.operations
            if any(isinstance(one, Exception) for one in result):
                self._refused(operations, result)
                return
        elif isinstance(result, Exception):
            return
        for op in operations:
            if isinstance(op, Delete):
                self._removed(op.path)
            elif isinstance(op, Create | SetData):
                self._written(op.path, op.data, session)

    def _refused(self, operations: list[Any], result: list[Any]) -> None:
        self._met("a multi that was refused")
        if len(operations) > 1 and operations[0].path == LAYOUT.epoch and isinstance(result[0], BadVersionError):
            self._met("a write of a leader that was none any more, refused")

    def _written(self, path: str, data: bytes, session: int) -> None:
        above, _, name = path.rpartition("/")
        if above.startswith(f"{LAYOUT.log}/"):
            self._appended(int(name), data)
        elif path == LAYOUT.epoch and (number := int(json.loads(data)["number"])):
            self._claimed(session, number)
        elif path == LAYOUT.snapshot:
            self._pointed(Snapshot.from_bytes(data))

    # --- entries ---

    def _appended(self, offset: int, data: bytes) -> None:
        frame = self._whole(offset, data)
        header = read_header(frame)
        if self._position is None:
            self._position = Position(header.lineage)
        as_read, checksum = self._position.read(frame)
        self._position.move(as_read, checksum)
        self._checksums.append(checksum)
        entry, world = self.given.pop(as_read.uuid), self._world
        if entry.epoch != self.epoch:
            world.fail(Broken("fenced", f"entry {offset} of epoch {entry.epoch} lands in epoch {self.epoch}"))
        if isinstance(entry.ops[0], EpochBegun):
            self._begun(entry.epoch)
        if header.level > self._level:
            told = f"entry {offset} has format level {header.level}, and a candidate reads up to {self._level}"
            world.fail(Broken("everybody can read", told))
        world.appended(entry, as_read)

    def _whole(self, offset: int, data: bytes) -> bytes:
        """Its frame: what stands in the log, or the parts that this names."""
        manifest = Manifest.from_bytes(data, offset)
        if manifest is None:
            return data
        self._met("an entry in parts")
        folder = LAYOUT.parts(manifest.epoch, manifest.uuid)
        self._parts[offset] = folder
        self._had_entry.add(folder)
        try:
            return b"".join(self._tree.get(f"{folder}/{number}")[0] for number in range(manifest.parts))
        except NoNodeError:
            raise Broken("parts stay with their entry", f"parts of entry {offset} are missing") from None

    # --- epochs ---

    def _claimed(self, session: int, number: int) -> None:
        if number != self.epoch + 1:
            self._world.fail(Broken("epochs", f"epoch {number} is claimed after epoch {self.epoch}"))
        self.epoch = number
        self._standing = dict(self._candidates())
        self._world.claimed(session)

    def _candidates(self) -> Iterator[tuple[str, int]]:
        for name in self._tree.children(SERVERSET):
            if name.startswith(CANDIDATE):
                yield name, int(json.loads(self._tree.get(f"{SERVERSET}/{name}")[0])["reads"])

    def _begun(self, epoch: int) -> None:
        """Whoever stood all the time since the claim was seen by the new leader."""
        still = dict(self._candidates())
        self._level = min([level for name, level in self._standing.items() if name in still], default=FORMAT_LEVEL)
        if self._level < FORMAT_LEVEL:
            self._met("an epoch at a lower format level")

    # --- snapshots ---

    def _pointed(self, new: Snapshot) -> None:
        """A snapshot counts from here on."""
        old, base = self._snapshots.now, new.base
        wrong = None
        if base.covered >= len(self._checksums) or base.checksum != self._checksums[base.covered]:
            wrong = f"it covers entry {base.covered}, and that is another one in the log"
        elif old is not None and base.covered <= old.base.covered:
            wrong = f"it covers entry {base.covered}, and the one before covered {old.base.covered}"
        else:
            folder = LAYOUT.snapshot_parts(new.folder)
            missing = set(map(str, range(new.parts))) - set(self._tree.children(folder))
            wrong = f"its parts {sorted(missing)} are missing" if missing else None
        if wrong:
            self._world.fail(Broken("a snapshot is whole", wrong))
        self._snapshots = _Snapshots(new, old)
        self._had_pointer.add(new.folder)
        self._met("a snapshot")

    # --- what goes ---

    def _removed(self, path: str) -> None:
        if path.startswith(f"{LAYOUT.log}/"):
            folder, _, offset = path.removeprefix(f"{LAYOUT.log}/").partition("/")
            if offset:
                self._cut(int(offset))
            else:
                self._met("a folder of the log, removed")
        elif path.startswith(f"{LAYOUT.all_parts}/"):
            self._removed_part(path)
        elif path.startswith(f"{LAYOUT.all_snapshots}/"):
            folder, _, part = path.removeprefix(f"{LAYOUT.all_snapshots}/").partition("/")
            if self._snapshots.are_needed(folder):
                self._world.fail(Broken("a snapshot is whole", f"part {part} of one that is needed is removed"))
            elif not part:
                known = folder in self._had_pointer
                self._met("an old snapshot, removed" if known else "parts of a snapshot that never counted, removed")

    def _cut(self, offset: int) -> None:
        """An entry is cut off the log: the oldest, and only behind the snapshot before the one that counts."""
        before = self._snapshots.before
        most = 0 if before is None else before.base.covered
        if offset != self._first:
            self._world.fail(Broken("the log is one piece", f"entry {offset} is cut off, entry {self._first} is there"))
        if offset > most:
            told = f"entry {offset} is cut off, and the snapshot before covers the log up to {most}"
            self._world.fail(Broken("nothing needed is cut off", told))
        self._first = offset + 1
        self._parts.pop(offset, None)
        self._met("the log is cut")

    def _removed_part(self, path: str) -> None:
        above, _, name = path.rpartition("/")
        is_folder = above == LAYOUT.all_parts
        folder = path if is_folder else above
        for offset, needed in self._parts.items():
            if needed == folder:
                self._world.fail(Broken("parts stay with their entry", f"{name} of entry {offset} is removed"))
        if is_folder:
            known = folder in self._had_entry
            self._met("parts of an entry that was cut off, removed" if known else "parts without a manifest, swept")
