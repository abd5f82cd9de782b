"""What a user may be called, and how credentials are asked for."""

from __future__ import annotations

from typing import Final

NOBODY: Final = "UNSECURE"
"""The user of calls that carry no credentials, as Aurora writes it in histories. Nobody else may have the name."""

CHALLENGE: Final = (b"www-authenticate", b'Basic realm="Apache Aurora Scheduler"')
"""The header of a 401. The text is Aurora's: clients keep credentials by it."""

MAX_LENGTH: Final = 255


def is_good(user: str) -> bool:
    """Is it a name that a file may hold and a history may show?"""
    return user.isprintable() and 0 < len(user) <= MAX_LENGTH and ":" not in user and user != NOBODY
