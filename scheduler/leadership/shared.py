"""ZooKeeper mode: several schedulers share one log; one of them leads, the others follow it and stand for election.

A `Shared` is one scheduler's part in that. While it stands by it outlives sessions: what it has read is kept. Once it
has led it is thrown away, whatever the reason, and another one begins with a fresh state (docs/zookeeper.md).
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from attrs import frozen

from scheduler.changelog.checkpoint_missing import CheckpointIsBack
from scheduler.changelog.zookeeper import ZooKeeperChangelog
from scheduler.changelog.zookeeper_follower import Follower
from scheduler.changelog.zookeeper_layout import Layout
from scheduler.changelog.zookeeper_reading import Truncated
from scheduler.contracts import ChangelogError, Unavailable
from scheduler.core.ops import Op
from scheduler.leadership.race import cancel, meanwhile
from scheduler.leadership.reader import Reader
from scheduler.leadership.shared_term import SharedTerm
from scheduler.leadership.steps import Steps
from scheduler.leadership.tenure import Tenure
from scheduler.zk.client import Client, Condition
from scheduler.zk.clock import boot_ms
from scheduler.zk.election import Election, candidates
from scheduler.zk.errors import MISREAD, Refusal, SessionOver, ZkError
from scheduler.zk.serverset import Endpoint, LeaderWatch

LOG = logging.getLogger("thesan")

CONNECT_WITHIN_S: Final = 5.0
TRY_AGAIN_AFTER_S: Final = 1.0


@frozen
class Ensemble:
    """Where the log is and how to get there."""

    endpoints: str
    """`host:port,host:port`."""
    serverset_path: str
    log_root: str
    session_timeout_ms: int
    chroot: str = ""
    credentials: str | None = None
    scheme: str = "http"
    """The name of the endpoint that is advertised: how clients are to speak to it."""

    def client(self) -> Client:
        return Client(
            self.endpoints,
            session_timeout_ms=self.session_timeout_ms,
            chroot=self.chroot,
            credentials=self.credentials,
        )

    def changelog(self, client: Client, data_dir: Path | None, cluster: str) -> ZooKeeperChangelog:
        """Raises DataDirRefused."""
        return ZooKeeperChangelog(client, Layout(self.log_root), data_dir, cluster)


class Shared:
    """Implements `Membership`."""

    def __init__(
        self,
        ensemble: Ensemble,
        data_dir: Path | None,
        cluster: str,
        reader: Reader,
        advertised: Callable[[], Endpoint],
        *,
        instance_id: str = "",
    ) -> None:
        """Raises DataDirRefused. `advertised` is asked once this scheduler is to lead. `instance_id` is what others
        know it by.
        """
        self._instance_id = instance_id
        self._ensemble = ensemble
        self._reader = reader
        self._advertised = advertised
        self._client = ensemble.client()
        self._data_dir = data_dir
        self._cluster = cluster
        self.changelog = self._make_changelog()
        self._apply: Callable[[Op], None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._watch: LeaderWatch | None = None
        self.follower: Follower | None = None
        """There while this scheduler stands by."""
        self.term: SharedTerm | None = None
        """There once it was elected."""

    def _make_changelog(self) -> ZooKeeperChangelog:
        made = self._ensemble.changelog(self._client, self._data_dir, self._cluster)
        made.on_entry = self._reader.passed
        return made

    @property
    def condition(self) -> Condition:
        return self._client.condition

    @property
    def session_timeout_ms(self) -> int:
        """As granted; 0 before the first connection."""
        return self._client.session_timeout_ms

    @property
    def leader(self) -> Endpoint | None:
        """Who is advertised, as far as is known."""
        return None if self._watch is None else self._watch.leader

    async def elected(self, won: Callable[[], None]) -> SharedTerm:
        while True:
            try:
                await self._join()
                election = await self._win()
                steps, tenure = Steps(boot_ms), Tenure(self._client)
                self.changelog.on_quorum_write = tenure.renew
                assert election.node is not None
                await self.changelog.claim(election.node)
                won()
                break
            except SessionOver as over:
                LOG.warning("the session with ZooKeeper is over, a new one is begun: %s", over)
            except Truncated as cut:
                LOG.warning("the log was cut behind a snapshot meanwhile, which is read now: %s", cut)
                await self._forget()
            except CheckpointIsBack:
                LOG.info("the disk takes a checkpoint again: everything is read anew, for it")
                await self._forget()
            except (ZkError, Refusal, ChangelogError) as wrong:
                LOG.warning("not elected, tried again: %s", wrong)
            await self._part()
            await asyncio.sleep(TRY_AGAIN_AFTER_S)
        return await self._begin(election, steps, tenure)

    async def _forget(self) -> None:
        """What was read, so that it is read anew."""
        await self.changelog.close()
        self.changelog, self._apply = self._make_changelog(), None

    async def _join(self) -> None:
        """Connect, and read what this machine has of the log."""
        client = self._client
        if client.condition is Condition.ENDED:
            client = self._client = self._ensemble.client()
            self.changelog.attach(client)
        await client.start(CONNECT_WITHIN_S)
        await client.ensure(self._ensemble.serverset_path)
        self._watch = LeaderWatch(client, self._ensemble.serverset_path, self._say_who_leads)
        self._watching = asyncio.create_task(self._watch.run(), name="leader watch")
        self._watching.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        if self._apply is None:
            await self.changelog.open()
            self._apply = self.changelog.load(lambda: self._reader.begin(self.changelog.lineage))
            self._reader.caught_up(self.changelog.offset)

    def _say_who_leads(self, leader: Endpoint | None) -> None:
        if self.term is not None:
            return
        if leader is None:
            LOG.info("standby: nobody is advertised as the leader")
        else:
            LOG.info("standby: %s:%d leads", leader.host, leader.port)

    async def _part(self) -> None:
        """End this session; what was read is kept."""
        self.follower = None
        if self._watching is not None:
            await cancel(self._watching)
            self._watching = None
        await self._client.close()

    async def _win(self) -> Election:
        """Follow the log until elected."""
        assert self._apply is not None
        introduction = _introduction(self._advertised(), self._ensemble.scheme, self.changelog.level, self._instance_id)
        election = Election(self._client, self._ensemble.serverset_path, introduction)
        self.follower = Follower(self._client, self.changelog, self._apply)
        try:
            await meanwhile(election.win(), self.follower.run())
        finally:
            self.follower = None
        return election

    async def _begin(self, election: Election, steps: Steps, tenure: Tenure) -> SharedTerm:
        """Nobody else can write now: read what was written last. What fails here, ends the term."""
        assert self._apply is not None
        steps.done("claim")
        try:
            await self.changelog.follow(self._apply)
            level = min(_reads(one.data) for one in await candidates(self._client, self._ensemble.serverset_path))
        except (ZkError, Refusal, Truncated, ValueError) as error:
            raise Unavailable(f"the log could not be read to its end: {error}") from error
        steps.done("read")
        self.term = SharedTerm(
            self._reader.state,
            self.changelog,
            steps,
            tenure,
            level,
            client=self._client,
            election=election,
            path=self._ensemble.serverset_path,
            advertised=self._advertised(),
            scheme=self._ensemble.scheme,
        )
        return self.term

    async def close(self) -> None:
        await self._part()
        await self.changelog.close()


def _introduction(at: Endpoint, scheme: str, level: int, instance_id: str) -> bytes:
    """What a candidate says of itself: where it is, the newest format level it reads, and which one it is."""
    told = {"host": at.host, "port": at.port, "scheme": scheme, "reads": level, "instance": instance_id}
    return json.dumps(told).encode()


def _reads(introduction: bytes) -> int:
    """The newest level a candidate reads; the first one, when it does not say."""
    try:
        return int(json.loads(introduction)["reads"])
    except MISREAD:
        return 1
