"""The helper that starts and ends real schedulers leaves nothing behind and touches nothing else."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from scheduler.testing.asking import job, tasks_of
from scheduler.testing.cluster import Cluster, DidNotStart, free_port
from scheduler.testing.leftovers import belonging_to, end_all

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("engine", ["local", "simulated"])
def test_everything_it_started_is_gone_afterwards(engine: str, tmp_path: Path) -> None:
    with Cluster(tmp_path, engine=engine) as cluster:
        scheduler = cluster.scheduler()
        scheduler.start()
        scheduler.ask("createJob", job("web", "sleep 600", 2))
        with scheduler.client() as client:
            while not all(task.status == 2 for task in tasks_of(client, ["web"])):
                time.sleep(0.02)
        scheduler.kill()
        assert scheduler.exit_status == -9
        scheduler.start()
        assert scheduler.ask("getServerState").epoch == 2
        assert belonging_to(cluster.folder) != []
        folder = cluster.folder

    assert belonging_to(folder) == []
    assert not folder.exists()


def test_one_that_cannot_start_says_why(tmp_path: Path) -> None:
    with Cluster(tmp_path, keep=True) as cluster:
        scheduler = cluster.scheduler(flags=["--cluster-name", ""])
        with pytest.raises(DidNotStart, match="it must be 1 to 255 of"):
            scheduler.start()
        del scheduler.flags[-2:]
        with pytest.raises(DidNotStart, match="no failpoint 'nowhere'"):
            cluster.scheduler().start(failpoint="nowhere")
    assert cluster.folder.exists()


def test_what_is_wrong_inside_comes_out_with_the_last_words(tmp_path: Path) -> None:
    def told() -> None:
        with Cluster(tmp_path) as cluster:
            cluster.scheduler().start()
            raise ValueError("something")

    with pytest.raises(ValueError) as caught:
        told()
    assert "leading: epoch 1" in "".join(caught.value.__notes__)


def test_a_neighbour_is_left_alone(tmp_path: Path) -> None:
    """Its folder's name only begins like ours."""
    ours, theirs = tmp_path / "a", tmp_path / "ab"
    code = "import time; time.sleep(60)"
    processes = [subprocess.Popen([sys.executable, "-c", code, str(folder)]) for folder in (ours, theirs)]
    try:
        give_up_at = time.monotonic() + 5
        while not belonging_to(theirs) or not belonging_to(ours):  # until both have become what they are
            assert time.monotonic() < give_up_at
        assert [one.pid for one in belonging_to(ours)] == [processes[0].pid]
        assert end_all(ours) == []
        assert processes[0].wait(5) == -9
        assert processes[1].poll() is None
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_ports_are_none_the_system_gives_to_clients() -> None:
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(free_port() < low for _ in range(20))
