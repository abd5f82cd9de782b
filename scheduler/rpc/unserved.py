"""Methods of the interface that are not served yet. They answer ERROR and say so; nothing else mentions them."""

from __future__ import annotations

from typing import Final

UNSERVED: Final = (
    "startMaintenance",
    "drainHosts",
    "maintenanceStatus",
    "endMaintenance",
    "slaDrainHosts",
)
