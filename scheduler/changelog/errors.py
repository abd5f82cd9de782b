"""Why a changelog cannot be read or opened. Each is a sentence for an operator; none is repaired by guessing."""

from __future__ import annotations

__all__ = ["Damaged", "DataDirRefused", "ForeignLineage", "FormatTooNew", "Unreadable"]


class Unreadable(Exception):
    """What is on disk cannot be taken as it is. The server must not start on it, and nothing was changed."""


class Damaged(Unreadable):
    """Something is missing, torn or altered. `offset` is the first entry that cannot be trusted, if it can be told."""

    def __init__(self, offset: int | None, what: str) -> None:
        where = "" if offset is None else f" at offset {offset}"
        super().__init__(f"the changelog is damaged{where}: {what}; restore a backup")
        self.offset = offset
        self.what = what


class ForeignLineage(Damaged):
    """An entry belongs to another history: files of two clusters, or from before a restore, were mixed."""


class FormatTooNew(Unreadable):
    """Written by a newer version. `level` is the format level found, None when a record of ours has an unknown kind."""

    def __init__(self, offset: int | None, what: str, level: int | None = None) -> None:
        where = "" if offset is None else f" at offset {offset}"
        super().__init__(
            f"the changelog was written by a newer version{where}: {what}; start that version or a later one"
        )
        self.offset = offset
        self.level = level


class DataDirRefused(Exception):
    """The data directory is held by another server, or not safe to use. The sentence says by whom, or what to do."""
