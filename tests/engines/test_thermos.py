"""What task configurations are understood as, and how they are refused."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, strategies as st

from scheduler.core.records import (
    DockerContainer,
    DockerImage,
    ExecutorConfig,
    FetcherUri,
    MesosContainer,
    TaskConfig,
    Volume,
)
from scheduler.engines.plan import HealthPlan, ProcessPlan, ShutdownPlan, TaskPlan
from scheduler.engines.templates import fill
from scheduler.engines.thermos import objection, parse, stop_wait_ms
from tests.engines.worlds import JOB, command, ports

# As gorealis sends it: nothing but the task (no name, role or environment), amounts multiplied by 1026.
GOREALIS = {
    "task": {
        "processes": [
            {"name": "first", "cmdline": "echo hello", "daemon": False, "ephemeral": False, "max_failures": 1,
             "min_duration": 5, "final": False},
            {"name": "second", "cmdline": "sleep 60"},
        ],
        "constraints": [{"order": ["first", "second"]}],
        "resources": {"cpu": 0.25, "ram": 65664, "disk": 102600, "gpu": 0},
    }
}  # fmt: skip

# As Aurora's Python client sends it: the whole job, defaults filled in.
PYTHON_CLIENT: dict[str, Any] = {
    "cluster": "devcluster", "role": "www", "environment": "test", "name": "hello", "contact": "me@example.com",
    "service": True, "production": False, "priority": 0, "max_task_failures": 1, "enable_hooks": False,
    "cron_collision_policy": "KILL_EXISTING", "tier": "preemptible", "constraints": {"rack": "limit:1"},
    "health_check_config": {
        "initial_interval_secs": 15.0, "interval_secs": 10.0, "timeout_secs": 1.0, "max_consecutive_failures": 0,
        "min_consecutive_successes": 1,
        "health_checker": {"http": {"endpoint": "/health", "expected_response": "ok", "expected_response_code": 0}},
    },
    "lifecycle": {"http": {"port": "health", "graceful_shutdown_endpoint": "/quitquitquit",
                           "shutdown_endpoint": "/abortabortabort", "graceful_shutdown_wait_secs": 5,
                           "shutdown_wait_secs": 5}},
    "task": {
        "name": "hello", "finalization_wait": 30, "max_failures": 1, "max_concurrency": 0, "constraints": [],
        "resources": {"cpu": 1.0, "ram": 134217728, "disk": 134217728, "gpu": 0},
        "processes": [{"name": "web", "cmdline": "serve {{thermos.ports[health]}}", "daemon": False,
                       "ephemeral": False, "max_failures": 1, "min_duration": 5, "final": False,
                       "logger": {"destination": "file", "mode": "standard"}}],
    },
}  # fmt: skip


def job(value: Any, *port_names: str) -> TaskConfig:
    return command(json.dumps(value), resources=ports(*port_names))


def test_what_gorealis_sends() -> None:
    assert parse(job(GOREALIS)) == TaskPlan(
        (ProcessPlan("first", "echo hello"), ProcessPlan("second", "sleep 60", after=("first",)))
    )


def test_what_the_python_client_sends() -> None:
    plan = parse(job(PYTHON_CLIENT, "health"))
    assert plan == TaskPlan(
        (ProcessPlan("web", "serve {{thermos.ports[health]}}"),), health=HealthPlan(), shutdown=ShutdownPlan()
    )
    assert plan.stop_wait_ms == 40_000


def test_without_a_health_port_nobody_is_asked_for_health_or_to_end() -> None:
    without = json.loads(json.dumps(PYTHON_CLIENT).replace("{{thermos.ports[health]}}", "80"))
    plan = parse(job(without))
    assert (plan.health, plan.shutdown, plan.stop_wait_ms) == (None, None, 30_000)


def test_a_health_port_alone_gets_the_defaults() -> None:
    assert parse(job(GOREALIS, "health")).health == HealthPlan()
    assert parse(job(GOREALIS, "health")).shutdown == ShutdownPlan()
    assert parse(job({**GOREALIS, "lifecycle": {}}, "health")).shutdown is None
    assert parse(command("sleep 1", resources=ports("health"))).health == HealthPlan()


def test_plain_commands() -> None:
    assert parse(command("sleep 1; true")) == TaskPlan((ProcessPlan("command", "sleep 1; true", shell="sh"),))
    assert parse(job({"command": "sleep 1", "name": "nap", "finalization_wait": 2})) == TaskPlan(
        (ProcessPlan("nap", "sleep 1", shell="sh"),), finalization_wait_secs=2
    )
    asked = parse(job({"command": "x", "lifecycle": {"http": {"shutdown_endpoint": ""}}}, "health")).shutdown
    assert asked == ShutdownPlan(endpoint="")
    assert parse(job({"command": "x"}, "health")).shutdown is None


def test_partial_orders_make_only_the_waits_they_name() -> None:
    task = {"processes": [{"name": n, "cmdline": "true"} for n in "abcd"],
            "constraints": [{"order": ["a", "c"]}, {"order": ["b", "c"]}, {"order": ["a", "c"]}]}  # fmt: skip
    plan = parse(job({"task": task}))
    assert {p.name: p.after for p in plan.processes} == {"a": (), "b": (), "c": ("a", "b"), "d": ()}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The Python client's job with one field set."""
    whole: dict[str, Any] = json.loads(json.dumps(PYTHON_CLIENT))
    place: Any = whole
    *steps, last = path.split("/")
    for step in steps:
        place = place[int(step) if step.isdigit() else step]
    place[last] = value
    return whole


