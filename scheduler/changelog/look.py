"""Looking at a log without a server: every entry in order, checked, with nothing changed.

It reads as a scheduler reads at its start, so what it finds sound, a scheduler can start on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from scheduler.changelog.configs import Configs
from scheduler.changelog.datadir import LOCK_FILE, FileLock
from scheduler.changelog.errors import Damaged, DataDirRefused
from scheduler.changelog.load import load
from scheduler.changelog.store import check_wal, has_tables, open_for_reading
from scheduler.changelog.zookeeper import ZooKeeperChangelog
from scheduler.changelog.zookeeper_layout import Layout
from scheduler.contracts import Entry
from scheduler.core.ops import Op
from scheduler.core.state import State, apply
from scheduler.zk.client import Client

__all__ = ["Found", "look_into_folder", "look_into_zookeeper"]


@frozen
class Found:
    """A log that is sound to its end."""

    cluster: str
    lineage: str
    covered: int
    """The last offset in base or snapshot; 0: there is none."""
    offset: int
    epoch: int
    state: State


def look_into_folder(folder: Path, passed: Callable[[Entry], None], *, durable: bool = True) -> Found:
    """Base and tail. `passed` is told each entry of the tail. Not `durable`: it is a copy of what is kept elsewhere.

    Raises Unreadable, DataDirRefused, OSError.
    """
    state = State()
    if durable and not FileLock.is_held(folder / LOCK_FILE):  # a server that runs is writing there
        check_wal(folder)
    db = open_for_reading(folder)
    try:
        if not has_tables(db):
            raise DataDirRefused(f"there is no changelog in {folder} yet")
        found = load(db, folder, lambda op: apply(state, op), Configs(), passed=passed)
    except sqlite3.Error as error:
        raise Damaged(None, f"SQLite cannot read it ({error})") from error
    finally:
        db.close()
    return Found(found.cluster, found.lineage, found.base.covered, found.offset, found.epoch, state)


async def look_into_zookeeper(client: Client, root: str, passed: Callable[[Entry], None]) -> Found:
    """Snapshot and log. `passed` is told each entry behind the snapshot.

    Raises DataDirRefused when there is none, Unreadable, Refusal, ZkError.
    """
    layout = Layout(root)
    if await client.exists(layout.head) is None:
        raise DataDirRefused(f"there is no log at {root} in ZooKeeper")
    changelog = ZooKeeperChangelog(client, layout)
    changelog.on_entry = passed
    states: list[State] = []

    def begin() -> Callable[[Op], None]:
        state = State()
        states.append(state)
        return lambda op: apply(state, op)

    await changelog.open()
    take = changelog.load(begin)
    covered = changelog.offset
    await changelog.follow(take)
    await changelog.close()
    state = states[-1]
    return Found("", changelog.lineage, covered, changelog.offset, state.epoch, state)
