"""The pretended ZooKeeper does what a real one does: the same requests, through the same client, on both."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from scheduler.testing.clock import VirtualClock
from scheduler.testing.simulation.agenda import Agenda
from scheduler.testing.simulation.chance import Chance
from scheduler.testing.simulation.loop import SimulatedLoop
from scheduler.testing.simulation.zookeeper.ensemble import Ensemble
from scheduler.testing.simulation.zookeeper.wire import CutMulti, Network
from scheduler.zk.client import Client, Condition, Stat
from scheduler.zk.clock import turned_by
from scheduler.zk.election import Election
from scheduler.zk.errors import MultiRefused, NotSent, Refusal, Unanswered, ZkError
from scheduler.zk.ops import check, create, delete, set_data
from tests.zk.stage import Stage, on_stage


class Pretended:
    """An ensemble, and processes that use it."""

    def __init__(self, seed: int = 1, size: int = 3) -> None:
        self.clock = VirtualClock()
        self.agenda = Agenda(self.clock)
        self.chance = Chance(seed)
        self.ensemble = Ensemble(self.agenda, self.chance, size=size)
        self.failures: list[BaseException] = []
        self.networks: list[Network] = []
        self.loops: list[SimulatedLoop] = []

    def process(self) -> tuple[SimulatedLoop, Network]:
        loop = SimulatedLoop(self.agenda, self.failures.append)
        network = Network(len(self.networks), self.agenda, self.chance, self.ensemble)
        self.networks.append(network)
        self.loops.append(loop)
        return loop, network

    def run(self, play: Coroutine[Any, Any, Any], loop: SimulatedLoop, *, within_ms: int = 120_000) -> Any:
        """Turn the clock until it is over."""
        end_ms = self.agenda.now_ms + within_ms
        with turned_by(self.clock.mono_ms):
            task = loop.create_task(play)
            while not task.done():
                assert self.agenda.now_ms < end_ms, "it hangs"
                self.agenda.turn()
            assert not self.failures
            return task.result()

    def turn(self, for_ms: int) -> None:
        end_ms = self.agenda.now_ms + for_ms
        with turned_by(self.clock.mono_ms):
            while (self.agenda.next_ms() or 0) <= end_ms:
                self.agenda.turn()


def client_on(network: Network, chroot: str = "/test") -> Client:
    return Client("pretended", session_timeout_ms=4_000, chroot=chroot, wire=network.wire)


# --- the same on both ------------------------------------------------------------------------------------------------

PATHS = ("/a", "/b", "/a/x", "/a/y", "/a/x/z", "/b/x")
VERSIONS = st.sampled_from((-1, 0, 0, 1, 2))
paths = st.sampled_from(PATHS)
data = st.binary(max_size=3)
in_multi = st.one_of(
    st.builds(create, paths, data, ephemeral=st.booleans(), sequence=st.booleans()),
    st.builds(set_data, paths, data, VERSIONS),
    st.builds(delete, paths, VERSIONS),
    st.builds(check, paths, VERSIONS),
)
requests = st.one_of(
    st.tuples(st.just("create"), paths, data, st.booleans()),
    st.tuples(st.just("set"), paths, data, VERSIONS),
    st.tuples(st.just("delete"), paths, VERSIONS),
    st.tuples(st.sampled_from(("get", "exists", "children")), paths, st.booleans()),
    st.tuples(st.just("multi"), st.lists(in_multi, min_size=1, max_size=4)),
    st.tuples(st.just("leave")),
)
stories = st.lists(st.tuples(st.integers(0, 1), requests), min_size=5, max_size=40)
Story = list[tuple[int, tuple[Any, ...]]]


class Teller:
    """Plays a story and writes down what was heard, in terms that do not depend on the server."""

    def __init__(self, clients: list[Client]) -> None:
        self.clients = clients
        self.heard: list[Any] = []
        self.watches: list[str] = []
        self._instants: dict[int, int] = {}

    def plain(self, found: Any) -> Any:
        if isinstance(found, Stat):
            owner = [c.session_id for c in self.clients].index(found.ephemeralOwner) if found.ephemeralOwner else None
            instants = tuple(self._instants.setdefault(z, len(self._instants)) for z in (found.czxid, found.mzxid))
            return (instants, found.version, found.cversion, owner, found.dataLength, found.numChildren)
        if isinstance(found, (list, tuple)):
            return [self.plain(one) for one in found]
        return found

    async def ask(self, client: Client, request: tuple[Any, ...], number: int) -> Any:
        what, *args = request
        if what in ("get", "exists", "children"):
            path, is_watched = args
            note = f"{number} {what} {path}"

            def happened() -> None:
                if client.condition is not Condition.ENDED:  # at its end it may be told, or not
                    self.watches.append(note)

            found = await getattr(client, what)(path, happened if is_watched else None)
            return sorted(found) if what == "children" else found
        if what == "create":
            return await client.create(args[0], args[1], ephemeral=args[2])
        return await getattr(client, what)(*args)

    async def play(self, story: Story) -> None:
        for number, (who, request) in enumerate(story):
            client = self.clients[who]
            if client.condition is Condition.ENDED:
                continue
            if request[0] == "leave":
                await client.close()
            else:
                try:
                    self.heard.append(self.plain(await self.ask(client, request, number)))
                except MultiRefused as refused:
                    self.heard.append((refused.index, type(refused.error).__name__))
                except Refusal as refused:
                    self.heard.append(type(refused).__name__)
            await self._settle()
            self.heard.append(sorted(self.watches))
            self.watches.clear()

    async def _settle(self) -> None:
        """Until all watches have arrived, and a session that was closed is."""
        for client in self.clients:
            if client.condition is not Condition.ENDED:
                await client.sync("/")


async def play_real(stage: Stage, story: Story, told: list[Any]) -> None:
    teller = Teller([await stage.client(), await stage.client()])
    await teller.play(story)
    told += teller.heard


async def play_pretended(there: Network, story: Story, told: list[Any]) -> None:
    clients = [client_on(there), client_on(there)]
    for client in clients:
        await client.start(within_s=10)
        await client.ensure("/")
    teller = Teller(clients)
    await teller.play(story)
    told += teller.heard


@pytest.mark.parametrize("size", [1, 3])
@settings(max_examples=60, deadline=None)
@given(story=stories)
def test_the_same_requests_have_the_same_answers(size: int, story: Story) -> None:
    real: list[Any] = []
    pretended: list[Any] = []
    on_stage(lambda stage: play_real(stage, story, real))
    world = Pretended(size=size)
    loop, network = world.process()
    world.run(play_pretended(network, story, pretended), loop)
    assert pretended == real


# --- what happens to connections, servers and sessions ---------------------------------------------------------------


async def started(network: Network) -> Client:
    client = client_on(network)
    await client.start(within_s=10)
    await client.ensure("/")
    return client


@pytest.mark.parametrize("how", CutMulti.ALL)
def test_a_commit_cut_in_the_middle_is_unanswered_and_kept_or_lost(how: str) -> None:
    world = Pretended()
    loop, network = world.process()

    async def play() -> int:
        client = await started(network)
        await client.create("/a")
        network.next_cut = how
        with pytest.raises(Unanswered):
            await client.multi([set_data("/a", b"1", 0)])
        await client.connected()
        await asyncio.sleep(4)
        await client.sync("/a")
        stat = await client.exists("/a")
        assert stat is not None
        return stat.version

    assert world.run(play(), loop) == (0 if how == CutMulti.LOST else 1)


def test_a_late_commit_arrives_behind_what_was_asked_after_the_reconnection() -> None:
    world = Pretended()
    loop, network = world.process()

    async def play() -> bytes:
        client = await started(network)
        await client.create("/a")
        network.next_cut = CutMulti.LATE
        with pytest.raises(Unanswered):
            await client.multi([set_data("/a", b"late", -1)])
        await client.connected()
        await client.set("/a", b"soon", 0)
        await asyncio.sleep(4)
        await client.sync("/a")
        return (await client.get("/a"))[0]

    assert world.run(play(), loop) == b"late"


def test_a_client_that_is_cut_off_ends_by_itself_and_the_server_ends_its_session() -> None:
    world = Pretended()
    (loop, network), (other_loop, other) = world.process(), world.process()

    async def stand(there: Network) -> tuple[Client, str]:
        client = await started(there)
        await client.ensure("/elect")
        return client, await Election(client, "/elect").win()

    async def look(client: Client) -> object:
        return await client.exists(node)

    client, node = world.run(stand(network), loop)
    witness = world.run(started(other), other_loop)
    assert world.run(look(witness), other_loop) is not None
    network.set_cut({"out", "back"})
    world.turn(4_000 * 2 // 3 + 100)
    assert client.condition is Condition.SUSPENDED
    world.turn(8_000)
    assert client.condition is Condition.ENDED
    assert world.run(look(witness), other_loop) is None


def test_a_frozen_process_hears_on_waking_that_its_session_is_over() -> None:
    world = Pretended()
    loop, network = world.process()
    client = world.run(started(network), loop)
    loop.freeze()
    network.freeze()
    world.turn(10_000)
    assert client.condition is Condition.CONNECTED  # it knows nothing
    loop.thaw()
    network.thaw()
    world.turn(2_000)
    assert client.condition is Condition.ENDED
    assert "expired" in client.why_ended


def test_a_server_that_is_cut_off_answers_pings_and_old_reads_but_no_write() -> None:
    world = Pretended()
    (loop, network), (other_loop, other) = world.process(), world.process()
    client, witness = world.run(started(network), loop), world.run(started(other), other_loop)
    world.run(_until_on_different_servers(client, witness), loop)
    server = world.ensemble.servers[_number(client)]
    if server is world.ensemble.leader:
        server, client, witness, loop, other_loop = (
            world.ensemble.servers[_number(witness)],
            witness,
            client,
            other_loop,
            loop,
        )

    async def write() -> None:
        await witness.create("/new")

    async def read() -> object:
        return await client.exists("/new")

    async def sync() -> None:
        await client.sync("/")

    world.ensemble.cut(server)
    world.run(write(), other_loop)
    assert world.run(read(), loop) is None
    syncing = loop.create_task(sync())
    world.turn(1_000)
    assert not syncing.done()
    world.ensemble.heal(server)
    world.turn(1_000)
    assert syncing.done()
    assert world.run(read(), loop) is not None


def _number(client: Client) -> int:
    assert client.server is not None
    return int(client.server[0].removeprefix("zk"))


async def _until_on_different_servers(client: Client, witness: Client) -> None:
    while _number(client) == _number(witness):
        client.break_connection()
        await client.connected()


@pytest.mark.parametrize("seed", range(8))
def test_a_lost_leader_costs_no_session_and_nothing_that_was_answered(seed: int) -> None:
    world = Pretended(seed)
    loop, network = world.process()
    answered: list[str] = []

    async def write(client: Client) -> None:
        for number in range(400):
            try:
                await client.create(f"/n{number}")
                answered.append(f"n{number}")
            except ZkError:
                await client.connected()
            await asyncio.sleep(0.02)

    async def look(client: Client) -> list[str]:
        await client.sync("/")
        return await client.children("/")

    client = world.run(started(network), loop)
    writing = loop.create_task(write(client))
    for _ in range(3):
        world.turn(1_500)
        leader = world.ensemble.leader
        assert leader is not None
        world.ensemble.kill(leader)
        world.turn(2_500)
        world.ensemble.heal(leader)
    world.turn(20_000)
    assert writing.done()
    assert client.condition is Condition.CONNECTED
    assert world.ensemble.elections == 3
    assert len(answered) > 100
    assert set(answered) <= set(world.run(look(client), loop))
    trees = [world.ensemble.servers[n].tree.children("/test") for n in range(3)]
    assert trees[0] == trees[1] == trees[2]


def test_without_a_quorum_nothing_is_written_and_nobody_is_expired() -> None:
    world = Pretended()
    loop, network = world.process()
    client = world.run(started(network), loop)
    for server in world.ensemble.servers[1:]:
        world.ensemble.kill(server)
    world.turn(3_000)
    assert client.condition is Condition.SUSPENDED

    async def write() -> None:
        await client.create("/x")

    with pytest.raises(NotSent):
        world.run(write(), loop)
    world.ensemble.heal(world.ensemble.servers[1])
    world.turn(6_000)
    assert client.condition in (Condition.CONNECTED, Condition.ENDED)


def test_a_killed_process_does_nothing_any_more_and_its_session_ends() -> None:
    world = Pretended()
    loop, network = world.process()
    done: list[str] = []

    async def play() -> None:
        client = await started(network)
        try:
            await client.create("/mine", ephemeral=True)
            done.append("made")
            await asyncio.sleep(3_600)
        finally:
            done.append("finally")

    loop.create_task(play())
    world.turn(1_000)
    assert world.ensemble.servers[0].tree.children("/test") == ["mine"]
    loop.kill()
    network.kill(kept=True)
    world.turn(6_000)
    assert world.ensemble.servers[0].tree.children("/test") == []
    assert done == ["made"]
