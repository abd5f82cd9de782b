"""What callers write is shown, and does nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from scheduler.visible import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("errors above 1 % – größer", "errors above 1 % – größer"),
        ("a\tb", "a\tb"),
        ("\x1b]0;pwn\x07bad", "\\x1b]0;pwn\\x07bad"),
        ("a\n2026-11-21 ERROR", "a\\n2026-11-21 ERROR"),
        ("a\r\x9b2Jb", "a\\r\\x9b2Jb"),
        ("line\u2028sep \u202egnp.exe", "line\\u2028sep \\u202egnp.exe"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_it_is_always_printable_and_shown_again_the_same(text: str) -> None:
    shown = visible(text)
    assert shown.replace("\t", "").isprintable()
    assert visible(shown) == shown
