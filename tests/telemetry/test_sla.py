"""SLA figures of a whole state: under which names, for which jobs, and in how small pieces."""

from __future__ import annotations

import asyncio

import pytest
from attrs import evolve

from scheduler.core import jobs, quota
from scheduler.core.records import JobConfiguration, JobKey, TaskStatus
from scheduler.core.sla.figures import Category
from scheduler.telemetry import sla
from scheduler.telemetry.sla import Categories, Sla
from scheduler.testing.stage import Stage, service

ALL = tuple(Category)


def stage_with(*names: str, tier: str = "preferred", is_service: bool = True) -> Stage:
    """Jobs of two tasks, pending at 0, running from 10 s on."""
    stage = Stage()
    amounts = tuple(zip(quota.KINDS, (100.0, 10_000, 10_000), strict=True))
    stage.ask(quota.set_quota, "www", amounts, "root")
    for name in names:
        job = JobKey("www", "prod", name)
        config = evolve(service(job, "x"), tier=tier, is_service=is_service)
        assert stage.ask(jobs.create, JobConfiguration(job, config, 2), "me").ok
    stage.advance(10_000)
    for name in names:
        for instance in (0, 1):
            stage.run(stage.active(JobKey("www", "prod", name), instance))
    stage.advance(20_000)
    return stage


def figures(stage: Stage, production: Categories = ALL, others: Categories = ()) -> dict[str, object]:
    made = Sla(production, others, interval_ms=60_000)
    asyncio.run(made.sample(stage.state, stage.clock.wall_ms()))
    return dict(made.figures())


def test_what_is_told_of_a_job_and_of_all() -> None:
    stage = stage_with("web")
    stage.report(stage.active(JobKey("www", "prod", "web"), 1), TaskStatus.LOST)
    stage.advance(10_000)
    found = figures(stage)
    of_job = {name.removeprefix("sla_www/prod/web_"): value for name, value in found.items() if "/" in name}
    assert of_job == {
        "job_uptime_50_00_sec": 30,
        "job_uptime_75_00_sec": 30,
        "job_uptime_90_00_sec": 30,
        "job_uptime_95_00_sec": 30,
        "job_uptime_99_00_sec": 30,
        "platform_uptime_percent": 83.3333,
        "mtta_ms": 0,
        "mtts_ms": 10_000,
        "mttr_ms": 10_000,
    }
    assert found["sla_cluster_platform_uptime_percent"] == 83.3333
    assert found["sla_cluster_mttr_ms"] == found["sla_cpu_small_mttr_ms"] == found["sla_disk_small_mtts_ms"] == 10_000
    assert found["sla_ram_xxlarge_mttr_ms"] == 0
    assert not any("nonprod" in name for name in found)


def test_other_jobs_are_told_of_when_that_is_asked_for() -> None:
    stage = stage_with("web", tier="preemptible")
    assert not any("/" in name for name in figures(stage))
    found = figures(stage, (), (Category.PLATFORM_UPTIME,))
    assert found == {
        "sla_jobs_left_out": 0,
        "sla_cluster_platform_uptime_percent_nonprod": 100.0,
        "sla_www/prod/web_platform_uptime_percent_nonprod": 100.0,
    }


def test_only_services_count() -> None:
    assert not any("/" in name for name in figures(stage_with("batch", is_service=False)))


def test_the_page_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = stage_with("a", "b", "c")
    monkeypatch.setattr(sla, "MOST_JOBS", 2)
    found = figures(stage, (Category.PLATFORM_UPTIME,))
    assert found["sla_jobs_left_out"] == 1
    assert sum("/" in name for name in found) == 2


def test_a_leader_that_ends_takes_its_figures_with_it() -> None:
    async def use() -> None:
        stage = stage_with("web")
        made = Sla(ALL, (), interval_ms=60_000)
        nothing = dict(made.figures())
        assert nothing["sla_cluster_platform_uptime_percent"] == 100.0
        made.begin(stage.state, stage.clock.wall_ms())
        made.begin(stage.state, stage.clock.wall_ms())
        assert made._sampling is not None
        await made._sampling
        assert dict(made.figures()) != nothing
        made.begin(stage.state, stage.clock.wall_ms())
        made.stop()
        await asyncio.sleep(0)
        assert dict(made.figures()) == nothing

    asyncio.run(use())
