"""Understanding what a task is to run: Thermos JSON as Aurora's clients send it, or a plain command.

`ExecutorConfig.data` is one of
- the JSON of an Aurora job: `{"task": {"processes": [...], ...}, "health_check_config": ..., "lifecycle": ...}`,
- `{"command": "..."}`, with the same `health_check_config` and `lifecycle` if wanted,
- anything that does not begin with a brace: a shell command.

Names, defaults and meanings are those of Aurora's documentation (configuration reference). What is not understood is
refused with the field's name and never passed over; what only describes the job to people or to the scheduler
(role, cluster, contact and so on) is left to whom it is meant for.
"""

from __future__ import annotations

import json
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from attrs import evolve

from scheduler.core.records import DockerContainer, MesosContainer, TaskConfig
from scheduler.engines.fields import Fields, check_text, refuse, shorten, shown
from scheduler.engines.plan import HEALTH_PORT, HealthPlan, ProcessPlan, ShutdownPlan, TaskPlan
from scheduler.engines.templates import check_references

_FOR_OTHERS = (
    "cluster", "constraints", "contact", "container", "cron_collision_policy", "cron_schedule", "enable_hooks",
    "environment", "executor_config", "instances", "max_task_failures", "metadata", "name", "partition_policy",
    "priority", "production", "role", "service", "sla_policy", "task_links", "tier", "update_config",
)  # fmt: skip
_MAX_NAME_BYTES = 200
_MAX_CMDLINE_BYTES = 120_000
"""Linux takes no argument of 131,072 bytes; references may become longer than they are."""
_MOST_PROCESSES = 500
_MOST_IN_ORDERS = 10_000
"""Orders, and names in all of them together."""


@lru_cache(maxsize=512)
def parse(config: TaskConfig) -> TaskPlan:
    """What the configuration asks to run. No I/O. Raises ValueError: which field, what is wrong, what is allowed."""
    _check_container(config)
    if config.executor is None:
        raise refuse("executorConfig", "is missing; this engine runs processes, which executorConfig.data describes")
    data = config.executor.data.strip()
    if not data:
        raise refuse("executorConfig.data", "is empty; allowed: Thermos JSON, or a shell command")
    if not data.startswith("{"):
        return _checked(TaskPlan((ProcessPlan("command", data, shell="sh"),), health=_default_health(config)), config)
    try:
        value = json.loads(data)
    except ValueError as e:
        raise refuse("executorConfig.data", f"begins like JSON but is none: {e}") from None
    except RecursionError:
        raise refuse("executorConfig.data", "is nested too deeply") from None
    fields = Fields(value, "")
    if "command" in fields:
        return _checked(_plain_command(fields, config), config)
    return _checked(_job(fields, config), config)


def objection(config: TaskConfig) -> str | None:
    """Why this configuration cannot be run."""
    try:
        parse(config)
    except ValueError as wrong:
        return str(wrong)
    return None


def stop_wait_ms(config: TaskConfig) -> int:
    """How long the executor's own steps to end a task may take; what is not understood has none.

    Raises nothing: it is asked about whatever is stored, also what would not be accepted any more.
    """
    try:
        return parse(config).stop_wait_ms
    except ValueError:
        return 0


def _check_container(config: TaskConfig) -> None:
    container = config.container
    if isinstance(container, DockerContainer):
        raise refuse("container.docker", "this engine runs no containers; leave the container unset")
    assert isinstance(container, MesosContainer)
    if container.image is not None:
        raise refuse("container.mesos.image", "this engine runs no images; leave it unset")
    if container.volumes:
        raise refuse("container.mesos.volumes", "this engine mounts no volumes; leave them unset")
    if config.fetcher_uris:
        raise refuse("mesosFetcherUris", "this engine fetches nothing; let a process fetch what it needs")


def _plain_command(fields: Fields, config: TaskConfig) -> TaskPlan:
    fields.only("command", "finalization_wait", "health_check_config", "lifecycle", "name")
    return TaskPlan(
        (ProcessPlan(fields.text("name", "command"), fields.text("command"), shell="sh"),),
        finalization_wait_secs=fields.secs("finalization_wait", 30),
        health=_health(fields, config),
        shutdown=_shutdown(fields, config) if "lifecycle" in fields else None,
    )


def _job(fields: Fields, config: TaskConfig) -> TaskPlan:
    fields.only("announce", "health_check_config", "lifecycle", "task", *_FOR_OTHERS)
    if "announce" in fields:
        raise refuse("announce", "announcing tasks is not served yet; leave it unset")
    if "task" not in fields:
        raise refuse("task", "is missing; allowed: Thermos JSON with a task, or a command")
    task = fields.object("task")
    task.only("constraints", "finalization_wait", "max_concurrency", "max_failures", "name", "processes", "resources",
              "user")  # fmt: skip
    processes = tuple(_process(p) for p in task.objects("processes", most=_MOST_PROCESSES))
    return TaskPlan(
        _ordered(processes, task),
        max_failures=task.count("max_failures", 1),
        max_concurrency=task.count("max_concurrency", 0),
        finalization_wait_secs=task.secs("finalization_wait", 30),
        health=_health(fields, config),
        shutdown=_shutdown(fields, config),
    )


def _process(fields: Fields) -> ProcessPlan:
    fields.only("cmdline", "daemon", "ephemeral", "final", "logger", "max_failures", "min_duration", "name")
    if fields.flag("final"):
        raise refuse(fields.at("final"), "finalizing processes are not served yet; leave it false")
    logger = fields.object("logger")
    logger.only("destination", "mode")
    for name, served in (("destination", "file"), ("mode", "standard")):
        if logger.text(name, served) != served:
            raise refuse(logger.at(name), f"only {served!r} is served yet")
    return ProcessPlan(
        fields.text("name"),
        fields.text("cmdline"),
        max_failures=fields.count("max_failures", 1),
        min_duration_secs=fields.secs("min_duration", 5),
        daemon=fields.flag("daemon"),
        ephemeral=fields.flag("ephemeral"),
    )


