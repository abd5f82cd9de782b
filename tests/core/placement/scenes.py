"""Hosts, jobs and what became of them, for the tests of placement."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from scheduler.core.policy import OfferOrder, Policy
from scheduler.core.records import Host, JobKey, Resource, ResourceKind, Task, TaskConfig
from scheduler.core.tasks import actions
from scheduler.core.transaction import Transaction
from scheduler.testing.stage import Stage, service

JOB = JobKey("www", "prod", "web")
IN_ORDER = Policy(offer_order=OfferOrder.CPU)
"""Among equal hosts the one that was offered first, so that tests know which."""


def host(name: str, **changes: Any) -> Host:
    base = Host(name, f"agent-{name}", cpus=4.0, ram_mb=1024, disk_mb=1024, ports=(31000, 31001, 31002))
    return evolve(base, **changes)


def rack(*values: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return (("rack", values),)


def asking(job: JobKey = JOB, **changes: Any) -> TaskConfig:
    """One core, 64 MB; `ports` names of ports, `data` tells configurations apart."""
    config = service(job, changes.pop("data", "x"))
    ports = tuple(Resource(ResourceKind.PORT, name) for name in changes.pop("ports", ()))
    amounts = {r.kind: r.value for r in config.resources}
    for name, kind in (("cpus", ResourceKind.CPUS), ("ram_mb", ResourceKind.RAM_MB), ("gpus", ResourceKind.GPUS)):
        if name in changes:
            amounts[kind] = changes.pop(name)
    return evolve(config, resources=(*(Resource(kind, amounts[kind]) for kind in amounts), *ports), **changes)


class Scene:
    def __init__(self, *hosts: Host, policy: Policy = IN_ORDER) -> None:
        self.stage = Stage(policy)
        self.stage.offer(hosts)

    def create(self, config: TaskConfig, how_many: int = 1) -> None:
        def decide(tx: Transaction) -> None:
            active = tx.state.tasks.active.get(config.job, {})
            first = max(active, default=-1) + 1
            for number in range(first, first + how_many):
                actions.create(tx, config, number)

        self.stage.ask(decide)

    def kill(self, instance: int, job: JobKey = JOB) -> None:
        def decide(tx: Transaction) -> None:
            actions.kill(tx, tx.state.tasks.active[job][instance], "by hand")

        self.stage.ask(decide)

    def task(self, instance: int, job: JobKey = JOB) -> Task:
        return self.stage.active(job, instance)

    def where(self, job: JobKey = JOB) -> dict[int, str | None]:
        return {i: task.host for i, task in sorted(self.stage.state.tasks.active.get(job, {}).items())}

    def reasons(self) -> set[str]:
        return set(self.stage.state.pending_reasons.values())
