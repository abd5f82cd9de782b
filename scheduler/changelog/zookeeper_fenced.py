"""What a leader writes beside its commits: fenced, so that one that is none any more publishes and removes nothing."""

from __future__ import annotations

from typing import Final

from scheduler.zk.client import Client
from scheduler.zk.epoch import Claim
from scheduler.zk.errors import MultiRefused, NoNode, NotEmpty, Superseded
from scheduler.zk.ops import Op, delete

__all__ = ["DELETES", "fenced", "names_in", "remove_folder"]

DELETES: Final = 200
"""Nodes removed in one multi: a few milliseconds of the server's, so that a commit waits no longer behind it."""


async def fenced(client: Client, held: Claim, *ops: Op) -> None:
    """One multi of this epoch. Raises Superseded, MultiRefused when it was refused for another reason, ZkError."""
    try:
        await client.multi([held.fence(), *ops])
    except MultiRefused as refused:
        if refused.index == 0:
            raise Superseded(f"epoch {held.number} is over") from None
        raise


async def names_in(client: Client, folder: str) -> list[str]:
    """None when somebody removed the folder: there is nothing to tidy up in it. Raises ZkError."""
    try:
        return await client.children(folder)
    except NoNode:
        return []


async def remove_folder(client: Client, held: Claim, folder: str) -> bool:
    """A folder of parts and what is in it. False when somebody else is at it, and it is left to them.

    That is an old leader that writes into it and does not know yet, or we ourselves: dead leaders' parts are swept, and
    those of entries that were cut off are removed, and one folder may be both. The next sweep finds what is left.
    Raises Superseded, ZkError.
    """
    try:
        parts = await client.children(folder)
        for first in range(0, len(parts), DELETES):
            await fenced(client, held, *(delete(f"{folder}/{part}") for part in parts[first : first + DELETES]))
        await fenced(client, held, delete(folder))
    except NoNode:
        return False
    except MultiRefused as refused:
        if not isinstance(refused.error, (NoNode, NotEmpty)):
            raise
        return False
    return True
