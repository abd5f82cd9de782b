"""Every figure a real server shows has its line in docs/compatibility.md, and every line of a served one its figure."""

from __future__ import annotations

import re
from pathlib import Path

import requests

from scheduler.testing.cluster import Cluster

PAGE = (Path(__file__).parents[2] / "docs" / "compatibility.md").read_text(encoding="utf-8")
ELSEWHERE = re.compile(r"zk_|log_|standby_|checkpoint_|shiro_|http_auth|tls_")
"""Figures of ZooKeeper mode and of security, which this server has not."""


def lines() -> dict[str, str]:
    section = PAGE.partition("\n## Metrics\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| (\S+) \| (same|differs|ours|not served) \|", section, re.MULTILINE))


def matches(line: str, name: str) -> bool:
    return re.fullmatch(re.sub(r"<\w+>", r"\\w+", line), name) is not None


def test_every_figure_has_its_line() -> None:
    served = [line for line, here in lines().items() if here != "not served"]
    with Cluster(engine="simulated") as cluster:
        scheduler = cluster.scheduler()
        scheduler.start()
        base = f"http://127.0.0.1:{scheduler.http_port}"
        requests.post(f"{base}/apibeta/getJobs", timeout=10)
        names = set(requests.get(f"{base}/vars.json", timeout=10).json())

    assert {name for name in names if not any(matches(line, name) for line in served)} == set()
    unseen = {line for line in served if not any(matches(line, name) for name in names)}
    assert {line for line in unseen if not ELSEWHERE.match(line)} == set()
