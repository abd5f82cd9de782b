"""The rows, a file for each idea. `docs/flags.md` and `thesan serve --help` show them in this order."""

from __future__ import annotations

from typing import Final

from scheduler.app.flags.groups import (
    cron,
    engine,
    history,
    jobs,
    placement,
    ports,
    security,
    server,
    sla,
    storage,
    tasks,
    updates,
    zookeeper,
)
from scheduler.app.flags.rows import Group, by_name

GROUPS: Final[tuple[Group, ...]] = (
    server.GROUP,
    ports.GROUP,
    security.GROUP,
    zookeeper.GROUP,
    storage.GROUP,
    engine.GROUP,
    placement.GROUP,
    jobs.GROUP,
    tasks.GROUP,
    updates.GROUP,
    cron.GROUP,
    sla.GROUP,
    history.GROUP,
)

ROWS: Final = by_name(row for group in GROUPS for row in group.rows)
"""Every flag by its name and by its other names."""
