"""`thesan cron` and `thesan quota` against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.served import Served, job_file, served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]

KEY = "www-data/devel/nightly"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("server"), "--cluster-name", "testing") as one:
        yield one


def test_a_cron_job_from_its_file_to_its_end(server: Served, tmp_path: Path) -> None:
    path = Path(job_file(tmp_path, "nightly"))
    text = path.read_text(encoding="utf-8").replace("service: true\n", "")
    assert "cron_schedule is missing" in server.run("cron", "schedule", str(path), code=2).stderr
    path.write_text(text + 'cron_schedule: "0 0 1 1 *"\ncron_collision_policy: cancel_new\n', encoding="utf-8")
    assert server.run("cron", "schedule", str(path)).stdout == f"{KEY}: scheduled, 0 0 1 1 *\n"
    shown = server.run("cron", "show", KEY).stdout.splitlines()
    assert shown[:3] == [KEY, "  schedule  0 0 1 1 *, CANCEL_NEW", "  instances 2"]
    assert "-01-01 " in shown[3]
    assert shown[4] == "  last run  never"
    assert server.run("cron", "start", KEY).stdout == f"{KEY}: started\n"
    assert "2 tasks active, CANCEL_NEW" in server.run("cron", "start", KEY).stdout
    assert server.run("cron", "show", KEY).stdout.splitlines()[-1] == "  held back 1"
    taken = server.run("quota", "get", "www-data").stdout.splitlines()
    assert taken[0].split(None, 1) == ["quota", "0 CPUs, 0 MB RAM, 0 MB disk"]
    assert taken[3].split(None, 1) == ["other", "0.02 CPUs, 2 MB RAM, 2 MB disk"]
    assert server.run("cron", "deschedule", KEY).stdout == f"{KEY}: descheduled\n"
    assert "is not scheduled with cron" in server.run("cron", "deschedule", KEY).stdout
    assert "is not scheduled with cron" in server.run("cron", "start", KEY, code=1).stderr
    assert server.run("job", "kill", KEY, "--wait").returncode == 0
