"""The client sends at once or not at all, and says which of the two it was."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from click import ClickException

from scheduler.app.flags.command import read
from scheduler.testing.proxy import Proxy, Way
from scheduler.testing.zookeeper import ZooKeeper, expire_session, shared_server
from scheduler.zk.client import MAX_REQUEST_BYTES, Client, Condition
from scheduler.zk.clock import boot_ms
from scheduler.zk.errors import (
    BadVersion,
    MultiRefused,
    NoAuth,
    NodeExists,
    NoNode,
    NotSent,
    SessionOver,
    TooLarge,
    Unanswered,
    ZkError,
)
from scheduler.zk.ops import check, create, delete, set_data
from tests.zk.stage import Stage, on_stage, until


def test_nodes_are_made_read_changed_and_removed() -> None:
    async def play(stage: Stage) -> None:
        client = await stage.client()
        await client.ensure("/a/b")
        await client.ensure("/a/b")

        assert await client.create("/a/b/c", b"one") == "/a/b/c"
        assert (await client.get("/a/b/c"))[0] == b"one"
        assert (await client.set("/a/b/c", b"two", 0)).version == 1
        assert await client.children("/a/b") == ["c"]
        assert await client.sync("/a") == "/a"
        with pytest.raises(BadVersion):
            await client.set("/a/b/c", b"three", 0)
        with pytest.raises(NodeExists):
            await client.create("/a/b/c")
        await client.delete("/a/b/c")
        assert await client.exists("/a/b/c") is None
        with pytest.raises(NoNode):
            await client.get("/a/b/c")

    on_stage(play)


def test_a_multi_happens_whole_or_not_at_all() -> None:
    async def play(stage: Stage) -> None:
        client = await stage.client()
        await client.create("/a", b"one")

        results = await client.multi(
            [check("/a", 0), set_data("/a", b"two", 0), create("/s-", b"", ephemeral=True, sequence=True)]
        )
        with pytest.raises(MultiRefused) as caught:
            await client.multi([create("/b"), check("/a", 0), delete("/a")])

        assert results[1].version == 1
        assert results[2] == "/s-0000000001"
        assert caught.value.index == 1
        assert isinstance(caught.value.error, BadVersion)
        assert await client.exists("/b") is None
        stat = await client.exists(results[2])
        assert stat is not None and stat.ephemeralOwner == client.session_id

    on_stage(play)


def test_a_watch_is_called_once() -> None:
    async def play(stage: Stage) -> None:
        client, other = await stage.client(), await stage.client()
        await client.create("/a")
        calls: list[str] = []
        await client.get("/a", watch=lambda: calls.append("data"))
        await client.exists("/b", watch=lambda: calls.append("born"))
        await client.children("/", watch=lambda: calls.append("children"))

        await other.set("/a", b"1", 0)
        await other.set("/a", b"2", 1)
        await other.create("/b")
        await client.sync("/a")

        assert sorted(calls) == ["born", "children", "data"]

    on_stage(play)


def test_the_granted_timeout_counts() -> None:
    async def play(stage: Stage) -> None:
        client = await stage.client(timeout_ms=100)

        assert client.session_timeout_ms == 400  # two ticks of the server: it grants no less

    on_stage(play)


def test_a_request_while_suspended_fails_fast_and_never_lands() -> None:
    async def play(stage: Stage) -> None:
        with Proxy(shared_server().port) as proxy:
            client = await stage.client(proxy.address)
            await client.create("/a", b"before")
            proxy.cut()
            await until(client, Condition.SUSPENDED)

            begun = time.monotonic()
            with pytest.raises(NotSent, match="nothing was sent: ZooKeeper is not connected"):
                await client.set("/a", b"stale", -1)
            assert time.monotonic() - begun < 0.1

            proxy.heal()
            await client.connected()
            data, stat = await client.get("/a")
            assert (data, stat.version) == (b"before", 0)

    on_stage(play)


def test_what_was_queued_when_the_connection_broke_is_not_sent_later() -> None:
    """Requests are made without a pause while the connection breaks: each is refused, unanswered or done."""

    async def play(stage: Stage) -> None:
        with Proxy(shared_server().port) as proxy:
            client = await stage.client(proxy.address)
            await client.create("/a")
            sent = 0
            done = []
            cutting = asyncio.get_running_loop().run_in_executor(None, lambda: (time.sleep(0.1), proxy.cut()))
            while client.condition is Condition.CONNECTED:
                done.append(client.create(f"/a/{sent}"))
                sent += 1
                await asyncio.sleep(0)
            await cutting
            proxy.heal()
            await client.connected()
            at_once = set(await client.children("/a"))
            await asyncio.sleep(0.3)

            outcomes = await asyncio.gather(*done, return_exceptions=True)
            assert set(await client.children("/a")) == at_once
            for number, outcome in enumerate(outcomes):
                if isinstance(outcome, NotSent):
                    assert str(number) not in at_once
                elif isinstance(outcome, str):
                    assert str(number) in at_once
                else:
                    assert isinstance(outcome, Unanswered)
            assert sent > 10

    on_stage(play)


def test_what_waited_for_its_turn_when_the_connection_broke_is_not_sent_over_the_next_one() -> None:
    """The loop hears of it only when the next connection is there already."""

    async def play(stage: Stage) -> None:
        client, other = await stage.client(), await stage.client()
        asked = [client.create(f"/{number:03}") for number in range(400)]
        client.break_connection()
        time.sleep(0.6)  # noqa: ASYNC251  # the loop stands still
        assert client.server is not None
        outcomes = await asyncio.gather(*asked, return_exceptions=True)

        assert all(isinstance(outcome, NotSent) for outcome in outcomes[128:])
        await client.connected()
        assert all(int(name) < 128 for name in await other.children("/"))

    on_stage(play)


@pytest.mark.parametrize("way", list(Way))
def test_an_answer_that_never_came_is_not_a_no(way: Way) -> None:
    async def play(stage: Stage) -> None:
        with Proxy(shared_server().port) as proxy:
            client = await stage.client(proxy.address)
            proxy.hold(way)
            asked = client.create("/a")
            await asyncio.sleep(0.05)
            proxy.cut()
            with pytest.raises(Unanswered):
                await asked
            proxy.heal()
            await client.connected()

            assert (await client.exists("/a") is not None) == (way is Way.BACK)

    on_stage(play)


def test_the_session_survives_a_broken_connection() -> None:
    async def play(stage: Stage) -> None:
        with Proxy(shared_server().port) as proxy:
            client = await stage.client(proxy.address)
            told: list[Condition] = []
            client.listeners.append(told.append)
            session = client.session_id
            await client.create("/mine", ephemeral=True)
            broke = asyncio.Event()
            await client.get("/mine", watch=broke.set)

            proxy.cut()
            await broke.wait()  # a watch says also that it watches no longer
            proxy.heal()
            await client.connected()

            assert client.session_id == session
            assert await client.exists("/mine") is not None
            assert told == [Condition.SUSPENDED, Condition.CONNECTED]

    on_stage(play)


def test_an_expired_session_is_the_end_of_the_client() -> None:
    async def play(stage: Stage) -> None:
        client, other = await stage.client(), await stage.client()
        await client.create("/mine", ephemeral=True)

        expire_session(shared_server().address, client.session_id, client.session_password)
        await until(client, Condition.ENDED)

        assert client.why_ended == "ZooKeeper says that the session has expired"
        with pytest.raises(SessionOver, match="nothing was sent: ZooKeeper says"):
            await client.get("/mine")
        with pytest.raises(SessionOver):
            await client.connected()
        await asyncio.sleep(0.3)
        assert client.condition is Condition.ENDED  # and no other session was begun in its place
        assert await other.exists("/mine") is None

    on_stage(play)


def test_cut_off_for_the_session_timeout_is_the_end_though_zookeeper_cannot_say_so() -> None:
    async def play(stage: Stage) -> None:
        with Proxy(shared_server().port) as proxy:
            client = await stage.client(proxy.address, timeout_ms=1000)
            proxy.lose()
            begun = boot_ms()
            await until(client, Condition.SUSPENDED)
            suspended = boot_ms()
            await until(client, Condition.ENDED)

            assert suspended - begun < 1000
            assert 950 <= boot_ms() - suspended < 2000
            assert client.why_ended == "ZooKeeper could not be reached for 1000 ms"
            proxy.heal()
            await asyncio.sleep(0.3)
            assert client.condition is Condition.ENDED

    on_stage(play)


def test_a_dead_host_costs_no_session() -> None:
    """The second of two servers accepts connections and never answers: a frozen one."""

    async def play(stage: Stage) -> None:
        with ZooKeeper.temporary() as frozen:
            frozen.freeze()
            begun = time.monotonic()
            for _ in range(3):
                client = await stage.client(f"{frozen.address},{stage.hosts}", timeout_ms=10_000)
                await client.close()
            assert time.monotonic() - begun < 6  # kazoo alone: five seconds each time it tries that one first

    on_stage(play)


def test_nothing_large_is_sent() -> None:
    async def play(stage: Stage) -> None:
        client = await stage.client()

        with pytest.raises(TooLarge, match="is above 524288"):
            await client.create("/a", bytes(MAX_REQUEST_BYTES + 1))
        with pytest.raises(TooLarge):
            await client.multi([create(f"/a{n}", bytes(60 * 1024)) for n in range(10)])
        await client.create("/a", bytes(MAX_REQUEST_BYTES))

        assert client.condition is Condition.CONNECTED

    on_stage(play)


def test_patience_bridges_a_gap_and_has_an_end() -> None:
    async def play(stage: Stage) -> None:
        with Proxy(shared_server().port) as proxy:
            client = await stage.client(proxy.address)
            await client.create("/a", b"here")
            proxy.cut()
            await until(client, Condition.SUSPENDED)
            begun = time.monotonic()
            with pytest.raises(ZkError):
                await client.patiently(lambda: client.get("/a"), within_s=0.2)
            assert 0.15 < time.monotonic() - begun < 1

            asked = asyncio.create_task(client.patiently(lambda: client.get("/a"), within_s=5))
            await asyncio.sleep(0)
            proxy.heal()
            assert (await asked)[0] == b"here"

    on_stage(play)


def test_the_longest_session_that_may_be_asked_for_is_begun_with_what_the_server_grants() -> None:
    async def play(stage: Stage) -> None:
        settings, _ = read(["--zk-session-timeout", "24days"])
        client = await stage.client(timeout_ms=settings.zk_session_timeout_ms)
        assert client.session_timeout_ms == 60_000, "what the server grants at most"
        with pytest.raises(ClickException, match="from 1ms to 24days"):
            read(["--zk-session-timeout", "25days"])

    on_stage(play)


def test_nobody_there_is_said_in_time() -> None:
    async def play(stage: Stage) -> None:
        client = Client("127.0.0.1:1", session_timeout_ms=1000)
        with pytest.raises(SessionOver, match=r"no ZooKeeper server could be reached within 0\.3 s"):
            await client.start(within_s=0.3)

    on_stage(play)


def test_what_is_made_with_credentials_only_their_owner_changes() -> None:
    async def play(stage: Stage) -> None:
        owner = await stage.client(credentials="thesan:secret")
        anybody = await stage.client()
        wrong = await stage.client(credentials="thesan:guess")
        await owner.create("/a", b"one")

        assert (await anybody.get("/a"))[0] == b"one"
        for stranger in (anybody, wrong):
            with pytest.raises(NoAuth):
                await stranger.set("/a", b"two", -1)
        await owner.set("/a", b"two", 0)
        await owner.multi([set_data("/a", b"three", 1), create("/b")])

    on_stage(play)


def test_a_client_that_was_closed_leaves_no_thread_behind() -> None:
    before = set(threading.enumerate())

    async def play(stage: Stage) -> None:
        with Proxy(shared_server().port) as proxy:
            clients = [await stage.client(), await stage.client(proxy.address), await stage.client(proxy.address)]
            proxy.lose()
            await clients[0].close()
            await clients[1].close(politely=False)
            asked = clients[2].get("/")
            begun = time.monotonic()
            await clients[2].close()  # politely, to a server that does not answer
            assert time.monotonic() - begun < 3
            with pytest.raises(Unanswered):
                await asked

    on_stage(play)
    assert set(threading.enumerate()) <= before


def test_a_path_does_not_belong_to_the_hosts() -> None:
    with pytest.raises(ValueError, match="it is the chroot"):
        Client("127.0.0.1:1/aurora", session_timeout_ms=1000)


@pytest.mark.parametrize("chroot", ["a", "/a/", "/"])
def test_a_chroot_is_a_path(chroot: str) -> None:
    with pytest.raises(ValueError, match="the chroot is"):
        Client("127.0.0.1:1", session_timeout_ms=1000, chroot=chroot)