PROCESS = "task/processes/0"


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        ("announce", {"primary_port": "http"}, "announce: announcing tasks is not served yet"),
        ("colour", "red", "colour: not understood; known here: announce, cluster"),
        ("task", [], "task: must be an object, not []"),
        ("task/colour", "red", "task.colour: not understood"),
        ("task/processes", [], "task.processes: is empty"),
        ("task/processes", "x", "task.processes: must be a list, not 'x'"),
        ("task/max_failures", -1, "task.max_failures: must be at least 0, not -1"),
        ("task/max_failures", 1.5, "task.max_failures: must be a whole number, not 1.5"),
        ("task/finalization_wait", "30", "task.finalization_wait: must be a number, not '30'"),
        ("task/max_concurrency", True, "task.max_concurrency: must be a number, not True"),
        ("task/constraints", [{"order": ["web", "db"]}], "task.constraints[0].order: names 'db'"),
        ("task/constraints", [{"order": ["web", "web"]}], "task.constraints: go in a circle"),
        ("task/constraints", [{"near": []}], "task.constraints[0].near: not understood"),
        (f"{PROCESS}/name", "a/b", "task.processes[0].name: must be usable as the name of a folder, not 'a/b'"),
        (f"{PROCESS}/name", "..", "task.processes[0].name: must be usable as the name of a folder"),
        (f"{PROCESS}/name", "x" * 201, "task.processes[0].name: is longer than 200 bytes"),
        (f"{PROCESS}/name", None, "task.processes[0].name: is missing"),
        (f"{PROCESS}/cmdline", " ", "task.processes[0].cmdline: must be a command"),
        (f"{PROCESS}/cmdline", "x {{thermos.ports[db]}}", "uses port 'db', but the task asks for these ports: health"),
        (f"{PROCESS}/cmdline", "x {{thermos.user}}", "task.processes[0].cmdline: {{thermos.user}} is not understood"),
        (f"{PROCESS}/cmdline", "echo \ud800", "task.processes[0].cmdline: has '\\ud800', half a character, at 5"),
        (f"{PROCESS}/cmdline", "x" * 120_001, "cmdline: is longer than 120000 bytes; let it run a file"),
        (f"{PROCESS}/\ud800", 1, "task.processes[0].\\ud800: not understood"),
        (f"{PROCESS}/final", True, "task.processes[0].final: finalizing processes are not served yet"),
        (f"{PROCESS}/ephemeral", True, "task.processes: all are ephemeral"),
        (f"{PROCESS}/daemon", 1, "task.processes[0].daemon: must be true or false, not 1"),
        (f"{PROCESS}/logger/mode", "rotate", "task.processes[0].logger.mode: only 'standard' is served yet"),
        ("health_check_config/health_checker", {"shell": {"shell_command": "x"}},
         "health_check_config.health_checker.shell: shell health checks are not served yet"),
        ("health_check_config/interval_secs", 0, "health_check_config.interval_secs: must be more than 0, not 0"),
        ("health_check_config/min_consecutive_successes", 0, "must be at least 1, not 0"),
        ("health_check_config/endpoint", "/x", "health_check_config.endpoint: not understood"),
        ("health_check_config/health_checker/http/endpoint", "/a b", "must be a URL path without spaces"),
        ("health_check_config/health_checker/http/endpoint", "/a\r\nX: y", "must be a URL path without spaces"),
        ("lifecycle/http/wait", 5, "lifecycle.http.wait: not understood"),
        ("lifecycle/http/shutdown_wait_secs", float("inf"), "lifecycle.http.shutdown_wait_secs: must be a finite"),
        ("lifecycle/http/shutdown_wait_secs", 2592001, "lifecycle.http.shutdown_wait_secs: must be at most 2592000, "),
        ("task/finalization_wait", 1e306, "task.finalization_wait: must be at most 2592000, not 1e+306"),
        ("task/finalization_wait", 10**400, "task.finalization_wait: is a larger number than there can be here"),
        ("task/max_failures", 2**31, "task.max_failures: must be at most 2147483647, not 2147483648"),
        ("health_check_config/max_consecutive_failures", 1e308, "must be at most 2147483647, not 1e+308"),
        (f"{PROCESS}/min_duration", 1e9, "task.processes[0].min_duration: must be at most 2592000, not 1000000000"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_by_name(path: str, value: Any, complaint: str) -> None:
    parse(job(PYTHON_CLIENT, "health"))
    with pytest.raises(ValueError) as refusal:
        parse(job(changed(path, value), "health"))
    assert complaint in str(refusal.value)


def test_two_processes_of_one_name() -> None:
    twice = [{"name": "a", "cmdline": "true"}, {"name": "a", "cmdline": "false"}]
    with pytest.raises(ValueError, match=r"task.processes\[1\].name: 'a' is the name of another process too"):
        parse(job({"task": {"processes": twice}}))


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ("", "executorConfig.data: is empty"),
        ("  ", "executorConfig.data: is empty"),
        ("echo \ud800", "task.processes[0].cmdline: has '\\ud800', half a character, at 5"),
        ("{ echo hi; }", "executorConfig.data: begins like JSON but is none"),
        ("{}", "task: is missing; allowed: Thermos JSON with a task, or a command"),
        ('{"command": 7}', "command: must be a string, not 7"),
        ('{"command": "x", "task": {}}', "task: not understood; known here: command"),
        ('{"command": "x {{mesos.slave}}"}', "{{mesos.slave}} is not understood"),
        ('{"command": ' + "[" * 100_000, "executorConfig.data: is nested too deeply"),
        ('{"command": ' + "[" * 900 + "]" * 900 + "}", "command: must be a string, not [[[[[["),
    ],
)
def test_data_that_is_no_task(data: str, complaint: str) -> None:
    with pytest.raises(ValueError) as refusal:
        parse(command(data))
    assert complaint in str(refusal.value)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"executor": None}, "executorConfig: is missing"),
        ({"container": DockerContainer("busybox")}, "container.docker: this engine runs no containers"),
        ({"container": MesosContainer(DockerImage("busybox", "1"))}, "container.mesos.image: "),
        ({"container": MesosContainer(None, (Volume("/a", "/b", 1),))}, "container.mesos.volumes: "),
        ({"fetcher_uris": (FetcherUri("http://127.0.0.1/x"),)}, "mesosFetcherUris: this engine fetches nothing"),
    ],
)
def test_what_only_other_engines_can_run(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse(evolve(command("true"), **change))


AMOUNTS = st.integers() | st.floats() | st.sampled_from([10**400, -(10**400), 2**31 - 1, 30 * 24 * 3600, None, True])


def test_what_is_long_is_read_in_linear_time() -> None:
    """Much less than this took minutes while everything else stood still."""
    before_s = time.process_time()
    parse(job({"command": "sleep 1 " + "{{thermos." * 8_000}))
    steps = [{"name": f"p{i}", "cmdline": "true"} for i in range(500)]
    order = [step["name"] for step in reversed(steps)]
    last, *others = parse(job({"task": {"processes": steps, "constraints": [{"order": order}]}})).processes[::-1]
    assert (last.after, others[0].after, others[1].after) == ((), ("p499",), ("p498",))
    assert time.process_time() - before_s < 5


def many(count: int, *orders: list[str]) -> dict[str, Any]:
    task = {"processes": [{"name": f"p{i}", "cmdline": "true"} for i in range(count)]}
    return {"task": {**task, "constraints": [{"order": order} for order in orders]}}


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (many(501), "task.processes: has 501; allowed are 500"),
        (many(1, *([[]] * 10_001)), "task.constraints: has 10001; allowed are 10000"),
        (many(1, ["p0"] * 10_001), "task.constraints[0].order: has 10001; allowed are 10000"),
        (many(2, ["p0"] * 5_000, ["p1"] * 5_001), "task.constraints: have more than 10000 names in all"),
        (many(3, ["p0", "p1"], ["p1", "p2", "p0"]), "task.constraints: go in a circle: p0 - p1 - p2 - p0"),
        ({"x" * 1_000: 1}, f"{'x' * 100}...: not understood"),
        ({"command": ["x" * 1_000] * 1_000}, "command: must be a string, not ['xxx"),
    ],
)
def test_refusals_of_what_is_long_are_short(data: dict[str, Any], complaint: str) -> None:
    refusal = objection(job(data))
    assert refusal is not None
    assert refusal.startswith(complaint)
    assert len(refusal) < 1_500


