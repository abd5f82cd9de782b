"""A task's processes as Aurora's executor is told about them: Thermos JSON, as Aurora's own client sends it.

Source of names and meanings: Aurora's documentation, configuration reference.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any, Final

from scheduler.client.fields import Fields

_PORT: Final = re.compile(r"\{\{\s*thermos\.ports\[([^\]\s]+)\]\s*\}\}")
_HERE: Final = re.compile(r"\{\{\s*here\s*\}\}")
_ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
HEALTH_PORT: Final = "health"
TASK_KEYS: Final = ("command", "processes", "order", "env", "ports", "health", "shutdown", "stop_wait")


class Executor:
    """What of a job file the executor is told: `data`, and the ports that this asks for, in order of mention."""

    def __init__(self, fields: Fields, job_name: str, here: Path) -> None:
        self._here = str(here)
        self._setup = _environment(fields.object("env"))
        self._ports = dict.fromkeys(fields.texts("ports"))
        task: dict[str, Any] = {"name": job_name, "processes": self._processes(fields)}
        if "order" in fields:
            task["constraints"] = [{"order": list(_order(fields, task["processes"]))}]
        if "stop_wait" in fields:
            task["finalization_wait"] = fields.duration_ms("stop_wait") / 1000
        job: dict[str, Any] = {"task": task, "lifecycle": _lifecycle(fields, self._ports)}
        if "health" in fields:
            job["health_check_config"] = self._health(fields)
        self.data = json.dumps(job, sort_keys=True, separators=(",", ":"))

    @property
    def ports(self) -> tuple[str, ...]:
        return tuple(self._ports)

    def _processes(self, fields: Fields) -> list[dict[str, Any]]:
        if ("command" in fields) == ("processes" in fields):
            raise fields.complain("command", "a job has either a command or processes, and not both")
        if "command" in fields:
            return [{"name": "command", "cmdline": self._cmdline(fields, "command")}]
        processes = [self._process(one) for one in fields.objects("processes")]
        if not processes:
            raise fields.complain("processes", "must have at least one process")
        return processes

    def _process(self, fields: Fields) -> dict[str, Any]:
        fields.only("name", "command", "max_failures", "min_duration", "daemon", "ephemeral")
        process: dict[str, Any] = {"name": fields.text("name"), "cmdline": self._cmdline(fields, "command")}
        if "max_failures" in fields:
            process["max_failures"] = fields.count("max_failures")
        if "min_duration" in fields:
            process["min_duration"] = fields.duration_ms("min_duration") / 1000
        for name in ("daemon", "ephemeral"):
            if fields.flag(name, False):
                process[name] = True
        return process

    def _cmdline(self, fields: Fields, name: str) -> str:
        command = fields.text(name).strip()
        if not command:
            raise fields.complain(name, "must not be empty")
        cmdline = self._setup + _HERE.sub(lambda _: shlex.quote(self._here), command)
        self._ports.update(dict.fromkeys(_PORT.findall(cmdline)))
        return cmdline

    def _health(self, fields: Fields) -> dict[str, Any]:
        health = fields.object("health").only(
            "path", "response", "code", "grace", "interval", "timeout", "max_failures", "min_successes"
        )
        if HEALTH_PORT not in self._ports:
            raise fields.complain(
                "health", "needs a port named health: use {{thermos.ports[health]}} in the command, or add it to ports"
            )
        return {
            "health_checker": {
                "http": {
                    "endpoint": health.text("path", "/health"),
                    "expected_response": health.text("response", "ok"),
                    "expected_response_code": health.count("code", 0),
                }
            },
            "initial_interval_secs": health.duration_ms("grace", 15_000) / 1000,
            "interval_secs": health.duration_ms("interval", 10_000) / 1000,
            "timeout_secs": health.duration_ms("timeout", 1_000) / 1000,
            "max_consecutive_failures": health.count("max_failures", 0),
            "min_consecutive_successes": health.count("min_successes", 1, least=1),
        }


def _environment(env: Fields) -> str:
    """Shell that sets the variables; Thermos knows none of its own."""
    settings = []
    for name in env.names():
        if not _ENV_NAME.fullmatch(name):
            raise env.complain(name, "is no name for an environment variable")
        settings.append(f"{name}={shlex.quote(env.text(name))}")
    return f"export {' '.join(settings)}\n" if settings else ""


def _order(fields: Fields, processes: list[dict[str, Any]]) -> tuple[str, ...]:
    names = [process["name"] for process in processes]
    order = fields.texts("order")
    for name in order:
        if name not in names:
            raise fields.complain("order", f"{name!r} is no process of this job; it has {', '.join(names)}")
    return order


def _lifecycle(fields: Fields, ports: dict[str, None]) -> dict[str, Any]:
    """The HTTP calls that ask a task to end before it gets a signal; none unless asked for."""
    if "shutdown" not in fields:
        return {}
    shutdown = fields.object("shutdown").only("port", "graceful_path", "graceful_wait", "path", "wait")
    port = shutdown.text("port", HEALTH_PORT)
    if port not in ports:
        raise shutdown.complain("port", f"the job has no port named {port!r}; it has {', '.join(ports) or 'none'}")
    return {
        "http": {
            "port": port,
            "graceful_shutdown_endpoint": shutdown.text("graceful_path", "/quitquitquit"),
            "graceful_shutdown_wait_secs": shutdown.duration_ms("graceful_wait", 5_000) / 1000,
            "shutdown_endpoint": shutdown.text("path", "/abortabortabort"),
            "shutdown_wait_secs": shutdown.duration_ms("wait", 5_000) / 1000,
        }
    }
