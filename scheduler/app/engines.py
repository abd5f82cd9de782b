"""Which engine runs the tasks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import attrs

from scheduler.app.tiers import read_tiers
from scheduler.contracts import Engine, EngineError
from scheduler.core.policy import Policy
from scheduler.cron_times import next_run, zone
from scheduler.engines.local import LocalEngine, Machine
from scheduler.engines.simulated.client import SimulatedEngine
from scheduler.engines.simulated.hosts import WrongHosts, read_hosts
from scheduler.engines.simulated.options import Options
from scheduler.engines.simulated.processes import ensure_server
from scheduler.engines.simulated.where import Address
from scheduler.engines.thermos import objection, stop_wait_ms
from scheduler.settings import Settings


def engine_warning(settings: Settings) -> str | None:
    """What an operator should know of this engine under these settings; docs/engines.md, "Several machines"."""
    if settings.engine == "local" and settings.zk_endpoints is not None and settings.engine_dir is None:
        return (
            "--engine local runs tasks on this machine only, and no other scheduler reaches them: one that takes over"
            " starts them anew after a while. Schedulers of one machine share their tasks with --engine-dir"
        )
    return None


def make_policy(settings: Settings) -> Policy:
    """The numbers and choices the core decides by, under these settings. Raises WrongSetting."""
    policy = attrs.evolve(
        settings.policy,
        infer_heartbeats=settings.pulse_after_failover == "infer",
        next_run=partial(next_run, where=zone(settings.cron_timezone)),
    )
    if settings.tier_config is not None:
        default, tiers = read_tiers(settings.tier_config)
        policy = attrs.evolve(policy, default_tier=default, tiers=tiers)
    if settings.engine != "local":
        return policy
    return attrs.evolve(policy, objection=objection, stop_wait_ms=stop_wait_ms)


def make_engine(settings: Settings, *, on_fenced: Callable[[int], None]) -> Engine:
    """The engine of these settings, not yet attached. Raises EngineError when the simulated one does not start."""
    if settings.simulated_address is not None:
        address = Address.parse(settings.simulated_address)
        return SimulatedEngine(address, cluster=settings.cluster_name, on_fenced=on_fenced)
    if settings.engine == "simulated":
        socket = (settings.engine_dir or settings.data_dir) / "simulated.sock"
        options = Options(hosts=settings.simulated_hosts, seed=settings.simulated_seed)
        if settings.simulated_hosts_file is not None:
            options = _with_file(options, settings.simulated_hosts_file.absolute())
        ensure_server(socket, options)
        return SimulatedEngine(socket, cluster=settings.cluster_name, on_fenced=on_fenced)
    folder = settings.engine_dir or settings.data_dir / "engine"
    first, last = settings.port_range
    machine = Machine(settings.hostname, ports=range(first, last + 1))
    return LocalEngine(folder, machine, cluster=settings.cluster_name, on_fenced=on_fenced)


def _with_file(options: Options, path: Path) -> Options:
    """Read here too: its mistakes are to be told to whoever starts the scheduler."""
    try:
        read_hosts(path, options)
    except WrongHosts as wrong:
        raise EngineError(f"--simulated-hosts-file: {wrong}") from None
    return attrs.evolve(options, hosts_file=str(path))
