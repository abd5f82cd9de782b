"""Where the command looks for a scheduler: URLs, ZooKeeper, clusters.json, and which of them counts."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from scheduler.client.access import Access, Server, server_for
from scheduler.client.clusters import find_cluster, known_cluster
from scheduler.client.connection import Connection
from scheduler.client.errors import Unreachable, Usage
from scheduler.client.options import server_option
from scheduler.client.places import parse_urls, parse_zk
from scheduler.client.serverset import _url
from scheduler.testing.cluster import free_port
from tests.client.test_connection import OK, reply, server


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The machine's clusters.json and the user's, which do not exist yet."""
    machine, home = tmp_path / "etc", tmp_path / "home"
    machine.mkdir()
    (home / ".aurora").mkdir(parents=True)
    monkeypatch.setenv("AURORA_CONFIG_ROOT", str(machine))
    monkeypatch.setenv("HOME", str(home))
    return machine / "clusters.json", home / ".aurora" / "clusters.json"


def test_the_next_of_several_urls_is_asked_when_one_does_not_serve() -> None:
    with server(reply("getTierConfigs", OK)) as (url, seen):
        nobody = f"127.0.0.1:{free_port()}"
        assert Connection(f"{nobody},{url}").call("getTierConfigs").responseCode == OK
        with pytest.raises(Unreachable):
            Connection(f"{nobody},{url}", retry_s=0).call("getTierConfigs")
    assert len(seen) == 1


def test_a_call_that_may_have_been_carried_out_is_not_sent_to_the_next_url() -> None:
    doubt = pytest.raises(Unreachable, match="not known whether killTasks was carried out")
    with server(None) as (breaks, first), server(reply("killTasks", OK)) as (url, second), doubt:
        Connection(f"{breaks},{url}").call("killTasks")
    assert (len(first), len(second)) == (1, 0)


@pytest.mark.parametrize("text", ["", "ftp://a", "a,,b", "a:x", "http://a/scheduler", "http://[::1", "http://[zz]:80"])
def test_wrong_urls(text: str) -> None:
    with pytest.raises(Usage, match="--server"):
        parse_urls(text)


@pytest.mark.parametrize("text", ["http://me:secret@a", "a,http://me:secret@b", "me:sec,ret@a", "http://secret@a:x"])
def test_a_password_is_not_on_the_command_line(text: str) -> None:
    with pytest.raises(Usage, match="no user and no password") as wrong:
        parse_urls(text)
    assert "sec" not in wrong.value.format_message()


@pytest.mark.parametrize("text", ["a?x", "http://a/api?x=1", "http://a#x", "http://a/?", "a#"])
def test_nothing_of_a_url_is_dropped(text: str) -> None:
    with pytest.raises(Usage, match="nothing may follow"):
        parse_urls(text)


def test_names_of_places() -> None:
    assert str(parse_urls("a, https://b ,c:1")) == "http://a:8081,https://b,http://c:1"
    assert str(parse_zk("a:2181,b")) == "zk://a:2181,b/aurora/scheduler"
    assert str(parse_zk("[::1]:2181/chroot/", "/x/")) == "zk://[::1]:2181/chroot/x"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", "/x"),
        ("a,,b", "/x"),
        ("a:0x", "/x"),
        ("u@a", "/x"),
        ("a b", "/x"),
        ("a", "x"),
        ("a//b", "/x"),
        ("\udcff", "/x"),
        ("a" * 64, "/x"),
    ],
)
def test_wrong_zookeepers(text: str, path: str) -> None:
    with pytest.raises(Usage):
        parse_zk(text, path)


AT = {"host": "h", "port": 1}


@pytest.mark.parametrize(
    ("endpoints", "url"),
    [
        ({"http": AT}, "http://h:1"),
        ({"http": AT, "https": {"host": "s", "port": 2}}, "https://s:2"),
        ({"http": {"host": "::1", "port": "3"}}, "http://[::1]:3"),
    ],
)
def test_the_endpoint_that_is_called(endpoints: object, url: str) -> None:
    assert _url(json.dumps({"additionalEndpoints": endpoints}).encode(), "there") == url


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"additionalEndpoints": {}}',
        b'{"additionalEndpoints": 3}',
        b'{"additionalEndpoints": {"http": {"host": "h"}}}',
        b'{"additionalEndpoints": {"http": {"host": "h", "port": Infinity}}}',
        pytest.param(b"[" * 100_000, id="deep"),
        b"\xff",
    ],
)
def test_an_entry_nobody_can_read(data: bytes) -> None:
    with pytest.raises(Unreachable, match="names no http or https endpoint"):
        _url(data, "there")


