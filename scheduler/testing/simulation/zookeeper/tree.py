"""What one ZooKeeper server knows: the nodes, and what each write does to them. No time, no network.

Writes are carried out in the order of the ensemble's log; each server's tree goes through the same states. Held
against a real server, operation by operation, by tests/simulation/test_zookeeper_model.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import define, field, frozen
from kazoo.exceptions import (
    BadVersionError,
    NoChildrenForEphemeralsError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
    RolledBackError,
    RuntimeInconsistency,
    ZookeeperError,
)
from kazoo.protocol.serialization import CheckVersion, Create, Delete, SetData, Transaction
from kazoo.protocol.states import ZnodeStat

__all__ = ["CloseSession", "Touched", "Tree"]

_EPHEMERAL: Final = 1
_SEQUENCE: Final = 2
_ANY: Final = -1


@frozen
class CloseSession:
    """The write that ends a session: its ephemeral nodes go."""


@define
class Touched:
    """What watches may be waiting for, in the order it happened."""

    data: list[str] = field(factory=list)
    """Made, changed or removed."""
    children: list[str] = field(factory=list)
    """Whose children are others now, or which are gone themselves."""


@define(eq=False)
class _Node:
    data: bytes
    owner: int
    born: int
    changed: int
    children_changed: int
    version: int = 0
    births: int = 0
    """Children ever made here: what sequences count."""
    children: dict[str, None] = field(factory=dict)


def _split(path: str) -> tuple[str, str]:
    parent, _, name = path.rpartition("/")
    return parent or "/", name


class Tree:
    """One server's nodes. Requests are kazoo's own; results are what a client hears, errors included."""

    def __init__(self) -> None:
        self._nodes = {"/": _Node(b"", 0, 0, 0, 0)}
        self._owned: dict[int, dict[str, None]] = {}
        self._undo: list[Callable[[], object]] = []

    # --- reading ---

    def get(self, path: str) -> tuple[bytes, ZnodeStat]:
        """Raises NoNodeError."""
        return self._at(path).data, self.stat(path)

    def stat(self, path: str) -> ZnodeStat:
        """Raises NoNodeError."""
        node = self._at(path)
        below = len(node.children)
        return ZnodeStat(
            node.born,
            node.changed,
            0,
            0,
            node.version,
            2 * node.births - below,
            0,
            node.owner,
            len(node.data),
            below,
            node.children_changed,
        )

    def children(self, path: str) -> list[str]:
        """Raises NoNodeError."""
        return list(self._at(path).children)

    def _at(self, path: str) -> _Node:
        node = self._nodes.get(path)
        if node is None:
            raise NoNodeError
        return node

    # --- writing ---

    def write(self, zxid: int, session: int, request: Any) -> tuple[Any, Touched]:
        """The result, or the exception that is the result, and what was touched."""
        touched = Touched()
        self._undo.clear()
        if isinstance(request, CloseSession):
            for path in self._owned.pop(session, {}):
                self._remove(zxid, path, touched)
            return True, touched
        if isinstance(request, Transaction):
            return self._multi(zxid, session, request.operations, touched)
        try:
            return self._do(zxid, session, request, touched), touched
        except ZookeeperError as refused:
            return refused, touched

    def _multi(self, zxid: int, session: int, ops: Sequence[Any], touched: Touched) -> tuple[list[Any], Touched]:
        results: list[Any] = []
        for op in ops:
            try:
                results.append(self._do(zxid, session, op, touched))
            except ZookeeperError as refused:
                for undo in reversed(self._undo):
                    undo()
                before, after = len(results), len(ops) - len(results) - 1
                rolled_back = [RolledBackError() for _ in range(before)]
                return [*rolled_back, refused, *(RuntimeInconsistency() for _ in range(after))], Touched()
        return results, touched

    def _do(self, zxid: int, session: int, op: Any, touched: Touched) -> Any:
        if isinstance(op, Create):
            return self._create(zxid, session, op, touched)
        if isinstance(op, SetData):
            return self._set(zxid, op, touched)
        node = self._at(op.path)
        if op.version not in (_ANY, node.version):
            raise BadVersionError
        if isinstance(op, Delete):
            if node.children:
                raise NotEmptyError
            self._owned.get(node.owner, {}).pop(op.path, None)
            self._remove(zxid, op.path, touched)
        elif not isinstance(op, CheckVersion):
            raise TypeError(f"the pretended ZooKeeper does not know {op!r}")
        return True

    def _create(self, zxid: int, session: int, op: Create, touched: Touched) -> str:
        above, _ = _split(op.path)
        parent = self._at(above)
        path: str = op.path
        if op.flags & _SEQUENCE:
            path = f"{op.path}{parent.births:010d}"
        if path in self._nodes:
            raise NodeExistsError
        if parent.owner:
            raise NoChildrenForEphemeralsError
        owner = session if op.flags & _EPHEMERAL else 0
        before = parent.children_changed, parent.births
        self._nodes[path] = _Node(op.data, owner, zxid, zxid, zxid)
        parent.children[_split(path)[1]] = None
        parent.births += 1
        parent.children_changed = zxid
        if owner:
            self._owned.setdefault(owner, {})[path] = None

        def undo() -> None:
            del self._nodes[path]
            del parent.children[_split(path)[1]]
            parent.children_changed, parent.births = before
            self._owned.get(owner, {}).pop(path, None)

        self._undo.append(undo)
        touched.data.append(path)
        touched.children.append(above)
        return path

    def _set(self, zxid: int, op: SetData, touched: Touched) -> ZnodeStat:
        node = self._at(op.path)
        if op.version not in (_ANY, node.version):
            raise BadVersionError
        before = node.data, node.version, node.changed
        node.data, node.version, node.changed = op.data, node.version + 1, zxid

        def undo() -> None:
            node.data, node.version, node.changed = before

        self._undo.append(undo)
        touched.data.append(op.path)
        return self.stat(op.path)

    def _remove(self, zxid: int, path: str, touched: Touched) -> None:
        above, name = _split(path)
        node, parent = self._nodes.pop(path), self._nodes[above]
        before = parent.children_changed, dict(parent.children)
        del parent.children[name]
        parent.children_changed = zxid

        def undo() -> None:
            self._nodes[path] = node
            parent.children_changed, parent.children = before
            if node.owner:
                self._owned.setdefault(node.owner, {})[path] = None

        self._undo.append(undo)
        touched.data.append(path)
        touched.children += [path, above]
