"""A cluster of one real scheduler for each test, and a place where tasks write down that they started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.testing.cluster import Cluster, Scheduler
from tests.failover.story import Story


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def scheduler(cluster: Cluster) -> Scheduler:
    return cluster.scheduler()


@pytest.fixture
def story(scheduler: Scheduler) -> Story:
    starts: Path = scheduler.folder / "starts"
    starts.mkdir()
    return Story(scheduler, starts)
