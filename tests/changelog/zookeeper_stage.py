"""Schedulers for the tests of the changelog in ZooKeeper: a state, the changelog it comes from, and the story."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from attrs import evolve

from scheduler.changelog.zookeeper import ZooKeeperChangelog
from scheduler.contracts import Entry
from scheduler.core.ops import Op
from scheduler.core.state import State, apply
from scheduler.zk.client import Client
from tests.changelog.stage import CLUSTER, contents, story, told_until
from tests.zk.stage import TIMEOUT_MS, Stage

ROOT = "/thesan/east"


class Scheduler:
    """As far as the changelog is concerned."""

    def __init__(self, client: Client, changelog: ZooKeeperChangelog) -> None:
        self.client = client
        self.changelog = changelog
        self.states: list[State] = []
        """Every state that was begun; the last one counts."""
        self.apply = changelog.load(self._begin)

    @classmethod
    async def at(
        cls, stage: Stage, hosts: str = "", *, data_dir: Path | None = None, timeout_ms: int = TIMEOUT_MS
    ) -> Scheduler:
        """Opened and loaded, and closed at the end of the test."""
        client = await stage.client(hosts, timeout_ms=timeout_ms)
        changelog = ZooKeeperChangelog(client, ROOT, data_dir, CLUSTER)
        stage.cleanup(changelog.close)
        await changelog.open()
        return cls(client, changelog)

    def _begin(self) -> Callable[[Op], None]:
        state = State()
        self.states.append(state)
        return lambda op: apply(state, op)

    @property
    def state(self) -> State:
        return self.states[-1]

    @property
    def is_right(self) -> bool:
        """Is the state what the story says up to where the changelog stands?"""
        return contents(self.state) == told_until(self.changelog.offset)

    async def follow(self) -> int:
        return await self.changelog.follow(self.apply)

    async def lead(self) -> int:
        epoch = await self.changelog.claim()
        await self.follow()
        return epoch

    def decide(self) -> Entry:
        """The next entry of the story, in our epoch, applied to memory as a leader does."""
        epoch, offset = self.changelog.held.number, self.changelog.offset + 1
        entry = evolve(story(offset), epoch=epoch, uuid=epoch.to_bytes(8, "big") + offset.to_bytes(8, "big"))
        for op in entry.ops:
            self.apply(op)
        return entry

    async def tell(self, until: int) -> None:
        while self.changelog.offset < until:
            await self.changelog.append(self.decide())
