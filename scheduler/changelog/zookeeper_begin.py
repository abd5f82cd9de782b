"""A log in ZooKeeper where there is none, unless that would lose one."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

from scheduler.changelog.checkpoint import End
from scheduler.changelog.zookeeper_gone import log_is_gone
from scheduler.changelog.zookeeper_layout import Head, Layout
from scheduler.changelog.zookeeper_reading import read_head
from scheduler.zk.client import Client
from scheduler.zk.epoch import epoch_bytes
from scheduler.zk.errors import MultiRefused, NoNode
from scheduler.zk.ops import create

__all__ = ["begin_log"]


async def begin_log(client: Client, layout: Layout, read_before: Callable[[], End | None]) -> Head:
    """The head of the log that was begun, by us or by somebody else meanwhile.

    `read_before` tells what this scheduler has read of a log, and may raise when it cannot know.
    Raises LogIsGone, MultiRefused, ZkError.
    """
    end = read_before()
    if end is not None and end.offset > 0:
        raise log_is_gone(layout, end.offset, end.lineage)
    head = Head.of_new_log(uuid4().bytes)
    nodes = [
        create(layout.epoch, epoch_bytes(0, "")),
        create(layout.head, head.to_bytes()),
        create(layout.log),
        create(layout.folder(0)),
        create(layout.all_parts),
    ]
    try:
        await client.multi(nodes)
    except MultiRefused as refused:
        try:
            head, _ = await read_head(client, layout)
        except NoNode:
            raise refused from None
        # Somebody else began it.
    return head
