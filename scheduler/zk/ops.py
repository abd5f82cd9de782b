"""The operations of a multi: all of them happen, or none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from kazoo.exceptions import RolledBackError, RuntimeInconsistency
from kazoo.protocol.serialization import CheckVersion, Create, Delete, SetData

from scheduler.zk.errors import MultiRefused

__all__ = ["ANY_VERSION", "Op", "check", "create", "delete", "refuse", "set_data"]

ANY_VERSION: Final = -1


class Op(Protocol):
    """One of kazoo's requests."""

    @property
    def path(self) -> str: ...


def check(path: str, version: int) -> Op:
    """Refuse all of the multi unless the node exists and has this version."""
    op: Op = CheckVersion(path, version)
    return op


def create(path: str, data: bytes = b"", *, ephemeral: bool = False, sequence: bool = False) -> Op:
    """`sequence` appends ten digits to the name. Who may do what with the node is filled in by the client."""
    op: Op = Create(path, data, None, int(ephemeral) + 2 * int(sequence))
    return op


def set_data(path: str, data: bytes, version: int) -> Op:
    op: Op = SetData(path, data, version)
    return op


def delete(path: str, version: int = ANY_VERSION) -> Op:
    op: Op = Delete(path, version)
    return op


def refuse(ops: Sequence[Op], results: Sequence[Any]) -> None:
    """Raises MultiRefused if these are the results of a multi that was; all others are then said to be undone."""
    for index, result in enumerate(results):
        if isinstance(result, Exception) and not isinstance(result, (RolledBackError, RuntimeInconsistency)):
            raise MultiRefused(index, result, ops[index].path)
