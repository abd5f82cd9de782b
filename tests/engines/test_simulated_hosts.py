"""Hosts from a file: what it may say, what is answered when it says something else, and what comes of it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import attrs
import pytest

from scheduler.app.engines import make_engine
from scheduler.contracts import EngineError, LaunchOrder, Signal, TaskReport
from scheduler.core.records import TaskStatus
from scheduler.engines.simulated import Options, SimulatedEngine, ensure_server
from scheduler.engines.simulated.hosts import HostPlan, Outage, WrongHosts, hosts_from, read_hosts
from scheduler.engines.simulated.model import Begin, Forget, HealHost, Launch, Model, Order, Send, SilenceHost
from scheduler.engines.simulated.processes import stop_server
from scheduler.engines.simulated.wire import host_from_json, host_to_json, order_from_json, order_to_json
from scheduler.settings import Settings
from tests.engines.worlds import Ears, command, in_loop, until

ROOT = Path(__file__).parents[2]
EXAMPLE = re.search(r"```toml\n(.*?)```", (ROOT / "docs" / "engines.md").read_text(), re.DOTALL)


def plans(text: str) -> dict[str, HostPlan]:
    return {plan.host.name: plan for plan in hosts_from(tomllib.loads(text), Options())}


def test_the_example_of_the_documentation() -> None:
    assert EXAMPLE is not None
    found = plans(EXAMPLE[1])
    assert list(found) == [*(f"web-{i:02}" for i in range(40)), "search-0", "search-1", "flaky"]
    web = found["web-07"].host
    assert (web.cpus, web.ram_mb, web.disk_mb, web.gpus) == (16.0, 65536, 1_000_000, 0)
    assert (web.ports[0], web.ports[-1], web.agent_id) == (31000, 31999, "simulated-web-07")
    assert dict(web.attributes) == {"host": ("web-07",), "rack": ("rack-3",), "zone": ("a", "b")}
    assert dict(found["search-1"].host.attributes)["dedicated"] == ("www-data/search",)
    assert (found["search-1"].host.cpus, found["search-1"].host.gpus) == (64.0, 4)
    assert found["flaky"].failures == (Outage(60_000, 20_000, 300_000),)
    assert found["flaky"].partitions == (Outage(120_000, 90_000),)


@pytest.mark.parametrize(("text", "sentence"), [
    ("", "there is no host; write at least one [[hosts]]"),
    ("hosts = 3", "there is no host; write at least one [[hosts]]"),
    ("host = 1", "the file: 'host' is not understood; known: defaults, hosts"),
    ("[[hosts]]", "hosts, entry 1: name is None; it must be letters"),
    ("[[hosts]]\nname='a b'", "hosts, entry 1: name is 'a b'; it must be letters"),
    ("[[hosts]]\nname='a'\n[[hosts]]\nname='a'", "hosts, entry 2: there are two hosts called 'a'"),
    ("[[hosts]]\nname='a'\ncount=2", "hosts, entry 1: name is 'a' and count 2; {} must stand in the name"),
    ("[[hosts]]\nname='a{}'\ncount=2000000", "hosts, entry 1: count is 2000000; it must be at most 1000000"),
    ("[[hosts]]\nname='a'\ncount=0", "hosts, entry 1, count is 0; it must be a whole number from 1 up"),
    ("[[hosts]]\nname='a'\ncpus='4'", "hosts, entry 1, cpus is '4'; it must be a number from 0 up"),
    ("[[hosts]]\nname='a'\nram_mb=0.5", "hosts, entry 1, ram_mb is 0.5; it must be a whole number from 0 up"),
    ("[[hosts]]\nname='a'\ngpus=true", "hosts, entry 1, gpus is True; it must be a whole number from 0 up"),
    ("[defaults]\nrack='r'\n[[hosts]]\nname='a'", "defaults: 'rack' is not understood"),
    ("[[hosts]]\nname='a'\nrack='r'\nracks=2", "hosts, entry 1: rack and racks are both given"),
    ("[[hosts]]\nname='a'\nrack=1", "hosts, entry 1, rack is 1; it must be a text or a list of texts"),
    ("[[hosts]]\nname='a'\nattributes={zone=[]}", "hosts, entry 1, attributes, zone is []; it must be a text"),
    ("[[hosts]]\nname='a'\nports='9-1'", 'hosts, entry 1: ports is \'9-1\'; it must be "FIRST-LAST"'),
    ("[[hosts]]\nname='a'\nfailures=[{for_ms=1}]", "hosts, entry 1, failures: after_ms is missing"),
    ("[[hosts]]\nname='a'\nfailures=[1]", "hosts, entry 1, failures is 1; it must be a table"),
    ("[[hosts]]\nname='a'\npartitions=[{after_ms=1, for_ms=5, every_ms=5}]",
     "hosts, entry 1, partitions: every_ms is 5; it must be more than for_ms"),
])  # fmt: skip
def test_what_is_wrong_is_said(text: str, sentence: str) -> None:
    with pytest.raises(WrongHosts) as wrong:
        plans(text)
    assert str(wrong.value).startswith(sentence)


def test_a_file_that_is_not_there_or_no_toml(tmp_path: Path) -> None:
    with pytest.raises(WrongHosts, match=r"none\.toml cannot be read: No such file"):
        read_hosts(tmp_path / "none.toml", Options())
    (tmp_path / "a.toml").write_text("[[hosts]\n")
    with pytest.raises(WrongHosts, match=r"a\.toml: .*line 1"):
        read_hosts(tmp_path / "a.toml", Options())
    settings = Settings(engine="simulated", simulated_hosts_file=tmp_path / "a.toml", data_dir=tmp_path)
    with pytest.raises(EngineError, match=r"--simulated-hosts-file: .*a\.toml: "):
        make_engine(settings, on_fenced=lambda epoch: None)


# --- what becomes of them --------------------------------------------------------------------------------------------


def begun(text: str) -> Model:
    model = Model(Options(start_ms=10, run_ms=10, stop_ms=10), hosts_from(tomllib.loads(text), Options()))
    model.begin(Begin("test", "a", 1))
    return model


def names(model: Model) -> list[str]:
    return sorted(host.name for host in model.hosts())


def told(model: Model, until_ms: float, *orders: Order, now_ms: float = 0) -> list[tuple[str, str]]:
    reports: list[TaskReport] = list(model.step(now_ms, orders).reports)
    while (due := model.next_ms()) is not None and due <= until_ms:
        reports += model.step(due).reports
    reports += model.step(until_ms).reports
    return [(report.task_id, report.status.name) for report in reports]


def test_a_failure_takes_what_is_there_again_and_again() -> None:
    model = begun("[[hosts]]\nname='a'\nfailures=[{after_ms=1000, for_ms=500, every_ms=2000}]\n[[hosts]]\nname='b'")
    assert told(model, 900, Launch(1, "t", "a")) == [("t", "STARTING"), ("t", "RUNNING")]
    assert told(model, 1200, now_ms=900) == [("t", "LOST")]
    seen = [(at, names(model)) for at in (1400, 1600, 3200, 3600, 5200) if told(model, at, now_ms=at) == []]
    assert seen == [(1400, ["b"]), (1600, ["a", "b"]), (3200, ["b"]), (3600, ["a", "b"]), (5200, ["b"])]


def test_a_partition_hides_what_goes_on() -> None:
    model = begun("[[hosts]]\nname='a'\npartitions=[{after_ms=1000, for_ms=5000}]")
    told(model, 900, Launch(1, "stays", "a"), Launch(1, "ends", "a", told="finish_after_ms=3000"))
    assert told(model, 5500, now_ms=900) == [("stays", "PARTITIONED"), ("ends", "PARTITIONED")]
    assert names(model) == []
    assert {report.status for report in model.tasks()} == {TaskStatus.PARTITIONED}
    assert told(model, 5600, Forget(("ends",)), now_ms=5600) == []
    assert told(model, 7000, now_ms=5600) == [("stays", "RUNNING"), ("ends", "FINISHED")]
    assert names(model) == ["a"]


def test_what_a_silent_host_is_told_it_does_when_it_is_heard_again() -> None:
    model = begun("[[hosts]]\nname='a'")
    told(model, 500, Launch(1, "t", "a"))
    assert told(model, 600, SilenceHost("a"), SilenceHost("a"), now_ms=600) == [("t", "PARTITIONED")]
    assert told(model, 900, Send(1, "t", Signal.KILL), Launch(1, "late", "a"), now_ms=700) == [("late", "LOST")]
    assert told(model, 2000, HealHost("a"), HealHost("a"), now_ms=1000) == [("t", "RUNNING"), ("t", "KILLED")]


def test_a_silent_host_may_be_lost() -> None:
    model = begun("[[hosts]]\nname='a'\nfailures=[{after_ms=1000, for_ms=500}]")
    told(model, 500, Launch(1, "t", "a"))
    assert told(model, 1100, SilenceHost("a"), now_ms=600) == [("t", "PARTITIONED"), ("t", "LOST")]
    assert told(model, 3000, HealHost("a"), now_ms=2000) == []
    assert names(model) == ["a"]


@pytest.mark.parametrize("order", [SilenceHost("a"), HealHost("a")])
def test_orders_and_hosts_travel(order: Order) -> None:
    assert order_from_json(order_to_json(order)) == order
    host = plans("[[hosts]]\nname='a'\ngpus=2\nunavailable_from_ms=5")["a"].host
    assert host_from_json(host_to_json(host)) == host


@in_loop
async def test_the_server_reads_the_file_and_tells_of_changes_only(tmp_path: Path) -> None:
    path, socket = tmp_path / "hosts.toml", tmp_path / "engine.sock"
    path.write_text("[[hosts]]\nname='a'\n[[hosts]]\nname='b'\nrack='r1'\n")
    ensure_server(socket, attrs.evolve(Options(), hosts_file=str(path)), idle_exit_secs=30)
    engine, ears = SimulatedEngine(socket, cluster="test"), Ears()
    try:
        await engine.start(ears, epoch=1, lineage="a")
        await until(lambda: [h.name for h in ears.hosts] == ["a", "b"], "two hosts")
        kept = ears.hosts[1]
        engine.launch(LaunchOrder(1, "t-1", 0, command("unused"), "a", ()))
        await ears.hears("t-1", TaskStatus.RUNNING)
        engine.silence_host("a")
        await ears.hears("t-1", TaskStatus.PARTITIONED)
        await until(lambda: [h.name for h in ears.hosts] == ["b"], "one host")
        engine.heal_host("a")
        await until(lambda: len(ears.hosts) == 2, "two hosts")
        assert next(h for h in ears.hosts if h.name == "b") is kept
        await engine.stop()
    finally:
        stop_server(socket)