def _ordered(processes: tuple[ProcessPlan, ...], task: Fields) -> tuple[ProcessPlan, ...]:
    """With `after` from the ordering constraints: each name in an order waits for the one before it."""
    before: dict[str, dict[str, None]] = {p.name: {} for p in processes}
    left = _MOST_IN_ORDERS
    for constraint in task.objects("constraints", most=_MOST_IN_ORDERS):
        constraint.only("order")
        names = constraint.texts("order", most=_MOST_IN_ORDERS)
        left -= len(names)
        if left < 0:
            raise refuse(task.at("constraints"), f"have more than {_MOST_IN_ORDERS} names in all")
        for name in names:
            if name not in before:
                raise refuse(constraint.at("order"), f"names {shown(name)}, which is no process of this task")
        for first, second in pairwise(names):
            before[second][first] = None
    try:
        TopologicalSorter(before).prepare()
    except CycleError as e:
        raise refuse(task.at("constraints"), f"go in a circle: {shorten(' - '.join(e.args[1]))}") from None
    return tuple(evolve(p, after=tuple(before[p.name])) for p in processes)


def _default_health(config: TaskConfig) -> HealthPlan | None:
    return HealthPlan() if HEALTH_PORT in config.port_names() else None


def _health(fields: Fields, config: TaskConfig) -> HealthPlan | None:
    """Health checks happen when there is a port for them; clients always send their settings."""
    health = fields.object("health_check_config")
    health.only("health_checker", "initial_interval_secs", "interval_secs", "max_consecutive_failures",
                "min_consecutive_successes", "timeout_secs")  # fmt: skip
    checker = health.object("health_checker")
    checker.only("http", "shell")
    if "shell" in checker:
        raise refuse(checker.at("shell"), "shell health checks are not served yet; use http")
    http = checker.object("http")
    http.only("endpoint", "expected_response", "expected_response_code")
    plan = HealthPlan(
        endpoint=_endpoint(http, "endpoint", "/health"),
        expected_response=http.text("expected_response", "ok"),
        expected_response_code=http.count("expected_response_code", 0),
        initial_interval_secs=health.secs("initial_interval_secs", 15),
        interval_secs=health.secs("interval_secs", 10, above=0),
        timeout_secs=health.secs("timeout_secs", 1, above=0),
        max_consecutive_failures=health.count("max_consecutive_failures", 0),
        min_consecutive_successes=health.count("min_consecutive_successes", 1, least=1),
    )
    return plan if HEALTH_PORT in config.port_names() else None


def _shutdown(fields: Fields, config: TaskConfig) -> ShutdownPlan | None:
    """Not given: Aurora's default calls. `{}`: none. Without the port they go to, none either."""
    lifecycle = fields.object("lifecycle")
    lifecycle.only("http")
    if "lifecycle" in fields and lifecycle.is_empty():
        return None
    http = lifecycle.object("http")
    http.only("graceful_shutdown_endpoint", "graceful_shutdown_wait_secs", "port", "shutdown_endpoint",
              "shutdown_wait_secs")  # fmt: skip
    plan = ShutdownPlan(
        port=http.text("port", HEALTH_PORT),
        graceful_endpoint=_endpoint(http, "graceful_shutdown_endpoint", "/quitquitquit"),
        endpoint=_endpoint(http, "shutdown_endpoint", "/abortabortabort"),
        graceful_wait_secs=http.secs("graceful_shutdown_wait_secs", 5),
        wait_secs=http.secs("shutdown_wait_secs", 5),
    )
    return plan if plan.port in config.port_names() else None


def _endpoint(fields: Fields, name: str, default: str) -> str:
    """A path as it goes into a request line: no spaces, no line ends, ASCII."""
    path = fields.text(name, default)
    if not path:
        return ""
    if not path.isascii() or not path.isprintable() or " " in path:
        raise refuse(fields.at(name), f"must be a URL path without spaces, not {shown(path)}")
    return path if path.startswith("/") else f"/{path}"


def _checked(plan: TaskPlan, config: TaskConfig) -> TaskPlan:
    """The rules between the parts: names that can be folders, only once each; references that will have a value."""
    if not plan.processes:
        raise refuse("task.processes", "is empty; a task has at least one process")
    port_names = frozenset(config.port_names())
    seen: set[str] = set()
    for i, p in enumerate(plan.processes):
        path = f"task.processes[{i}]"
        if not p.name or p.name in (".", "..") or "/" in p.name or not p.name.isprintable():
            raise refuse(f"{path}.name", f"must be usable as the name of a folder, not {shown(p.name)}")
        if len(p.name.encode()) > _MAX_NAME_BYTES:
            raise refuse(f"{path}.name", f"is longer than {_MAX_NAME_BYTES} bytes")
        if p.name in seen:
            raise refuse(f"{path}.name", f"{p.name!r} is the name of another process too")
        seen.add(p.name)
        if not p.cmdline.strip() or "\0" in p.cmdline:
            raise refuse(f"{path}.cmdline", "must be a command")
        check_text(p.cmdline, f"{path}.cmdline")
        if len(p.cmdline.encode()) > _MAX_CMDLINE_BYTES:
            raise refuse(f"{path}.cmdline", f"is longer than {_MAX_CMDLINE_BYTES} bytes; let it run a file")
        check_references(p.cmdline, port_names, f"{path}.cmdline")
    if all(p.ephemeral for p in plan.processes):
        raise refuse("task.processes", "all are ephemeral; the task would end at once")
    return plan