@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_whatever_is_accepted_can_be_waited_for(wait: Any, graceful: Any, failures: Any) -> None:
    data = {"command": "x", "finalization_wait": wait, "lifecycle": {"http": {"graceful_shutdown_wait_secs": graceful}},
            "health_check_config": {"max_consecutive_failures": failures}}  # fmt: skip
    config = job(data, "health")
    complaint = objection(config)
    assert 0 <= stop_wait_ms(config) <= 3 * 30 * 24 * 3600 * 1000
    fields = ("finalization_wait", "graceful_shutdown_wait_secs", "max_consecutive_failures")
    assert complaint is None or complaint.split(":")[0].endswith(fields)


def test_what_is_stored_and_would_be_refused_today_is_still_ended() -> None:
    assert stop_wait_ms(job({"command": "x", "finalization_wait": 1e306})) == 0


def test_a_configuration_is_understood_once() -> None:
    config = TaskConfig(JOB, executor=ExecutorConfig("AuroraExecutor", "sleep 12345"))
    assert parse(config) is parse(evolve(config))


def test_references_are_filled_in_and_other_braces_left() -> None:
    text = "{{thermos.ports[a.b]}} {{ mesos.instance }} {{mesos.hostname}} {{thermos.task_id}} {{x}} ${y} {{{z}}}"
    filled = fill(text, instance_id=3, hostname="h", task_id="t", ports={"a.b": 31000})
    assert filled == "31000 3 h t {{x}} ${y} {{{z}}}"
