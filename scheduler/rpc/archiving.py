"""Snapshots, backups and recovery: the calls that go to the archive. See `contracts.Archive`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from scheduler.contracts import Archive, Ticket
from scheduler.core import recovery
from scheduler.core.answers import OK, Answer
from scheduler.core.policy import Policy
from scheduler.core.queries import Backups
from scheduler.core.state import State
from scheduler.rpc import from_thrift
from scheduler.rpc.port import Core

__all__ = ["AT_ONCE", "NAMES", "WAITING", "leads"]


def leads(state: State, policy: Policy) -> Answer:
    """To be asked before anything that waits: without a leader the answer is another one."""
    return OK


async def _snapshot(args: Any, archive: Archive) -> Answer:
    await archive.snapshot()
    return OK


async def _perform_backup(args: Any, archive: Archive) -> Answer:
    await archive.back_up()
    return OK


async def _list_backups(args: Any, archive: Archive) -> Answer:
    return Answer(result=Backups(tuple(await archive.backups())))


async def _stage_recovery(args: Any, archive: Archive) -> Answer:
    await archive.stage(args.backupId or "")
    return OK


def _query_recovery(args: Any, core: Core, archive: Archive) -> Ticket:
    _, staged = archive.staged()
    return core.read(recovery.query, staged, from_thrift.task_query(args.query))


def _delete_recovery_tasks(args: Any, core: Core, archive: Archive) -> Ticket:
    _, staged = archive.staged()
    return core.read(recovery.delete_tasks, staged, from_thrift.task_query(args.query))


def _commit_recovery(args: Any, core: Core, archive: Archive) -> Ticket:
    ticket = core.write(recovery.restore, *archive.staged())
    if ticket.answer.ok:
        archive.unload()
    return ticket


def _unload_recovery(args: Any, core: Core, archive: Archive) -> Ticket:
    archive.unload()
    return core.read(leads)


WAITING: Final[dict[str, Callable[[Any, Archive], Awaitable[Answer]]]] = {
    "snapshot": _snapshot,
    "performBackup": _perform_backup,
    "listBackups": _list_backups,
    "stageRecovery": _stage_recovery,
}
"""These take as long as a disk or ZooKeeper takes."""

AT_ONCE: Final[dict[str, Callable[[Any, Core, Archive], Ticket]]] = {
    "queryRecovery": _query_recovery,
    "deleteRecoveryTasks": _delete_recovery_tasks,
    "commitRecovery": _commit_recovery,
    "unloadRecovery": _unload_recovery,
}

NAMES: Final = (*WAITING, *AT_ONCE)
