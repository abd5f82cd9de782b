"""Tasks as real processes on this machine. The folder's layout and rules: `docs/engines.md`."""

from __future__ import annotations

from scheduler.engines.local.engine import LocalEngine
from scheduler.engines.local.hosts import Machine

__all__ = ["LocalEngine", "Machine"]
