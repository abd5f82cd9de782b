"""A scheduler keeps its id with its data directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from scheduler.changelog.identity import FILE, instance_id
from scheduler.contracts import Unavailable


def test_it_is_made_once(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    found = instance_id(first)
    assert len(found) == 32 and instance_id(first) == found
    assert instance_id(second) != found


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"x" * 32, b"0" * 31])
def test_what_is_none_is_replaced(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "data"
    instance_id(folder)
    (folder / FILE).write_bytes(content)
    assert instance_id(folder) == instance_id(folder) != content.decode("latin-1")


def test_a_disk_that_fails_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    (folder / FILE).mkdir()
    with pytest.raises(Unavailable, match="cannot be kept"):
        instance_id(folder)
