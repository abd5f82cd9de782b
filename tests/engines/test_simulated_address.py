"""The simulated engine on the network: a process of its own, which schedulers of several machines share."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.app.engines import make_engine
from scheduler.contracts import EngineError, LaunchOrder
from scheduler.core.records import TaskStatus
from scheduler.engines.simulated import Address, SimulatedEngine
from scheduler.engines.simulated.server import main
from scheduler.engines.simulated.where import notice_silence
from scheduler.engines.simulated.wire import frame, read_frame
from scheduler.settings import Settings, WrongSetting
from tests.engines.worlds import Ears, command, in_loop, until

RUNNING = TaskStatus.RUNNING


class Outside:
    """`thesan simulated-engine` in a process of its own."""

    def __init__(self, listen: str = "127.0.0.1:0") -> None:
        words = [sys.executable, "-m", "scheduler", "simulated-engine", "--listen", listen, "--hosts", "2"]
        self._process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        said = self._process.stderr.readline()
        found = re.search(r"a pretended cluster on (\S+)$", said)
        assert found is not None, said + self._process.stderr.read()
        self.at = found[1]

    def engine(self) -> SimulatedEngine:
        return SimulatedEngine(Address.parse(self.at), cluster="test")

    def end(self) -> None:
        self._process.terminate()
        assert self._process.stderr is not None
        self._process.stderr.close()
        self._process.wait(60)


@pytest.fixture
def outside() -> Iterator[Outside]:
    one = Outside()
    yield one
    one.end()


def order(task_id: str, epoch: int) -> LaunchOrder:
    return LaunchOrder(epoch, task_id, 0, command("unused"), "host-1", ())


async def asks_for_ever(engine: SimulatedEngine) -> None:
    while True:
        await engine.reconcile()


@in_loop
async def test_two_schedulers_share_it_and_it_outlives_itself(outside: Outside, tmp_path: Path) -> None:
    first, first_ears, second, ears = outside.engine(), Ears(), outside.engine(), Ears()
    await first.start(first_ears, epoch=1, lineage="a")
    await until(lambda: len(first_ears.hosts) == 2, "two hosts")
    first.launch(order("t-1", 1))
    await first_ears.hears("t-1", RUNNING)

    await second.start(ears, epoch=2, lineage="a")
    assert [one.task_id for one in (await second.reconcile()).tasks] == ["t-1"]
    first.launch(order("t-2", 1))
    assert [one.task_id for one in (await second.reconcile()).tasks] == ["t-1"], "the older one is fenced off"
    await first.stop()

    await asyncio.to_thread(outside.end)
    with pytest.raises(EngineError):
        await asks_for_ever(second)
    second.launch(order("t-3", 2))  # waits for it
    again = await asyncio.to_thread(Outside, outside.at)
    try:
        await ears.hears("t-3", RUNNING)
        assert [one.task_id for one in (await second.reconcile()).tasks] == ["t-3"], "its tasks died with it"
        await second.stop()
    finally:
        again.end()


@in_loop
async def test_nobody_there(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    settings = Settings(engine="simulated", simulated_address=f"127.0.0.1:{port}", data_dir=tmp_path)
    engine = make_engine(settings, on_fenced=lambda epoch: None)
    with pytest.raises(EngineError, match=rf"at 127\.0\.0\.1:{port} cannot be reached: Connect call failed"):
        await engine.start(Ears(), epoch=1, lineage="a")
    assert os.listdir(tmp_path) == [], "and none was started here"


@in_loop
async def test_a_server_of_another_version(caplog: pytest.LogCaptureFixture) -> None:
    """It answers, and leaves out what this client needs to know: an error at once, and in the log why."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_frame(reader)
        writer.write(frame({"attached": 1}))
        while (asked := await read_frame(reader)) is not None:
            writer.write(frame({"snapshot": asked["snapshot"], "tasks": []}))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as older:
        engine = SimulatedEngine(Address("127.0.0.1", older.sockets[0].getsockname()[1]), cluster="test")
        await engine.start(Ears(), epoch=1, lineage="a")
        with pytest.raises(EngineError, match="hung up"):
            await engine.reconcile()
        assert "spoke nonsense: KeyError('of')" in caplog.text
        await engine.stop()


def test_a_peer_that_vanishes_is_noticed_by_the_system() -> None:
    with socket.socket() as connection:
        notice_silence(connection)
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 6_000


@pytest.mark.parametrize(
    ("text", "address"), [("a.example:1", Address("a.example", 1)), ("[::1]:0", Address("::1", 0))]
)
def test_addresses_are_read_and_written(text: str, address: Address) -> None:
    assert (Address.parse(text), str(address)) == (address, text)


@pytest.mark.parametrize("text", ["a", "a:", ":1", "a:65536", "::1:1", "a b:1", "a:1,b:1"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="must be HOST:PORT"):
        Address.parse(text)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "one of the arguments --socket --listen is required"),
        (["--listen", "a"], 2, "'a' is no address"),
        (["--listen", "127.0.0.1:0", "--hosts-file", "/nowhere/a.toml"], 2, "--hosts-file: /nowhere/a.toml cannot be"),
        (["--listen", "192.0.2.1:1"], 1, "192.0.2.1:1: Cannot assign requested address"),
    ],
)
def test_wrong_usage(words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == code
    assert said in capsys.readouterr().err


def test_settings_that_contradict_an_address() -> None:
    with pytest.raises(WrongSetting, match="--engine is local; it must be simulated"):
        Settings(simulated_address="a:1")
    with pytest.raises(WrongSetting, match="start that one with it"):
        Settings(engine="simulated", simulated_address="a:1", simulated_hosts_file=Path("a.toml"))
