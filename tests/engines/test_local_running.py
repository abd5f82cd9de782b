"""How the local engine runs tasks: environment, ports, logs, health checks, shutdown calls, several processes."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from scheduler.contracts import LaunchOrder, Signal
from scheduler.core.records import ExecutorConfig, TaskConfig, TaskStatus
from scheduler.engines.local import LocalEngine, Machine
from tests.engines.worlds import ENDED, JOB, Ears, LocalWorld, command, in_loop, ports, until

FAILED, FINISHED, KILLED, LOST = TaskStatus.FAILED, TaskStatus.FINISHED, TaskStatus.KILLED, TaskStatus.LOST
STARTING, RUNNING = TaskStatus.STARTING, TaskStatus.RUNNING

SERVICE = Path(__file__).with_name("service.py")
"""A small HTTP server: `service.py PORT FOLDER`. It answers /health with what FOLDER/health says and notes calls."""


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    assert isinstance(port, int)
    return port


def thermos(processes: list[dict[str, Any]], *, task: dict[str, Any] | None = None, **job: Any) -> str:
    return json.dumps({"task": {"processes": processes, **(task or {})}, **job})


def service(local: LocalWorld, *, health: dict[str, Any] | None = None, **job: Any) -> TaskConfig:
    """A Thermos job of one HTTP service with a health port."""
    checks = {"initial_interval_secs": 60, "interval_secs": 0.05, "timeout_secs": 0.5, **(health or {})}
    cmdline = f"exec {sys.executable} -S {SERVICE} {{{{thermos.ports[health]}}}} {local.scratch}"
    data = thermos([{"name": "web", "cmdline": cmdline}], health_check_config=checks, **job)
    return TaskConfig(JOB, executor=ExecutorConfig("AuroraExecutor", data), resources=ports("health"))


async def attached(local: LocalWorld) -> tuple[LocalEngine, Ears]:
    engine, ears = local.engine(), Ears()
    await engine.start(ears, epoch=1, lineage="a")
    return engine, ears


def launch(engine: LocalEngine, config: TaskConfig, *named_ports: tuple[str, int], task_id: str = "t-1") -> None:
    engine.launch(LaunchOrder(1, task_id, 4, config, "here", named_ports))


@in_loop
async def test_a_task_gets_its_facts_and_none_of_our_secrets(
    local: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_SECRET", "x")
    engine, ears = await attached(local)
    port = free_port()
    text = (
        "echo {{thermos.task_id}} {{mesos.instance}} {{mesos.hostname}} {{thermos.ports[http]}} '{{.State}}'; pwd; env"
    )
    launch(engine, command(text, resources=ports("http")), ("http", port))
    assert (await ears.hears("t-1", *ENDED)).status is FINISHED
    assert [str(path.relative_to(engine.sandbox("t-1"))) for path in engine.log_files("t-1")] == [
        ".logs/command/stderr",
        ".logs/command/stdout",
    ]
    first, folder, *rest = engine.log_file("t-1", "command").read_text().splitlines()
    assert first == f"t-1 4 here {port} {{{{.State}}}}"
    assert folder == str(engine.sandbox("t-1"))
    environ = dict(line.split("=", 1) for line in rest)
    assert environ["THESAN_TASK_ID"] == "t-1"
    assert environ["THESAN_INSTANCE"] == "4"
    assert environ["THESAN_HOST"] == "here"
    assert environ["THESAN_CLUSTER"] == "test"
    assert (environ["THESAN_ROLE"], environ["THESAN_ENVIRONMENT"], environ["THESAN_JOB"]) == ("www", "test", "hello")
    assert environ["THESAN_PORT_HTTP"] == str(port)
    assert "SOME_SECRET" not in environ
    await engine.stop()


@in_loop
async def test_processes_run_in_their_order(local: LocalWorld) -> None:
    engine, ears = await attached(local)
    out = local.scratch / "order"
    processes = [{"name": name, "cmdline": f"echo {name} >> {out}"} for name in ("c", "a", "b")]
    data = thermos(processes, task={"constraints": [{"order": ["a", "b", "c"]}]})
    launch(engine, command(data))
    assert (await ears.hears("t-1", *ENDED)).status is FINISHED
    assert out.read_text().split() == ["a", "b", "c"]
    record = json.loads((local.folder / "tasks/t-1/exit.json").read_text())
    assert record["processes"] == [{"name": name, "runs": 1, "exit_code": 0} for name in ("c", "a", "b")]
    await engine.stop()


@in_loop
async def test_a_failing_process_ends_the_others(local: LocalWorld) -> None:
    engine, ears = await attached(local)
    processes = [
        {"name": "web", "cmdline": "exec sleep 1000"},
        {"name": "flaky", "cmdline": f"echo x >> {local.scratch}/tries; exit 3", "max_failures": 2, "min_duration": 0},
        {"name": "later", "cmdline": "true"},
    ]
    launch(engine, command(thermos(processes, task={"constraints": [{"order": ["flaky", "later"]}]})))
    end = await ears.hears("t-1", *ENDED)
    assert (end.status, end.message) == (FAILED, "process flaky exited with code 3, run 2 times")
    assert (local.scratch / "tries").read_text().split() == ["x", "x"]
    record = json.loads((local.folder / "tasks/t-1/exit.json").read_text())
    assert record["processes"] == [
        {"name": "web", "runs": 1, "exit_code": -15},
        {"name": "flaky", "runs": 2, "exit_code": 3},
        {"name": "later", "runs": 0, "exit_code": None},
    ]
    await engine.stop()


@in_loop
async def test_running_waits_for_health(local: LocalWorld) -> None:
    engine, ears = await attached(local)
    (local.scratch / "health").write_text("warming up")
    launch(engine, service(local), ("health", free_port()))
    await until(lambda: "GET /health" in calls(local), "a health check")
    assert ears.statuses("t-1") == [STARTING]
    (local.scratch / "health").write_text("OK\n")
    assert (await ears.hears("t-1", RUNNING)).message == "healthy"
    engine.signal("t-1", Signal.KILL, epoch=1)
    await ears.hears("t-1", KILLED)
    await engine.stop()


@in_loop
async def test_a_task_that_becomes_unhealthy_fails(local: LocalWorld) -> None:
    engine, ears = await attached(local)
    (local.scratch / "health").write_text("ok")
    config = service(local, health={"max_consecutive_failures": 2}, lifecycle={})
    launch(engine, config, ("health", free_port()))
    await ears.hears("t-1", RUNNING)
    (local.scratch / "health").write_text("broken")
    end = await ears.hears("t-1", *ENDED)
    assert end.status is FAILED
    assert end.message == ("unhealthy: 3 health checks in a row failed, the last one: body 'broken', expected 'ok'")
    assert local.living() == 0
    await engine.stop()


@in_loop
async def test_a_task_that_is_never_healthy_fails(local: LocalWorld) -> None:
    engine, ears = await attached(local)
    launch(
        engine,
        command(
            json.dumps(
                {
                    "command": "exec sleep 1000",
                    "health_check_config": {"initial_interval_secs": 0.1, "interval_secs": 0.05},
                }
            ),
            resources=ports("health"),
        ),
        ("health", free_port()),
    )
    end = await ears.hears("t-1", *ENDED)
    assert end.status is FAILED
    assert end.message == "unhealthy: 1 health checks in a row failed, the last one: Connection refused"
    assert ears.statuses("t-1") == [STARTING, FAILED]
    await engine.stop()


def calls(local: LocalWorld) -> list[str]:
    path = local.scratch / "calls"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        ("quits", ["POST /quit"]),
        ("stays", ["POST /quit", "POST /abort", "TERM"]),
        ("refuses", ["POST /quit", "POST /abort", "TERM"]),
    ],
)
@in_loop
async def test_a_task_is_asked_before_it_is_signalled(local: LocalWorld, behaviour: str, expected: list[str]) -> None:
    engine, ears = await attached(local)
    (local.scratch / "health").write_text("ok")
    (local.scratch / "behaviour").write_text(behaviour)
    waits = 0.1 if behaviour == "stays" else 30  # one that refuses is not waited for
    lifecycle = {
        "http": {
            "graceful_shutdown_endpoint": "/quit",
            "shutdown_endpoint": "abort",
            "graceful_shutdown_wait_secs": waits,
            "shutdown_wait_secs": waits,
        }
    }
    launch(engine, service(local, lifecycle=lifecycle), ("health", free_port()))
    await ears.hears("t-1", RUNNING)
    engine.signal("t-1", Signal.TERM, epoch=1)
    assert (await ears.hears("t-1", *ENDED)).status is KILLED
    assert [call for call in calls(local) if call != "GET /health"] == expected
    await engine.stop()


@in_loop
async def test_the_executor_kills_what_outstays_its_finalization_wait(local: LocalWorld) -> None:
    """The scheduler may be dead by then."""
    engine, ears = await attached(local)
    text = (
        f"trap 'touch {local.scratch}/asked-t-1' TERM; touch {local.scratch}/set; while :; do sleep 1000 & wait; done"
    )
    launch(engine, command(json.dumps({"command": text, "finalization_wait": 0.2})))
    await until((local.scratch / "set").exists, "the trap is set")
    engine.signal("t-1", Signal.TERM, epoch=1)
    assert (await ears.hears("t-1", *ENDED)).status is KILLED
    assert (local.scratch / "asked-t-1").exists()
    assert local.living() == 0
    await engine.stop()


@in_loop
async def test_a_port_somebody_took_is_not_offered_and_its_task_is_lost(local: LocalWorld) -> None:
    with socket.socket() as thief:
        thief.bind(("127.0.0.1", 0))
        thief.listen()
        port = thief.getsockname()[1]
        engine = LocalEngine(local.folder, Machine("here", ports=range(port, port + 1)), cluster="test")
        ears = Ears()
        await engine.start(ears, epoch=1, lineage="a")
        await until(lambda: ears.hosts, "hosts")
        assert ears.hosts[0].ports == ()
        launch(engine, command("true", resources=ports("http")), ("http", port))
        end = await ears.hears("t-1", *ENDED)
        assert (end.status, end.message) == (LOST, f"port {port} (http) was taken by another process of this machine")
        await engine.stop()


@in_loop
async def test_the_ports_of_living_tasks_stay_on_offer(local: LocalWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheduler knows that they are taken; an offer that changed with every task would only be noise."""
    monkeypatch.setattr("scheduler.engines.local.engine.HOST_SECS", 0.02)
    port = free_port()
    engine = LocalEngine(local.folder, Machine("here", ports=range(port, port + 1)), cluster="test")
    ears = Ears()
    await engine.start(ears, epoch=1, lineage="a")
    (local.scratch / "health").write_text("ok")
    launch(engine, service(local), ("health", port))
    await ears.hears("t-1", RUNNING)
    assert ears.hosts[0].ports == (port,)
    engine.signal("t-1", Signal.KILL, epoch=1)
    await ears.hears("t-1", KILLED)
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", port))
        thief.listen()
        await until(lambda: ears.hosts[0].ports == (), "a port less")
    await until(lambda: ears.hosts[0].ports == (port,), "the port is back")
    await engine.stop()


