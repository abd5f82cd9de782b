"""The lease: how long a leader may still speak for the state, by its own clock.

ZooKeeper ends a session T after it last heard of it, T being the granted timeout. A client cannot see what was heard:
pings are answered also by a server that is cut off from the others. But a *write* that was answered was seen by the
quorum, no earlier than it was sent. So until `sent + T` nobody else leads, and two thirds of that are used.

The lease guards answers and effects. The log does not need it: that has the fence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from scheduler.zk.client import Client
from scheduler.zk.clock import boot_ms
from scheduler.zk.epoch import Claim, prove
from scheduler.zk.errors import ZkError

__all__ = ["Lease", "keep_lease", "lapse", "lease_until_ms", "renew_at_ms"]


def lease_until_ms(sent_ms: int, session_timeout_ms: int) -> int:
    """Until when a write that was sent then, and answered, lets a leader speak."""
    return sent_ms + session_timeout_ms * 2 // 3


def renew_at_ms(sent_ms: int, session_timeout_ms: int) -> int:
    """When to prove it again, if nothing else was written since: the first proof may get lost, and one more."""
    return sent_ms + session_timeout_ms // 4


class Lease:
    """Of one epoch. Milliseconds of CLOCK_BOOTTIME, which counts on while the machine sleeps."""

    def __init__(self, now_ms: Callable[[], int] = boot_ms, *, renewed: Callable[[], None] = lambda: None) -> None:
        """`renewed` is called each time that it is."""
        self._now_ms = now_ms
        self._renewed = renewed
        self.sent_ms = 0
        """When the newest write was sent that is known to have passed the quorum."""
        self.until_ms = 0

    def renew(self, sent_ms: int, session_timeout_ms: int) -> None:
        """A write that was sent then was answered. Answers may come late, so an older one changes nothing."""
        self.sent_ms = max(self.sent_ms, sent_ms)
        self.until_ms = max(self.until_ms, lease_until_ms(sent_ms, session_timeout_ms))
        self._renewed()

    def end(self) -> None:
        """Given up, or lost."""
        self.until_ms = 0

    @property
    def left_ms(self) -> int:
        """0 when it is over."""
        return max(0, self.until_ms - self._now_ms())

    @property
    def is_valid(self) -> bool:
        """To be looked at before decisions, answers and effects, and first of all after the loop was late."""
        return self._now_ms() < self.until_ms


async def lapse(lease: Lease) -> None:
    """Wait until it is over. It may be renewed again later."""
    while lease.left_ms:  # noqa: ASYNC110
        await asyncio.sleep(lease.left_ms / 1000)


async def keep_lease(client: Client, held: Claim, lease: Lease) -> None:
    """Renew it whenever no commit did. Never returns; raises Superseded when the epoch is over, SessionOver."""
    while True:
        wait_ms = renew_at_ms(lease.sent_ms, client.session_timeout_ms) - boot_ms()
        if wait_ms > 0:
            await asyncio.sleep(wait_ms / 1000)
            continue
        sent_ms = boot_ms()
        try:
            await prove(client, held)
        except ZkError:
            await client.connected()
            continue
        lease.renew(sent_ms, client.session_timeout_ms)
