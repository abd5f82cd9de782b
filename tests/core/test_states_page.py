"""docs/states.md says what the tables say."""

from __future__ import annotations

from pathlib import Path

from scheduler.core.records import TaskStatus
from scheduler.core.updates.records import UpdateStatus
from scheduler.testing.states import page

PAGE = Path(__file__).parents[2] / "docs" / "states.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m scheduler.testing.states > docs/states.md"


def test_the_page_names_every_state() -> None:
    for status in (*UpdateStatus, *TaskStatus):
        assert f"| {status.name} |" in page()
