"""The executor's own small JSON, beside the library's, and what it brings into memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

import scheduler.executor
from scheduler.executor.light import dumps, loads

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_written_is_read_by_both(value: Any) -> None:
    assert json.loads(dumps(value)) == value
    assert loads(dumps(value)) == value
    assert loads(json.dumps(value, indent=1)) == value


@pytest.mark.parametrize("text", ["", "{", "[1,]", "nope", '{"a": 1} x', '{"a" 1}'])
def test_what_is_not_json(text: str) -> None:
    with pytest.raises(ValueError, match=r"JSON|Expecting|delimiter|value"):
        loads(text)


def test_an_executor_brings_in_little_and_only_the_standard_library() -> None:
    """Its memory counts once for every task. All of this comes at the start, so an upgrade changes nothing running."""
    main = Path(scheduler.executor.__file__).with_name("__main__.py")
    shows = f"import sys; sys.path.append({str(main.parents[2])!r})\n"
    shows += "import scheduler.executor.runner; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-I", "-S", "-c", shows], capture_output=True, check=True, cwd="/", text=True)
    loaded = set(out.stdout.split())
    heavy = {"re", "enum", "json", "typing", "socket", "signal", "subprocess", "asyncio", "contextlib", "logging"}
    assert loaded & heavy == set()
    tops = {name.partition(".")[0] for name in loaded} - {"scheduler", "__main__"}
    assert tops <= set(sys.stdlib_module_names)
