"""`thesan recover` and `thesan log`: what an operator does to a store while no scheduler uses it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import attrs
import click
from attrs import frozen

from scheduler.changelog.checkpoint import FOLDER
from scheduler.changelog.errors import DataDirRefused, Unreadable
from scheduler.changelog.look import Found, look_into_folder, look_into_zookeeper
from scheduler.changelog.restore import read_for_restore, restore_into_folder, restore_into_zookeeper
from scheduler.changelog.store import DB_FILE
from scheduler.contracts import ChangelogError, Entry
from scheduler.core.history import History
from scheduler.settings import default_data_dir
from scheduler.zk.client import Client
from scheduler.zk.errors import Refusal, ZkError

__all__ = ["log", "recover"]

CONNECT_WITHIN_S = 10.0
_TIMEOUT_MS = 10_000

T = TypeVar("T")


@frozen
class Place:
    """Where the store is: in ZooKeeper, or else in a folder."""

    data_dir: Path
    endpoints: str | None
    root: str | None
    chroot: str
    credentials: str | None

    async def connected(self, work: Callable[[Client, str], Awaitable[T]], cluster: str) -> T:
        assert self.endpoints is not None
        client = Client(
            self.endpoints, session_timeout_ms=_TIMEOUT_MS, chroot=self.chroot, credentials=self.credentials
        )
        await client.start(CONNECT_WITHIN_S)
        try:
            return await work(client, self.root or f"/thesan/{cluster}")
        finally:
            await client.close()


def _with_place(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say where; together they become `place`."""

    def run(
        data_dir: Path | None,
        zk_endpoints: str | None,
        zk_log_path: str | None,
        zk_chroot_path: str,
        zk_digest_credentials: str | None,
        **others: Any,
    ) -> None:
        place = Place(data_dir or default_data_dir(), zk_endpoints, zk_log_path, zk_chroot_path, zk_digest_credentials)
        try:
            command(place=place, **others)
        except (Unreadable, DataDirRefused, ChangelogError, ZkError, Refusal) as wrong:
            raise click.ClickException(str(wrong)) from None
        except BrokenPipeError:
            raise  # whoever reads has enough (`log dump | head`): click ends quietly
        except OSError as wrong:
            raise click.ClickException(f"{wrong.filename or 'the disk'}: {wrong.strerror}") from None

    run.__doc__ = command.__doc__
    for option in (
        click.option("--zk-digest-credentials", metavar="USER:PASSWORD", help="As for `thesan serve`."),
        click.option("--zk-chroot-path", metavar="PATH", default="", help="As for `thesan serve`."),
        click.option("--zk-log-path", metavar="PATH", help="Where the log is there; by default /thesan/CLUSTER."),
        click.option("--zk-endpoints", metavar="HOST:PORT,...", help="The store is in ZooKeeper, not in a folder."),
        click.option("--data-dir", type=click.Path(path_type=Path), help="The store's folder, as for `thesan serve`."),
    ):
        run = option(run)
    return run


@click.command("recover", short_help="Begin an empty store with a backup.")
@click.argument("backup", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--keep-lineage", is_flag=True, help="The engines' living tasks are to be taken up again.")
@_with_place
def recover(place: Place, backup: Path, keep_lineage: bool) -> None:
    """Begin an empty store with BACKUP, while no scheduler runs.

    The new history has a lineage of its own: an engine with living tasks of the old one refuses it, so that nothing is
    ended by mistake. With --keep-lineage the tasks that the backup knows are taken up again, and those that were
    started since are ended.
    """
    restored = read_for_restore(backup, keep_lineage=keep_lineage)
    cluster = restored.backup.cluster
    if place.endpoints is None:
        restore_into_folder(place.data_dir, restored)
        where = str(place.data_dir)
    else:
        where = place.root or f"/thesan/{cluster}"
        asyncio.run(place.connected(lambda client, root: restore_into_zookeeper(client, root, restored), cluster))
    state, lineage = restored.state, restored.lineage.hex()
    click.echo(f"{where}: {len(state.tasks)} tasks and {len(state.updates)} updates of cluster {cluster}")
    click.echo(f"entries from {restored.offset + 1}, lineage {lineage}, epochs from {restored.epoch + 1}")


@click.group("log", short_help="Look at a changelog without a server.")
def log() -> None:
    """Look at a changelog, in a folder or in ZooKeeper. Nothing is changed."""


@log.command("verify")
@click.option("--cluster-name", default="local", help="Tells the path in ZooKeeper, unless --zk-log-path does.")
@_with_place
def verify(place: Place, cluster_name: str) -> None:
    """Read all of it as a scheduler would at its start; exit 1 and name the offset where it is damaged."""
    entries = 0

    def count(_: Entry) -> None:
        nonlocal entries
        entries += 1

    found = _look(place, cluster_name, count)
    click.echo(f"sound up to entry {found.offset}, epoch {found.epoch}, lineage {found.lineage}")
    click.echo(f"{entries} entries behind a base that covers entry {found.covered}")
    click.echo(f"{len(found.state.tasks)} tasks, {len(found.state.updates)} updates")


@log.command("dump")
@click.option("--cluster-name", default="local", help="Tells the path in ZooKeeper, unless --zk-log-path does.")
@click.option("--from", "first", type=int, default=0, help="Leave out the entries before this offset.")
@_with_place
def dump(place: Place, cluster_name: str, first: int) -> None:
    """Print every entry behind the base, a line of JSON each."""

    def show(entry: Entry) -> None:
        if entry.offset >= first:
            click.echo(json.dumps(_plain(entry)))

    _look(place, cluster_name, show)


def _look(place: Place, cluster: str, passed: Callable[[Entry], None]) -> Found:
    if place.endpoints is not None:
        return asyncio.run(place.connected(lambda client, root: look_into_zookeeper(client, root, passed), cluster))
    for folder, durable in ((place.data_dir, True), (place.data_dir / FOLDER, False)):
        if (folder / DB_FILE).exists():
            return look_into_folder(folder, passed, durable=durable)
    raise DataDirRefused(f"there is no changelog in {place.data_dir}")


def _plain(value: Any) -> Any:
    """What JSON can say. A record is an object that names its kind, if it is an op."""
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (tuple, list, frozenset, set, History)):
        return [_plain(one) for one in value]
    if attrs.has(type(value)):
        fields = {field.name: _plain(getattr(value, field.name)) for field in attrs.fields(type(value)) if field.init}
        return {"op": type(value).__name__, **fields} if type(value).__module__.endswith("core.ops") else fields
    return value
