"""One epoch in ZooKeeper: its lease is kept, its advertisement too, and its end is noticed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Final

from scheduler.changelog.zookeeper import ZooKeeperChangelog
from scheduler.contracts import Changelog, Entry, Fenced, Permission, Unavailable
from scheduler.core.state import State
from scheduler.leadership.race import cancel
from scheduler.leadership.steps import Steps
from scheduler.leadership.tenure import Tenure
from scheduler.leadership.term import Copies
from scheduler.zk.client import Client
from scheduler.zk.election import Election
from scheduler.zk.errors import Refusal, SessionOver, Superseded, ZkError
from scheduler.zk.lease import keep_lease
from scheduler.zk.serverset import Advertisement, Endpoint

LOG = logging.getLogger("thesan")

ADVERTISE_WITHIN_S: Final = 1.0
"""Then it is tried on in the background: a leader that answers is better than one that waits."""
LEAVE_WITHIN_S: Final = 1.0
"""Whoever cannot say good-bye in time is missed when the session ends."""


class Through:
    """The changelog as the driver sees it: a broken connection is waited for, as long as the session lasts."""

    def __init__(self, changelog: ZooKeeperChangelog) -> None:
        self._changelog = changelog

    async def append(self, entry: Entry) -> None:
        await self._changelog.append_through(entry)


class SharedTerm:
    """Implements `Term`."""

    def __init__(
        self,
        state: State,
        changelog: ZooKeeperChangelog,
        steps: Steps,
        tenure: Tenure,
        format_level: int,
        *,
        client: Client,
        election: Election,
        path: str,
        advertised: Endpoint,
        scheme: str,
    ) -> None:
        self.state = state
        self.changelog: Changelog = Through(changelog)
        self.epoch = changelog.held.number
        self.offset = changelog.offset
        self.lineage = changelog.lineage
        self.steps = steps
        self._snapshots = changelog.snapshots()
        self.copies: Copies = self._snapshots
        self.permission: Permission = tenure
        self._tenure = tenure
        self.format_level = format_level
        self._log = changelog
        self._client = client
        self._election = election
        self._advertisement = Advertisement(client, path, changelog.held, advertised, scheme=scheme)
        self._keeping: list[asyncio.Task[None]] = [
            asyncio.create_task(keep_lease(client, changelog.held, tenure.lease), name="lease")
        ]

    def figures(self) -> Mapping[str, int]:
        """Of snapshots, for those who watch."""
        made = self._snapshots.last
        return {
            "snapshot_offset": 0 if made is None else made.base.covered,
            "snapshot_generation": 0 if made is None else made.base.generation,
            "snapshot_failed": int(self._snapshots.failure is not None),
            "log_cut_entries": self._snapshots.cut_entries,
        }

    async def advertise(self) -> None:
        with contextlib.suppress(ZkError, Refusal, Superseded):  # `over` will tell
            await self._advertisement.publish(ADVERTISE_WITHIN_S)
        self._keeping.append(asyncio.create_task(self._advertisement.keep(), name="advertisement"))
        self._keeping.append(asyncio.create_task(self._sweep(), name="sweep"))
        self._keeping.append(asyncio.create_task(self._snapshots.run(), name="snapshots"))

    async def _sweep(self) -> None:
        """What dead leaders left is removed once; whoever leads next tries again."""
        with contextlib.suppress(ZkError, Refusal, Fenced):
            await self._client.patiently(self._log.sweep_parts, self._client.session_timeout_ms / 1000)
        await asyncio.Future()

    async def over(self, told: Callable[[bool], None]) -> str:
        losing = asyncio.create_task(self._election.lose(), name="candidate")
        telling = asyncio.create_task(self._tell(told), name="permission")
        ends = (losing, telling, *self._keeping)
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for task in ends:
                if task.done() and task is not losing:
                    task.result()
            losing.result()
            return "its candidate was removed"
        except Superseded as newer:
            raise Fenced(str(newer)) from newer
        except SessionOver as over:
            raise Fenced(f"the session with ZooKeeper is over: {over}") from over
        except Refusal as refused:  # somebody meddles: as a standby we look at everything anew
            raise Unavailable(str(refused)) from refused
        finally:
            await cancel(losing, telling)

    async def _tell(self, told: Callable[[bool], None]) -> None:
        while True:
            await self._tenure.lost()
            told(False)
            await self._tenure.regained()
            told(True)

    async def withdraw(self) -> None:
        await cancel(*self._keeping[1:])
        with contextlib.suppress(ZkError, Refusal):
            await self._advertisement.withdraw(LEAVE_WITHIN_S)

    async def leave(self) -> None:
        await cancel(*self._keeping)
        self._tenure.lease.end()
        with contextlib.suppress(ZkError, Refusal):
            await self._election.leave(LEAVE_WITHIN_S)
