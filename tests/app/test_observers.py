"""What looks on as entries pass may be wrong: the log, the state and the other observers go on."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, cast

import pytest

from scheduler.app.server import Server
from scheduler.contracts import Entry
from scheduler.core import ops
from scheduler.settings import Settings
from scheduler.telemetry.mistakes import Mistakes

WRONG = ops.MoveTask("task", cast(Any, None), 0)
"""No event can be made of it, and nothing counted."""


def test_an_entry_that_nobody_can_take_ends_neither_the_reading_nor_the_leading(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server(Settings(data_dir=tmp_path))
    mistakes = Mistakes()
    logging.getLogger().addHandler(mistakes)
    try:
        reading = server.members.reading
        reading.begin("lineage")
        reading.passed(Entry(1, 1, bytes(16), 0, (WRONG,)))
        reading.caught_up(1)
        server.committed(Entry(2, 1, bytes(16), 0, (WRONG,)))
        server.committed(Entry(3, 1, bytes(16), 0, (ops.RemoveTasks(("a", "b")),)))
    finally:
        logging.getLogger().removeHandler(mistakes)
        server.members.reading.close("done")
    assert mistakes.count == 3
    assert "entry 1 is durable, and the event stream could not take it: it goes on with the next" in caplog.text
    assert "entry 2 is durable, and the tally could not take it" in caplog.text
    assert (server.stream.end, server.stream.held[0], server.tally.figures()["tasks_pruned"]) == (3, 2, 2)
