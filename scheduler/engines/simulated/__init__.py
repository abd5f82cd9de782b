"""Tasks that are only pretended, on as many hosts as wanted, with failures on demand.

`model` is the whole behaviour, without any input or output, for simulations on a virtual clock. `server` is a process
around it, which outlives the schedulers that share it; `client` is the `Engine` that speaks to it.
"""

from __future__ import annotations

from scheduler.engines.simulated.client import SimulatedEngine
from scheduler.engines.simulated.options import Options
from scheduler.engines.simulated.processes import ensure_server, stop_server
from scheduler.engines.simulated.where import Address

__all__ = ["Address", "Options", "SimulatedEngine", "ensure_server", "stop_server"]
