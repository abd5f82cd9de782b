"""SLA figures for /vars, made anew every so often, job after job in small slices of the event loop.

Jobs of production tiers and others are told apart, as by Aurora's flags; the names of the others end in `_nonprod`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from attrs import define, field

from scheduler.core.records import ACTIVE_STATES, JobKey, Task
from scheduler.core.sla.figures import (
    PERCENTILES,
    SIZE_NAMES,
    Category,
    Times,
    Uptime,
    Window,
    by_instance,
    job_uptimes,
    platform_uptime,
    sizes_of,
    times_of,
)
from scheduler.core.state import State

SLICE_S: Final = 0.004
"""Then others have their turn."""
MOST_JOBS: Final = 1_000
"""With figures of their own; the rest count for the cluster's, so that the page has an end."""

Figures = dict[str, int | float | str]
Categories = Collection[Category]


@define
class _Whole:
    """What is known of all jobs of one kind."""

    uptime: Uptime = field(factory=Uptime)
    times: Times = field(factory=Times)
    by_size: dict[str, Times] = field(factory=dict)

    def figures(self, wanted: Categories, suffix: str) -> Iterator[tuple[str, int | float]]:
        if Category.PLATFORM_UPTIME in wanted:
            yield f"sla_cluster_platform_uptime_percent{suffix}", round(self.uptime.percent, 4)
        if Category.MEDIANS not in wanted:
            return
        sizes = {f"{kind}_{size}": Times() for kind in ("cpu", "ram", "disk") for size in SIZE_NAMES} | self.by_size
        for whose, times in {"cluster": self.times, **sizes}.items():
            for name, ms in times.medians().items():
                yield f"sla_{whose}_{name}_ms{suffix}", ms


class Sla:
    """The figures of one process. Made by whoever leads; a leader that ends takes them with it."""

    def __init__(self, production: Categories, others: Categories, *, interval_ms: int) -> None:
        """`interval_ms`: how far back figures look that have a window."""
        self._wanted: dict[bool, Categories] = {True: production, False: others}
        self._interval_ms = interval_ms
        self._sampling: asyncio.Task[None] | None = None
        self._figures = self._of_all({True: _Whole(), False: _Whole()})

    def figures(self) -> Mapping[str, int | float | str]:
        return self._figures

    def begin(self, state: State, now_ms: int) -> None:
        """Make them anew, unless that is under way."""
        if self._sampling is None or self._sampling.done():
            self._sampling = asyncio.create_task(self.sample(state, now_ms), name="SLA figures")

    def stop(self) -> None:
        if self._sampling is not None:
            self._sampling.cancel()
            self._sampling = None
        self._figures = self._of_all({True: _Whole(), False: _Whole()})

    async def sample(self, state: State, now_ms: int) -> None:
        """Each job as it is when its turn comes."""
        window = Window(now_ms - self._interval_ms, now_ms)
        wholes = {True: _Whole(), False: _Whole()}
        found: Figures = {}
        named = 0
        turn_ends_s = time.monotonic() + SLICE_S
        for job in list(state.tasks.by_job):
            tasks = list(state.tasks.by_job.get(job, {}).values())
            if not tasks or not tasks[-1].config.is_service:
                continue
            is_production = bool(tasks[-1].config.production)
            wanted = self._wanted[is_production]
            of_job: Figures = {}
            for _ in _of_job(job, tasks, window, wanted, wholes[is_production], of_job):
                if time.monotonic() >= turn_ends_s:
                    await asyncio.sleep(0)
                    turn_ends_s = time.monotonic() + SLICE_S
            if of_job and job in state.tasks.active:
                named += 1
                if named <= MOST_JOBS:
                    found |= {f"{name}{_suffix(is_production)}": value for name, value in of_job.items()}
        self._figures = self._of_all(wholes) | found | {"sla_jobs_left_out": max(0, named - MOST_JOBS)}

    def _of_all(self, wholes: dict[bool, _Whole]) -> Figures:
        found: Figures = {"sla_jobs_left_out": 0}
        for is_production, whole in wholes.items():
            found |= dict(whole.figures(self._wanted[is_production], _suffix(is_production)))
        return found


def _suffix(is_production: bool) -> str:
    return "" if is_production else "_nonprod"


def _of_job(
    job: JobKey, tasks: list[Task], window: Window, wanted: Categories, whole: _Whole, found: Figures
) -> Iterator[None]:
    """Puts into `found` what is told of one job, and counts it for all of them; stops for breath after each piece."""
    if Category.JOB_UPTIMES in wanted:
        uptimes = job_uptimes(tasks, window.end_ms)
        found |= {f"sla_{job}_job_uptime_{share}_00_sec": uptimes[share] for share in PERCENTILES}
        yield
    if Category.PLATFORM_UPTIME in wanted:
        uptime = Uptime()
        for of_one in by_instance(tasks):
            uptime.add(platform_uptime(of_one, window))
            yield
        whole.uptime.add(uptime)
        found[f"sla_{job}_platform_uptime_percent"] = round(uptime.percent, 4)
    if Category.MEDIANS in wanted:
        times = Times()
        for task in tasks:
            taken = times_of(task, window) if task.status in ACTIVE_STATES else None
            if taken is not None:
                times.add(taken)
                for size in sizes_of(task.config):
                    whole.by_size.setdefault(size, Times()).add(taken)
                yield
        whole.times.add(times)
        found |= {f"sla_{job}_{name}_ms": ms for name, ms in times.medians().items()}
    yield
