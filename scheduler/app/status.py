"""How this server is, in numbers: what /vars shows and getServerState tells. Names are Aurora's where it has them."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from scheduler import __version__
from scheduler.controller.gateway import Gateway
from scheduler.core.answers import Code
from scheduler.core.placement.preemption import FIGURES as PREEMPTOR
from scheduler.core.records import ACTIVE_STATES, TaskStatus
from scheduler.core.state import State
from scheduler.core.updates.records import UpdateStatus
from scheduler.leadership.steps import Steps
from scheduler.lifecycle import Lifecycle, Stage
from scheduler.rpc.to_thrift import ServerState
from scheduler.web.pages.consumption import figures

AURORAS_STAGES: Final[dict[str, tuple[Stage, ...]]] = {
    "IDLE": (),
    "PREPARING_STORAGE": (),
    "STORAGE_PREPARED": (Stage.STANDBY,),
    "LEADER_AWAITING_REGISTRATION": (Stage.TAKING_OVER,),
    "ACTIVE": (Stage.LEADING, Stage.SUSPENDED),
    "DEAD": (Stage.STOPPING,),
}
"""Aurora's names for where a scheduler stands; scripts wait for them."""


class Status:
    """Counters of calls, and the figures that are read from the state when somebody asks."""

    def __init__(self, cluster_name: str, started_ms: int, gateway: Gateway, lifecycle: Lifecycle) -> None:
        self.read: Callable[[], tuple[str, int]] = lambda: ("", 0)
        """Lineage and offset of the last entry that was read or written here."""
        self.instance_id: Callable[[], str] = lambda: ""
        """Which scheduler this is."""
        self.steps: Steps | None = None
        """Of the last take-over."""
        self._cluster_name = cluster_name
        self._started_ms = started_ms
        self._gateway = gateway
        self._lifecycle = lifecycle
        self._codes: Counter[Code] = Counter()
        self._calls: Counter[str] = Counter()
        self._nanos: Counter[str] = Counter()
        self._more: list[Callable[[], Mapping[str, int | float | str]]] = []

    def observe(self, method: str, code: Code, nanos: int, calls: int) -> None:
        """So many calls were answered, and took so long together."""
        self._codes[code] += calls
        self._calls[method] += calls
        self._nanos[method] += nanos

    def add(self, more: Callable[[], Mapping[str, int | float | str]]) -> None:
        """Figures that another part of the server has."""
        self._more.append(more)

    def metrics(self) -> dict[str, int | float | str]:
        """Name to value, for /vars."""
        more: dict[str, int | float | str] = {}
        for tell in self._more:
            more |= tell()
        uptime_s = int(time.time() - self._started_ms / 1000)
        found: dict[str, int | float | str] = {
            "build_version": __version__,
            "instance_id": self.instance_id(),
            "process_uptime_secs": uptime_s,
            "jvm_uptime_secs": uptime_s,  # what monitors of Aurora watch to see a restart
            "system_load_avg": round(os.getloadavg()[0], 2),
            "process_cpu_secs": round(time.process_time(), 3),
        }
        for code in Code:
            found[f"scheduler_thrift_response_{code.name}"] = self._codes[code]
        for method, calls in self._calls.items():
            found[f"scheduler_thrift_{method}_events"] = calls
            found[f"scheduler_thrift_{method}_nanos_total"] = self._nanos[method]
            found[f"scheduler_thrift_{method}_nanos_per_event"] = self._nanos[method] // calls
        for stage in Stage:
            name = stage.value.upper().replace(" ", "_")
            found[f"scheduler_lifecycle_{name}"] = int(self._lifecycle.stage is stage)
        for name, stages in AURORAS_STAGES.items():
            found[f"scheduler_lifecycle_{name}"] = int(self._lifecycle.stage in stages)
        if self.steps is not None:
            found |= {f"takeover_{step}_ms": took_ms for step, took_ms in self.steps.took_ms.items()}
            found["takeover_total_ms"] = self.steps.total_ms
        return found | more | self._of_state()

    def _of_state(self) -> dict[str, int | float | str]:
        controller = self._gateway.controller
        found: dict[str, int | float | str] = {"framework_registered": int(controller is not None)}
        if controller is None:
            return found
        state = controller.state
        for status in TaskStatus:
            found[f"task_store_{status.name}"] = len(state.tasks.by_status[status])
        statuses = Counter(update.status for update in state.updates.values())
        for update_status in UpdateStatus:
            found[f"updates_{update_status.name}"] = statuses[update_status]
        found["outstanding_offers"] = len(state.hosts)
        found["cron_jobs_loaded"] = len(state.cron_jobs)
        found |= _of_resources(state)
        found |= _of_placement(state)
        found["scheduler_epoch"] = controller.epoch
        found["scheduler_committed_offset"] = controller.durable_offset
        found["scheduler_deadlines"] = len(controller.deadlines)
        return found

    def server_state(self) -> ServerState:
        controller = self._gateway.controller
        state = None if controller is None else controller.state
        lineage, read = self.read()
        return ServerState(
            version=__version__,
            cluster_name=self._cluster_name,
            started_timestamp_ms=self._started_ms,
            committed_offset=read if controller is None else controller.durable_offset,
            epoch=0 if controller is None else controller.epoch,
            lineage=lineage,
            instance_id=self.instance_id(),
            active_updates=0 if state is None else len(state.updates.active),
            active_tasks=0 if state is None else sum(len(state.tasks.by_status[s]) for s in ACTIVE_STATES),
        )


def _of_resources(state: State) -> dict[str, float]:
    """What active tasks take, by quota's buckets."""
    found: dict[str, float] = {}
    for metric, taken in figures(state).items():
        found[f"resources_{metric}_cpu_cores"] = taken.micro_cpus / 1_000_000
        found[f"resources_{metric}_ram_mb"] = taken.ram_mb
        found[f"resources_{metric}_disk_mb"] = taken.disk_mb
    allocated = list(state.quotas.values())
    found["resources_allocated_quota_cpu_cores"] = sum(quota.cpus for quota in allocated)
    found["resources_allocated_quota_ram_mb"] = sum(quota.ram_mb for quota in allocated)
    found["resources_allocated_quota_disk_mb"] = sum(quota.disk_mb for quota in allocated)
    return found


def _of_placement(state: State) -> dict[str, int]:
    """What this leader did since it leads to find hosts for tasks."""
    memory = state.placement
    found = {
        "schedule_attempts_fired": memory.attempts,
        "schedule_attempts_no_match": memory.back_offs,
        "scheduling_groups_waiting": len(memory.waiting),
        "reservation_cache_size": len(state.reservations),
    }
    return found | {f"preemptor_{name}": memory.figures[name] for name in PREEMPTOR}
