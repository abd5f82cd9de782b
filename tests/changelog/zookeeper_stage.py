"""Schedulers for the tests of the changelog in ZooKeeper: a state, the changelog it comes from, and the story.

Run as a program, ``python -m tests.changelog.zookeeper_stage HOSTS CHROOT``, it claims, and commits until it is told
that it may not, and says so: each offset that was acknowledged under a valid lease, and the last word. With a data
directory as a third argument it follows the log, folds its checkpoint, and ends.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from attrs import evolve

from scheduler.changelog.zookeeper import ZooKeeperChangelog
from scheduler.changelog.zookeeper_layout import Layout
from scheduler.contracts import ChangelogError, Entry
from scheduler.core.ops import Op
from scheduler.core.state import State, apply
from scheduler.failpoints.from_env import VARIABLE, arm_from_env
from scheduler.zk.client import Client
from scheduler.zk.lease import Lease
from tests.changelog.stage import CLUSTER, contents, story, told_until
from tests.zk.stage import TIMEOUT_MS, Stage

ROOT = "/thesan/east"
LAYOUT = Layout(ROOT)


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
        changelog = ZooKeeperChangelog(client, LAYOUT, data_dir, CLUSTER)
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


def program(hosts: str, chroot: str) -> subprocess.Popen[str]:
    """This module as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.changelog.zookeeper_stage", hosts, chroot],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


async def standby_that_folds(stage: Stage, data_dir: Path, *, failpoint: str = "") -> int:
    """This module as a process of its own that follows the log, folds its checkpoint and ends. Returns its status."""
    environ = os.environ | ({VARIABLE: failpoint} if failpoint else {})
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.changelog.zookeeper_stage", stage.hosts, stage.chroot, str(data_dir)),
        env=environ,
        cwd=Path(__file__).parents[2],
    )
    return await process.wait()


async def follow_and_fold(hosts: str, chroot: str, data_dir: str) -> None:
    arm_from_env()
    client = Client(hosts, session_timeout_ms=TIMEOUT_MS, chroot=chroot)
    await client.start(10)
    changelog = ZooKeeperChangelog(client, LAYOUT, Path(data_dir), CLUSTER)
    await changelog.open()
    await Scheduler(client, changelog).follow()
    assert changelog.checkpoint is not None
    await changelog.checkpoint.fold()
    await changelog.close()
    await client.close()


async def main(hosts: str, chroot: str) -> None:
    client = Client(hosts, session_timeout_ms=1000, chroot=chroot)
    await client.start(10)
    lease = Lease()
    changelog = ZooKeeperChangelog(client, LAYOUT)
    changelog.on_quorum_write = lambda sent_ms: lease.renew(sent_ms, client.session_timeout_ms)
    await changelog.open()
    me = Scheduler(client, changelog)
    await me.lead()
    while True:
        try:
            entry = me.decide()
            await changelog.append_through(entry)
        except ChangelogError as refused:
            print(f"{type(refused).__name__}: {refused}", flush=True)
            break
        print(entry.offset if lease.is_valid else f"{entry.offset} late", flush=True)
        await asyncio.sleep(0.02)
    await client.close()


if __name__ == "__main__":
    asyncio.run(follow_and_fold(*sys.argv[1:]) if len(sys.argv) > 3 else main(*sys.argv[1:]))
