"""What each format level leaves behind, kept in files as the version of that level wrote them.

``python -m tests.changelog.stored`` writes `data_level_<newest>` anew: a data directory, a log in ZooKeeper with the
checkpoint of the machine that led (it starts a ZooKeeper), and a backup. Do that only while no release has written that
level; then the files stay as they are, and a row of `test_earlier_data.py` holds later versions to them.
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import evolve

from scheduler.changelog.backup import Backup, write_backup
from scheduler.changelog.sqlite import SqliteChangelog
from scheduler.changelog.zookeeper import ZooKeeperChangelog
from scheduler.changelog.zookeeper_layout import Layout
from scheduler.contracts import Entry
from scheduler.core import ops
from scheduler.core.cron.records import CollisionPolicy, CronJob, Runs
from scheduler.core.maintenance.records import Drain, Maintenance
from scheduler.core.records import CountSlaPolicy, JobKey, MaintenanceMode, Quota
from scheduler.core.state import State, apply
from scheduler.core.updates.notes import Remark
from scheduler.testing.zookeeper import ZooKeeper
from scheduler.zk.client import Client
from tests.changelog.stage import CLUSTER, KEY, config, contents, loaded, story
from tests.changelog.zookeeper_stage import ROOT

HERE = Path(__file__).parent
END, FOLDED = 40, 25
BACKUP = "scheduler-backup-2026-11-21-18-00"
NODES, EMBEDDED, MACHINE = "nodes.json", "embedded", "machine"

CRON = CronJob(
    JobKey("www", "prod", "nightly"), config(1), 3, "0 2 * * *", CollisionPolicy.CANCEL_NEW, "www", Runs(300_000)
)
RUNS = Runs(300_000, 240_000, 240_001, 2, 180_000, 1)
DRAIN = Drain(CountSlaPolicy(3, 60), 600, 3600)
SINCE_LEVEL_2: dict[int, tuple[ops.Op, ...]] = {
    20: (
        ops.SaveQuota("www", Quota(2.5, 1024, 4096)),
        ops.SaveCronJob(CRON),
        ops.SaveCronJob(evolve(CRON, key=JobKey("www", "prod", "hourly"))),
        ops.SaveMaintenance(Maintenance("host-1", MaintenanceMode.DRAINING, DRAIN)),
        ops.RecordRemark(KEY, Remark(3500, "www", "Heartbeat overridden for 5 s: the monitor is down")),
    ),
    35: (
        ops.SaveQuota("db", Quota(1.0, 512, 512)),
        ops.MoveCronJob(CRON.key, RUNS, "a run begins (due): 3 instances"),
        ops.RemoveCronJob(JobKey("www", "prod", "hourly")),
        ops.SaveMaintenance(Maintenance("host-1", MaintenanceMode.DRAINED, DRAIN)),
    ),
}
"""Said beside the story of `stage.py`."""


def entry(offset: int, level: int) -> Entry:
    told = story(offset)
    return evolve(told, ops=told.ops + SINCE_LEVEL_2.get(offset, ())) if level >= 2 else told


def told_until(offset: int, level: int) -> set[str]:
    """The contents after entry `offset`, without any changelog."""
    state = State()
    for number in range(1, offset + 1):
        for op in entry(number, level).ops:
            apply(state, op)
    return contents(state)


async def nodes_below(client: Client, path: str) -> AsyncIterator[tuple[str, bytes]]:
    """Parents first."""
    data, _ = await client.get(path)
    yield path, data
    for name in sorted(await client.children(path)):
        async for found in nodes_below(client, f"{path}/{name}"):
            yield found


async def write_embedded(folder: Path, level: int) -> None:
    changelog = SqliteChangelog(folder, CLUSTER, fold=False)
    _state = loaded(changelog)  # what is in use must stay alive
    for offset in range(1, END + 1):
        await changelog.append(entry(offset, level))
        if offset == FOLDED:
            await changelog.fold()
    await changelog.close()


async def write_backup_of(folder: Path, to: Path) -> None:
    with TemporaryDirectory() as copied:
        shutil.copytree(folder, copied, dirs_exist_ok=True)
        changelog = SqliteChangelog(Path(copied), CLUSTER, fold=False)
        _state = loaded(changelog)
        base, file = await changelog.fold()
        write_backup(to, BACKUP, Backup(CLUSTER, bytes.fromhex(changelog.lineage), 1_795_284_000_000, base), file)
        await changelog.close()


async def write_zookeeper(hosts: str, folder: Path, level: int) -> None:
    """The log behind the second snapshot, with some entries in parts."""
    layout = Layout(ROOT, entry_bytes=400, part_bytes=300)
    client = Client(hosts, session_timeout_ms=10_000)
    await client.start(10)
    changelog = ZooKeeperChangelog(client, layout, folder / MACHINE, CLUSTER)
    state = State()
    await changelog.open()
    take = changelog.load(lambda: lambda op: apply(state, op))
    await changelog.claim()
    await changelog.follow(take)
    for offset in range(1, END + 1):
        told = entry(offset, level)
        for op in told.ops:
            apply(state, op)
        await changelog.append(evolve(told, uuid=offset.to_bytes(16, "big")))
        if offset in (15, FOLDED):
            await changelog.snapshots().snapshot()
    await changelog.close()
    nodes = {path: base64.b64encode(data).decode() async for path, data in nodes_below(client, ROOT)}
    (folder / NODES).write_text(json.dumps(nodes, indent=0) + "\n", encoding="utf-8")
    await client.close()


async def main() -> None:
    level = ops.FORMAT_LEVEL
    folder = HERE / f"data_level_{level}"
    shutil.rmtree(folder, ignore_errors=True)
    await write_embedded(folder / EMBEDDED, level)
    await write_backup_of(folder / EMBEDDED, folder)
    with ZooKeeper.temporary() as zookeeper:
        await write_zookeeper(f"127.0.0.1:{zookeeper.port}", folder, level)
    for left in (*folder.rglob("*lock"), *folder.rglob("instance-id")):
        left.unlink()


if __name__ == "__main__":
    asyncio.run(main())
