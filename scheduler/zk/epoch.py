"""The epoch: who writes. A number that only grows, with the name of its holder, in one node.

To win an election is only to be asked to claim. What excludes all others is the *version* of this node: each commit
checks it, so from the moment the claim stands no earlier leader can write, however late its request arrives.
"""

from __future__ import annotations

import json

from attrs import frozen

from scheduler.zk.client import Client
from scheduler.zk.errors import MISREAD, BadVersion, MultiRefused, NoNode, Superseded, UnreadableEpoch
from scheduler.zk.ops import ANY_VERSION, Op, check, set_data

__all__ = ["Claim", "claim", "epoch_bytes", "prove", "read_epoch"]


@frozen
class Claim:
    """An epoch. `holder` is 32 hexadecimal digits, made anew for each claim; `version` is that of the node."""

    path: str
    number: int
    holder: str
    version: int

    def fence(self) -> Op:
        """The operation that makes a multi fail once this epoch is over. Put it first."""
        return check(self.path, self.version)


def epoch_bytes(number: int, holder: str) -> bytes:
    return json.dumps({"number": number, "holder": holder}).encode()


async def read_epoch(client: Client, path: str) -> Claim:
    """Raises UnreadableEpoch, ZkError."""
    try:
        data, stat = await client.get(path)
        told = json.loads(data)
        number = int(told["number"])
        if not 0 <= number < 2**62:
            raise ValueError(f"the number {number}")
        return Claim(path, number, str(told["holder"]), stat.version)
    except NoNode as missing:
        raise UnreadableEpoch(str(missing)) from None
    except MISREAD as wrong:
        raise UnreadableEpoch(f"{path} in ZooKeeper holds something else ({wrong!r})") from None


async def claim(client: Client, path: str, holder: str, *, candidate: str | None = None, within_s: float) -> Claim:
    """Begin the next epoch. `holder` must never have been used before.

    `candidate`, the path of the candidate that won, must still exist: a claim that was overtaken by the end of its
    session does nothing. When an answer is lost, the node says whose epoch it is.
    Raises Superseded, UnreadableEpoch, Refusal, SessionOver, and after `within_s` NotSent or Unanswered.
    """
    return await client.patiently(lambda: _claim_once(client, path, holder, candidate), within_s)


async def _claim_once(client: Client, path: str, holder: str, candidate: str | None) -> Claim:
    await client.sync(path)
    last = await read_epoch(client, path)
    if last.holder == holder:
        return last
    guard = [] if candidate is None else [check(candidate, ANY_VERSION)]
    try:
        results = await client.multi([*guard, set_data(path, epoch_bytes(last.number + 1, holder), last.version)])
    except MultiRefused as refused:
        if guard and refused.index == 0:
            raise Superseded("the candidate is gone: the election was lost before the epoch was claimed") from None
        if not isinstance(refused.error, BadVersion):
            raise
        now = await read_epoch(client, path)
        if now.holder == holder:  # an earlier try of ours arrived late
            return now
        raise Superseded(f"epoch {now.number} was claimed by {now.holder} at the same time") from None
    return Claim(path, last.number + 1, holder, results[-1].version)


async def prove(client: Client, held: Claim) -> None:
    """A write of nothing, which passes the quorum: returns when the epoch still held. Raises Superseded, Refusal,
    ZkError."""
    try:
        await client.multi([held.fence()])
    except MultiRefused as refused:
        if isinstance(refused.error, (BadVersion, NoNode)):
            raise Superseded(f"epoch {held.number} is over") from None
        raise
