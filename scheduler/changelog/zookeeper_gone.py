"""Somebody removed the log in ZooKeeper, or what says who writes it: sentences for an operator. No waiting mends it,
and to begin anew would lose what is acknowledged, so the scheduler ends with them.
"""

from __future__ import annotations

from scheduler.changelog.errors import Unreadable
from scheduler.changelog.zookeeper_layout import Layout

__all__ = ["LogIsGone", "epoch_is_gone", "log_is_gone"]


class LogIsGone(Unreadable):
    """ZooKeeper has no log, but this scheduler has read one: beginning a new one there would lose it."""


def log_is_gone(layout: Layout, offset: int, lineage: bytes) -> LogIsGone:
    """`offset` is that of the last entry that was read, `lineage` its history."""
    return LogIsGone(
        f"there is no log at {layout.root} in ZooKeeper, but this scheduler has read entry {offset}"
        f" of the history {lineage.hex()}: check --zk-endpoints and --zk-chroot-path; if ZooKeeper has lost"
        " its data restore it, and to begin with an empty cluster move the data directory away"
    )


def epoch_is_gone(epoch: int, why: str) -> LogIsGone:
    """`epoch` is that of the last entry that was read. A node put back by hand is as good as the one before, since a
    commit is held against the version of the head too.
    """
    return LogIsGone(
        f"nobody can lead, since the epoch cannot be read: {why}; with all schedulers stopped, put"
        f' {{"number": {epoch}, "holder": ""}} there: the number is that of the log\'s last entry'
        " (`thesan log dump`), or any above it"
    )