def test_a_zookeeper_that_is_not_there() -> None:
    at = f"127.0.0.1:{free_port()}"
    with pytest.raises(Unreachable, match=f"cannot ask ZooKeeper at {at} who leads: no answer in time"):
        Connection(Server(parse_zk(at), Access()), retry_s=0).call("getJobs")


# --- clusters.json ---------------------------------------------------------------------------------------------------


def test_clusters_in_either_form_and_the_users_file_first(files: tuple[Path, Path]) -> None:
    machine, own = files
    machine.write_text(
        json.dumps(
            [
                {"name": "devcluster", "zk": "192.168.33.7", "scheduler_zk_path": "/aurora/scheduler",
                 "auth_mechanism": "UNAUTHENTICATED", "slave_root": "/var/lib/mesos"},
                {"name": "many", "zk": "a,b:1", "zk_port": 99, "scheduler_zk_path": "/x"},
                {"name": "other", "zk": "a"},
            ]
        )
    )  # fmt: skip
    assert str(find_cluster("devcluster")) == "zk://192.168.33.7:2181/aurora/scheduler"
    assert str(find_cluster("many")) == "zk://a:99,b:1/x"
    own.write_text(json.dumps({"many": {"scheduler_uri": "http://localhost:8081", "zk": "a"}}))
    assert str(find_cluster("many")) == "http://localhost:8081"
    assert known_cluster("unknown") is None
    with pytest.raises(Usage, match=r"cluster 'unknown' .* known: devcluster, many, other"):
        find_cluster("unknown")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot be read"),
        ("3", "must be a list"),
        ('[{"zk": "a"}]', "must be a list"),
        ('{"c": 3}', "must be an object"),
        ('{"c": {}}', "neither scheduler_uri nor zk"),
        ('{"c": {"zk": 3}}', "zk must be a text"),
        ('{"c": {"zk": "a", "zk_port": "x"}}', "zk_port must be a port"),
        ('{"c": {"zk": "a", "scheduler_zk_path": "x"}}', "must begin with /"),
        ('{"c": {"scheduler_uri": "ftp://a"}}', "scheduler_uri 'ftp://a': must be a URL"),
    ],
)
def test_a_wrong_file_is_named(files: tuple[Path, Path], text: str, says: str) -> None:
    files[0].write_text(text)
    with pytest.raises(Usage, match=says) as wrong:
        find_cluster("c")
    assert str(files[0]) in wrong.value.format_message()


# --- what counts -----------------------------------------------------------------------------------------------------


@click.command()
@server_option
def say(server: Server) -> None:
    click.echo(f"{server} {server.is_chosen}")


def said(*arguments: str, **environment: str) -> str:
    done = CliRunner().invoke(say, arguments, env=environment)
    return done.output.strip()


def test_who_says_where(files: tuple[Path, Path]) -> None:
    files[0].write_text(json.dumps({"east": {"scheduler_uri": "http://east"}}))
    assert said() == "http://127.0.0.1:8081 False"
    assert said("--server", "a") == "http://a:8081 True"
    assert said(THESAN_SERVER="a") == "http://a:8081 True"
    assert said("--zk", "z:1/root", "--serverset-path", "/s") == "zk://z:1/root/s True"
    assert said("--cluster", "east") == "http://east:8081 True"
    assert said("--cluster", "east", THESAN_SERVER="a", THESAN_ZK="z") == "http://east:8081 True"
    assert "--server and --zk are given" in said("--server", "a", "--zk", "z")
    assert "--server and --cluster are given (in the environment)" in said(THESAN_SERVER="a", THESAN_CLUSTER="east")


def test_the_cluster_in_a_jobs_name_counts_when_nobody_says_where(files: tuple[Path, Path]) -> None:
    files[0].write_text(json.dumps({"east": {"scheduler_uri": "http://east"}}))
    chosen, default = Server("a", Access()), Server("a", Access(), is_chosen=False)
    assert server_for(chosen, "east") is chosen
    assert server_for(default, "") is default
    assert server_for(default, "west") is default
    assert str(server_for(default, "east")) == "http://east:8081"
