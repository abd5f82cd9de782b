"""Text that others wrote, made fit for a terminal and for a log: it says what it says and does nothing there.

Reasons, messages and names come from whoever calls. Raw, an escape sequence among them would be obeyed by the terminal
that shows it, and a line break would begin a line of the log that the scheduler never wrote.
"""

from __future__ import annotations

_HARMLESS = "\t"


def visible(text: str) -> str:
    """The same text, with whatever is not printable written as Python writes it: `\\x1b`, `\\n`, `\\u202e`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _HARMLESS else c.encode("unicode_escape").decode() for c in text)
