"""Every engine in a world of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.worlds import LocalWorld, SimulatedWorld


@pytest.fixture(params=[LocalWorld, SimulatedWorld], ids=["local", "simulated"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LocalWorld | SimulatedWorld]:
    made = request.param(tmp_path)
    yield made
    made.close()


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalWorld]:
    made = LocalWorld(tmp_path)
    yield made
    made.close()
