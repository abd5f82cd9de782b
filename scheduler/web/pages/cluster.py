"""What the cluster has and waits for: hosts, offers, quotas, tiers, pending tasks, configurations, maintenance.

Each function takes the state and the policy, and answers with what `writing.py` writes. Records are fixed when it
returns; parts are made later.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from scheduler.core.answers import Answer
from scheduler.core.policy import Policy
from scheduler.core.records import Host, JobKey, MaintenanceMode, Quota, Task, TaskConfig, TaskStatus
from scheduler.core.state import State
from scheduler.core.tables import NO_USAGE, Usage
from scheduler.web.pages.writing import array, members, table

WriteConfig = Callable[[TaskConfig], str]
"""A configuration as JSON, fields by name."""


def path_of(job: JobKey) -> str:
    return f"{job.role}/{job.environment}/{job.name}"


# --- hosts -----------------------------------------------------------------------------------------------------------


def agents(state: State, policy: Policy) -> Answer:
    """A table of the hosts that are offered."""
    rows = [
        (host.name, host.agent_id, host.mode.name, " ".join(f"{k}={','.join(v)}" for k, v in host.attributes))
        for host in _hosts(state)
    ]
    return Answer(result=table("Agents", ("host", "agent", "mode", "attributes"), rows))


def offers(state: State, policy: Policy) -> Answer:
    """What each host has left. Aurora lists offers of Mesos; here a host is offered as long as it is there."""
    rows = [_offer(host, state.tasks.by_host.get(host.name, NO_USAGE)) for host in _hosts(state)]
    return Answer(result=array(rows))


def _offer(host: Host, used: Usage) -> dict[str, Any]:
    left = (
        ("cpus", round(host.cpus - used.milli_cpus / 1000, 3)),
        ("mem", host.ram_mb - used.ram_mb),
        ("disk", host.disk_mb - used.disk_mb),
        ("gpus", host.gpus - used.gpus),
        ("ports", len(host.ports) - len(used.ports)),
    )
    return {
        "id": host.agent_id,
        "agent_id": host.agent_id,
        "hostname": host.name,
        "attributes": [{"name": name, "values": list(values)} for name, values in host.attributes],
        "resources": [{"name": name, "value": value} for name, value in left],
    }


def maintenance(state: State, policy: Policy) -> Answer:
    """Hosts by mode; those that drain with the tasks they still have."""
    rows = sorted(state.maintenance.items())
    in_mode = {mode: [name for name, row in rows if row.mode is mode] for mode in MaintenanceMode}
    tasks = state.tasks.by_host
    leaving = [(host, list(tasks.get(host, NO_USAGE).tasks)) for host in in_mode[MaintenanceMode.DRAINING]]
    return Answer(result=_maintenance_parts(in_mode, leaving))


def _maintenance_parts(
    in_mode: dict[MaintenanceMode, list[str]], leaving: list[tuple[str, list[str]]]
) -> Iterator[str]:
    yield "{"
    for mode in (MaintenanceMode.DRAINED, MaintenanceMode.SCHEDULED):
        yield f'"{mode.name}":{json.dumps(in_mode[mode])},'
    yield '"DRAINING":{'
    yield from members((host, json.dumps(sorted(tasks))) for host, tasks in leaving)
    yield "}}\n"


def _hosts(state: State) -> list[Host]:
    return sorted(state.hosts.values(), key=lambda host: host.name)


# --- what may be asked for -------------------------------------------------------------------------------------------


def quotas(state: State, policy: Policy, role: str | None) -> Answer:
    """Role to quota: of all roles, or of one; a role without quota is not there."""
    found = {name: _quota(quota) for name, quota in sorted(state.quotas.items()) if role in (None, name)}
    return Answer(result=found)


def _quota(quota: Quota) -> dict[str, float]:
    return {"cpu_cores": quota.cpus, "ram_mb": quota.ram_mb, "disk_mb": quota.disk_mb}


def tiers(state: State, policy: Policy) -> Answer:
    found = {t.name: {"preemptible": t.preemptible, "revocable": t.revocable} for t in policy.tiers}
    return Answer(result={"default": policy.default_tier, "tiers": found})


def cron(state: State, policy: Policy) -> Answer:
    """The schedule of each cron job."""
    found = {path_of(key): job.schedule for key, job in state.cron_jobs.items()}
    return Answer(result={"scheduled": dict(sorted(found.items()))})


# --- tasks -----------------------------------------------------------------------------------------------------------


def pending_tasks(state: State, policy: Policy) -> Answer:
    """Pending tasks by configuration, each group with the reasons that are known."""
    groups: dict[TaskConfig, list[Task]] = {}
    for task in state.tasks.by_status[TaskStatus.PENDING].values():
        groups.setdefault(task.config, []).append(task)
    known = [(config, tasks, state.pending_reasons.get(config) or "") for config, tasks in groups.items()]
    return Answer(result=array(_group(*group) for group in known))


def _group(config: TaskConfig, tasks: list[Task], reason: str) -> dict[str, Any]:
    ids = [task.task_id for task in tasks]
    return {"penaltyMs": 0, "taskIds": ids, "name": path_of(config.job), "reason": f"[{reason}]"}


def whole_state(state: State, policy: Policy, write: WriteConfig) -> Answer:
    """Which configuration runs on which agent: each configuration once, agents with the keys of theirs."""
    names = {config: f"{path_of(config.job)}-{digest.hex()[:12]}" for config, digest in state.configs.digests.items()}
    by_agent: dict[str, list[TaskConfig]] = {}
    for usage in state.tasks.by_host.values():
        for task in usage.tasks.values():
            by_agent.setdefault(task.agent_id or task.host or "", []).append(task.config)
    return Answer(result=_state_parts(names, by_agent, write))


def _state_parts(
    names: dict[TaskConfig, str], by_agent: dict[str, list[TaskConfig]], write: WriteConfig
) -> Iterator[str]:
    used = dict.fromkeys(config for configs in by_agent.values() for config in configs)
    yield '{"taskConfigs":{'
    yield from members((names[config], write(config)) for config in used)
    yield '},"agents":{'
    yield from members(
        (agent, "".join(array(names[c] for c in configs)).rstrip()) for agent, configs in by_agent.items()
    )
    yield "}}\n"