@in_loop
async def test_the_host_is_this_machine(local: LocalWorld) -> None:
    engine, ears = await attached(local)
    await until(lambda: ears.hosts, "hosts")
    (host,) = ears.hosts
    assert host.cpus == len(os.sched_getaffinity(0))
    assert host.ram_mb == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    assert 0 < host.disk_mb <= os.statvfs(local.scratch).f_blocks * os.statvfs(local.scratch).f_frsize // 2**20
    assert host.attributes == (("host", ("here",)),)
    await engine.stop()


@in_loop
async def test_a_host_keeps_its_name_as_long_as_tasks_live_on_it(
    local: LocalWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """A machine may be called otherwise after a restart of its scheduler. Its tasks are known by the name of before."""

    async def renamed(epoch: int) -> tuple[LocalEngine, Ears]:
        engine = LocalEngine(local.folder, Machine("there", ports=range(31000, 31010)), cluster="test")
        ears = Ears()
        await engine.start(ears, epoch=epoch, lineage="a")
        await until(lambda: ears.hosts, "hosts")
        return engine, ears

    engine, ears = await attached(local)
    launch(engine, command("exec sleep 1000"))
    await ears.hears("t-1", RUNNING)
    await engine.stop()
    assert caplog.messages == []

    engine, ears = await renamed(2)
    assert (ears.hosts[0].name, ears.hosts[0].attributes) == ("here", (("host", ("here",)),))
    assert (await engine.reconcile()).hosts == {"here"}
    assert "this host stays here, not there, as long as tasks live here: 1 do" in caplog.text
    engine.launch(LaunchOrder(2, "t-2", 4, command("true"), "here", ()))
    assert (await ears.hears("t-2", *ENDED)).status is FINISHED
    engine.signal("t-1", Signal.KILL, epoch=2, host="here")
    await ears.hears("t-1", KILLED)
    await engine.stop()

    engine, ears = await renamed(3)
    assert (await engine.reconcile()).hosts == {"there"}
    assert ears.hosts[0].name == "there"
    await engine.stop()


@in_loop
async def test_a_configuration_that_cannot_run_fails_with_the_fields_name(local: LocalWorld) -> None:
    engine, ears = await attached(local)
    launch(engine, command(thermos([{"name": "a", "cmdline": "true", "colour": "red"}])))
    end = await ears.hears("t-1", *ENDED)
    assert end.status is FAILED
    assert "task.processes[0].colour: not understood" in (end.message or "")
    await engine.stop()


@in_loop
async def test_a_missing_shell_command_fails_the_task(local: LocalWorld) -> None:
    engine, ears = await attached(local)
    launch(engine, command("exec /does/not/exist"))
    end = await ears.hears("t-1", *ENDED)
    assert (end.status, end.message) == (FAILED, "process command exited with code 127")
    assert "not found" in engine.log_file("t-1", "command", "stderr").read_text()
    await engine.stop()


@in_loop
async def test_ids_that_cannot_be_folder_names(local: LocalWorld) -> None:
    engine, ears = await attached(local)
    ids = ["..", "a/b", "x" * 300, ""]
    for task_id in ids:
        launch(engine, command("exit 0"), task_id=task_id)
        assert (await ears.hears(task_id, *ENDED)).status is FINISHED
    await engine.stop()
    again = local.engine()
    await again.start(Ears(), epoch=2, lineage="a")
    assert sorted(r.task_id for r in (await again.reconcile()).tasks) == sorted(ids)
    await again.stop()
    assert sorted(p.name for p in local.scratch.iterdir()) == ["engine"]


@in_loop
async def test_a_folder_with_a_long_path(tmp_path: Path) -> None:
    """The address of a unix socket holds 107 bytes."""
    world = LocalWorld(tmp_path / ("long" * 40))
    world.scratch.mkdir()
    engine, ears = await attached(world)
    launch(engine, command("exec sleep 1000"))
    await ears.hears("t-1", RUNNING, secs=3)  # sooner than the sweep: the datagram arrived
    engine.signal("t-1", Signal.KILL, epoch=1)
    await ears.hears("t-1", KILLED)
    await engine.stop()


@in_loop
async def test_a_lost_datagram_is_made_up_for_by_the_sweep(local: LocalWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scheduler.engines.local.engine.SWEEP_SECS", 0.05)
    engine, ears = await attached(local)
    (local.folder / "nudge.sock").unlink()
    launch(engine, command("exec sleep 1000"))
    await ears.hears("t-1", RUNNING)
    engine.signal("t-1", Signal.KILL, epoch=1)
    await ears.hears("t-1", KILLED)
    await engine.stop()
    await asyncio.sleep(0)


@in_loop
async def test_what_a_task_uses(local: LocalWorld) -> None:
    engine, ears = await attached(local)
    eats = (
        "import time; x = bytearray(50_000_000); t = time.process_time()\nwhile time.process_time() < t + 0.1: pass\n"
    )
    eats += f"open('{local.scratch}/eaten', 'w').close(); time.sleep(1000)"
    launch(engine, command(f'sleep 1000 & exec {sys.executable} -c "{eats}"'))
    launch(engine, command("exec sleep 1000"), task_id="t-2")
    await until((local.scratch / "eaten").exists, "the task has eaten")
    await ears.hears("t-2", RUNNING)
    used = await engine.usage()
    assert (used["t-1"].processes, used["t-2"].processes) == (2, 1)
    assert 0.1 <= used["t-1"].cpu_secs < 5
    assert 50 <= used["t-1"].ram_mb < 100
    assert used["t-2"].ram_mb < 10
    for task_id in ("t-1", "t-2"):
        engine.signal(task_id, Signal.KILL, epoch=1)
        await ears.hears(task_id, KILLED)
    record = json.loads((local.folder / "tasks/t-1/exit.json").read_text())
    assert record["cpu_secs"] >= 0.1
    assert record["max_rss_kb"] >= 50_000
    await engine.stop()
