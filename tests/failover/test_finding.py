"""The command `thesan` among several schedulers: it finds the leader, and the next one when that dies."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.testing.fleet import Fleet, Member
from scheduler.testing.zookeeper import shared_server
from tests.client.served import job_file, thesan
from tests.packaging.tree import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
_numbers = itertools.count(1)


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with Fleet(shared_server().port, path=f"/finding-{os.getpid()}-{next(_numbers)}") as fleet:
        yield fleet


def url(member: Member) -> str:
    return f"http://127.0.0.1:{member.scheduler.http_port}"


def zk(fleet: Fleet) -> str:
    return f"{shared_server().address}{fleet.path}"


def run(*arguments: str, code: int = 0, **variables: str) -> str:
    done = thesan(*arguments, environment={**os.environ, **variables})
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, (arguments, done.stdout, done.stderr)
    return done.stdout + done.stderr


def test_the_leader_is_found_in_every_way_and_after_it_died(fleet: Fleet, tmp_path: Path) -> None:
    first = fleet.start(2)
    (other,) = fleet.others(first)
    clusters = {"local": {"zk": "127.0.0.1", "zk_port": shared_server().port,
                          "scheduler_zk_path": f"{fleet.path}/aurora/scheduler"}}  # fmt: skip
    (tmp_path / "clusters.json").write_text(json.dumps(clusters))
    config = {"AURORA_CONFIG_ROOT": str(tmp_path)}
    both = f"{url(first)},{url(other)}"

    run("job", "create", job_file(tmp_path, "found"), "--zk", zk(fleet))
    epoch = first.epoch
    first.scheduler.kill()

    # Nobody waits for the election here: the command does.
    assert "found" in run("job", "list", "--zk", zk(fleet))
    assert fleet.leader() is other and other.epoch == epoch + 1
    assert "found" in run("job", "list", "--server", both)
    assert "found" in run("job", "list", "--cluster", "local", **config)
    assert "found" in run("job", "status", "local/www-data/devel/found", **config)
    elsewhere = run("job", "status", "west/www-data/devel/found", "--zk", zk(fleet), code=1)
    assert "serves cluster 'local', not 'west'" in elsewhere

    other.scheduler.kill()
    said = run("job", "list", "--zk", zk(fleet), code=3)
    assert "has no leader" in said or "cannot reach a scheduler" in said


def test_a_monitor_beats_on_at_the_next_leader(fleet: Fleet, tmp_path: Path) -> None:
    first = fleet.start(2)
    path = job_file(tmp_path, "rolling", instances=2, watch="3s", more="pulse_timeout: 20s")
    run("update", "start", path, "--zk", zk(fleet))
    command = [sys.executable, "-m", "scheduler", "monitor", "www-data/devel/rolling", "--every", "300ms",
               "--vars", "process_uptime_secs>=0", "--zk", zk(fleet), "--write-json"]  # fmt: skip
    monitor = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with monitor:
        try:
            epoch = first.epoch
            assert monitor.stderr is not None
            told = monitor.stderr.readline()
            first.scheduler.kill()
            second = fleet.leader(after=epoch)
            out, err = monitor.communicate(timeout=60)
        finally:
            monitor.kill()

    assert "PROCEED -> OK" in told
    assert monitor.returncode == 0, err
    done = json.loads(out)
    assert done["status"] == "ROLLED_FORWARD" and done["unanswered"] >= 1
    assert "goes on beating" in err and "answers again" in err
    assert second is not first
