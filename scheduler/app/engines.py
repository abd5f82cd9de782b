"""Which engine runs the tasks."""

from __future__ import annotations

from collections.abc import Callable

from scheduler.contracts import Engine
from scheduler.engines.local import LocalEngine, Machine
from scheduler.engines.simulated.client import SimulatedEngine
from scheduler.engines.simulated.options import Options
from scheduler.engines.simulated.processes import ensure_server
from scheduler.settings import Settings


def make_engine(settings: Settings, *, on_fenced: Callable[[int], None]) -> Engine:
    """The engine of these settings, not yet attached. Raises EngineError when the simulated one does not start."""
    if settings.engine == "simulated":
        socket = settings.data_dir / "simulated.sock"
        ensure_server(socket, Options(hosts=settings.simulated_hosts, seed=settings.simulated_seed))
        return SimulatedEngine(socket, cluster=settings.cluster_name, on_fenced=on_fenced)
    machine = Machine(settings.hostname, ports=range(*settings.port_range))
    return LocalEngine(settings.data_dir / "engine", machine, cluster=settings.cluster_name, on_fenced=on_fenced)
