"""What the local engine makes of executors, folders and records that died, lie, or have no room (`docs/engines.md`)."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import pty
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler.contracts import EngineError, Signal
from scheduler.core.records import TaskStatus
from scheduler.engines.local.identity import process_stat
from scheduler.engines.local.launch import spawn, write_spec
from scheduler.engines.thermos import parse
from tests.engines.worlds import (
    ENDED,
    Ears,
    LocalWorld,
    command,
    in_loop,
    order,
    until,
)

FAILED, FINISHED, KILLED, LOST = TaskStatus.FAILED, TaskStatus.FINISHED, TaskStatus.KILLED, TaskStatus.LOST
STARTING, RUNNING = TaskStatus.STARTING, TaskStatus.RUNNING

# Children in sessions of their own: without the task's environment, without its output, double-forked.
ESCAPING = (
    "setsid sleep 1000 > /dev/null 2>&1 & "
    "env -i setsid sleep 1001 & "
    "(setsid sh -c 'sleep 1002 & exec sleep 1003' &) ; "
    "echo ready; exec sleep 1004"
)


@pytest.fixture
def innocent() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is nobody's task."""
    process = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    started = process_stat(process.pid)
    assert started is not None
    # Start times are told in ticks of 10 ms: let the next process have another one.
    while time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK") <= started.start_time + 1:
        time.sleep(0.001)
    yield process
    process.kill()
    process.wait()


# A daemon as many are made: a session of its own, nothing of the task's environment, its output elsewhere.
DAEMON = "env -i setsid sleep 1000 < /dev/null > /dev/null 2>&1"
CHILD = f"{DAEMON} & cd /; exec sleep 1001"
CHILD_ELSEWHERE = f"(cd /; exec {DAEMON}) & exec sleep 1001"
ORPHAN = f"({DAEMON} &); cd /; exec sleep 1001"


def task_folder(local: LocalWorld, task_id: str) -> Path:
    return local.folder / "tasks" / task_id


def executor_of(local: LocalWorld, task_id: str) -> int:
    pid = json.loads((task_folder(local, task_id) / "executor.json").read_text())["pid"]
    assert isinstance(pid, int)
    return pid


def descendants_named_sleep(pid: int) -> list[int]:
    """The living `sleep` processes below a process, whatever sessions they are in."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = Path(f"/proc/{name}/stat").read_text()
            except OSError:
                continue
            parents[int(name)] = int(fields.rpartition(") ")[2].split()[1])
    below, found = {pid}, []
    while True:
        more = {child for child, parent in parents.items() if parent in below} - below
        if not more:
            break
        below |= more
    for each in below - {pid}:
        try:
            if Path(f"/proc/{each}/comm").read_text() == "sleep\n":
                found.append(each)
        except OSError:
            continue
    return found


def is_reaped(pid: int) -> bool:
    return process_stat(pid) is None


def is_gone(pid: int) -> bool:
    stat = process_stat(pid)
    return stat is None or stat.state == "Z"


async def running_escapers(local: LocalWorld, ears: Ears, engine: object) -> tuple[int, list[int]]:
    """A task with five sleeping processes that try to get away: its executor's pid and theirs."""
    await ears.hears("t-1", RUNNING)
    pid = executor_of(local, "t-1")
    sleeping = await until(lambda: len(found := descendants_named_sleep(pid)) == 5 and found, "five sleeping processes")
    return pid, sleeping


@in_loop
async def test_killing_a_task_reaches_children_that_left_its_session(local: LocalWorld) -> None:
    engine, ears = local.engine(), Ears()
    await engine.start(ears, epoch=1, lineage="a")
    engine.launch(type(o := order(local, "t-1"))(1, "t-1", 0, command(ESCAPING), o.host, ()))
    _, sleeping = await running_escapers(local, ears, engine)
    engine.signal("t-1", Signal.KILL, epoch=1)
    assert (await ears.hears("t-1", *ENDED)).status is KILLED
    assert [pid for pid in sleeping if not is_gone(pid)] == []
    await engine.stop()


@in_loop
async def test_the_end_of_a_task_is_the_end_of_its_stray_children(local: LocalWorld) -> None:
    engine, ears = local.engine(), Ears()
    await engine.start(ears, epoch=1, lineage="a")
    stray = f"setsid sh -c 'echo $$ > {local.scratch}/stray; exec sleep 1000' & " \
            f"while [ ! -s {local.scratch}/stray ]; do sleep 0.01; done"  # fmt: skip
    engine.launch(type(o := order(local, "t-1"))(1, "t-1", 0, command(stray), o.host, ()))
    assert (await ears.hears("t-1", *ENDED)).status is FINISHED
    assert is_gone(int((local.scratch / "stray").read_text()))
    await engine.stop()


@in_loop
async def test_a_killed_executor_means_lost_and_nothing_is_left(local: LocalWorld) -> None:
    engine, ears = local.engine(), Ears()
    await engine.start(ears, epoch=1, lineage="a")
    engine.launch(type(o := order(local, "t-1"))(1, "t-1", 0, command(ESCAPING), o.host, ()))
    pid, sleeping = await running_escapers(local, ears, engine)
    os.kill(pid, signal.SIGKILL)
    end = await ears.hears("t-1", *ENDED)
    assert (end.status, end.message) == (LOST, "its executor died")
    assert [pid for pid in sleeping if not is_gone(pid)] == []
    heard = len(ears.reports)
    engine.launch(order(local, "t-1"))
    await until(lambda: len(ears.reports) > heard, "LOST, once more")
    assert ears.reports[-1].status is LOST
    await engine.stop()


@in_loop
async def test_executors_are_reaped_by_a_scheduler_that_does_not_lead_any_more(local: LocalWorld) -> None:
    """Otherwise each of them stays in the process table for as long as the scheduler lives."""
    engine, ears = local.engine(), Ears()
    await engine.start(ears, epoch=1, lineage="a")
    for task_id in ("t-1", "t-2"):
        engine.launch(order(local, task_id))
        await ears.hears(task_id, RUNNING)
    one, two = executor_of(local, "t-1"), executor_of(local, "t-2")
    await engine.stop()
    os.kill(one, signal.SIGKILL)
    await until(lambda: is_reaped(one), "the one that ended while nobody led is reaped")

    for epoch in (2, 3):  # leading again and again takes no more descriptors
        again, ears = local.engine(), Ears()
        await again.start(ears, epoch=epoch, lineage="a")
        await again.stop()
        assert sum(is_descriptor_of(two, fd) for fd in os.listdir("/proc/self/fdinfo")) == 1
    last, ears = local.engine(), Ears()
    await last.start(ears, epoch=4, lineage="a")
    last.signal("t-2", Signal.KILL, epoch=4)
    await ears.hears("t-2", KILLED)
    await until(lambda: is_reaped(two), "the other is reaped, too")
    await last.stop()


def is_descriptor_of(pid: int, fd: str) -> bool:
    try:
        return f"\nPid:\t{pid}\n" in Path(f"/proc/self/fdinfo/{fd}").read_text()
    except FileNotFoundError:
        return False


@in_loop
async def test_many_executors_killed_at_once(local: LocalWorld) -> None:
    engine, ears = local.engine(), Ears()
    await engine.start(ears, epoch=1, lineage="a")
    ids = [f"t-{i}" for i in range(40)]
    for task_id in ids:
        engine.launch(order(local, task_id))
    for task_id in ids:
        await ears.hears(task_id, RUNNING)
    for task_id in ids:
        os.kill(executor_of(local, task_id), signal.SIGKILL)
    for task_id in ids:
        assert (await ears.hears(task_id, *ENDED)).status is LOST
    assert local.processes() == []
    await engine.stop()


@pytest.mark.parametrize("daemon", [CHILD, CHILD_ELSEWHERE, ORPHAN], ids=["child", "child elsewhere", "orphan"])
@in_loop
async def test_a_killed_executor_leaves_no_daemon(local: LocalWorld, daemon: str) -> None:
    engine, ears = local.engine(), Ears()
    await engine.start(ears, epoch=1, lineage="a")
    engine.launch(type(o := order(local, "t-1"))(1, "t-1", 0, command(daemon), o.host, ()))
    await ears.hears("t-1", RUNNING)
    pid = executor_of(local, "t-1")
    sleeping = await until(lambda: len(found := descendants_named_sleep(pid)) == 2 and found, "two sleeping processes")
    assert (await engine.usage())["t-1"].processes == 2
    os.kill(pid, signal.SIGKILL)
    assert (await ears.hears("t-1", *ENDED)).status is LOST
    assert [pid for pid in sleeping if not is_gone(pid)] == []
    await engine.stop()


@in_loop
async def test_a_persons_shell_in_a_sandbox_is_left_alone(local: LocalWorld) -> None:
    """A terminal controls it, as it does no process of a task."""
    engine, ears = local.engine(), Ears()
    await engine.start(ears, epoch=1, lineage="a")
    engine.launch(order(local, "t-1"))
    await ears.hears("t-1", RUNNING)
    shell, terminal = pty.fork()
    if shell == 0:
        os.chdir(engine.sandbox("t-1"))
        os.execvp("sleep", ["sleep", "1000"])
    try:
        await until(lambda: Path(f"/proc/{shell}/comm").read_text() == "sleep\n", "somebody looks at the sandbox")
        os.kill(executor_of(local, "t-1"), signal.SIGKILL)
        assert (await ears.hears("t-1", *ENDED)).status is LOST
        assert local.processes() == []
        assert not is_gone(shell)
    finally:
        os.kill(shell, signal.SIGKILL)
        await asyncio.to_thread(os.waitpid, shell, 0)
        os.close(terminal)
    await engine.stop()


@in_loop
async def test_an_executor_killed_while_nobody_was_attached(local: LocalWorld) -> None:
    engine, ears = local.engine(), Ears()
    await engine.start(ears, epoch=1, lineage="a")
    engine.launch(type(o := order(local, "t-1"))(1, "t-1", 0, command(ESCAPING), o.host, ()))
    pid, sleeping = await running_escapers(local, ears, engine)
    await engine.stop()
    os.kill(pid, signal.SIGKILL)
    await until(lambda: is_gone(pid), "the executor is dead")
    assert [pid for pid in sleeping if is_gone(pid)] == []
    again = local.engine()
    await again.start(Ears(), epoch=2, lineage="a")
    tasks = (await again.reconcile()).tasks
    assert [(r.task_id, r.status, r.message) for r in tasks] == [("t-1", LOST, "its executor died")]
    assert [pid for pid in sleeping if not is_gone(pid)] == []
    await again.stop()


@in_loop
async def test_a_record_whose_pid_is_used_again_harms_nobody(
    local: LocalWorld, innocent: subprocess.Popen[bytes]
) -> None:
    engine, ears = local.engine(), Ears()
    await engine.start(ears, epoch=1, lineage="a")
    engine.launch(order(local, "t-1"))
    await ears.hears("t-1", RUNNING)
    await engine.stop()
    # The executor dies, and an innocent process gets its pid and that of the task's process.
    pid = executor_of(local, "t-1")
    os.kill(pid, signal.SIGKILL)
    await until(lambda: is_gone(pid), "the executor is dead")
    folder = task_folder(local, "t-1")
    executor = json.loads((folder / "executor.json").read_text())
    (folder / "executor.json").write_text(json.dumps({**executor, "pid": innocent.pid}))
    running = json.loads((folder / "processes.json").read_text())
    running["processes"][0]["pid"] = innocent.pid
    (folder / "processes.json").write_text(json.dumps(running))
    again, ears = local.engine(), Ears()
    await again.start(ears, epoch=2, lineage="a")
    assert [r.status for r in (await again.reconcile()).tasks] == [LOST]
    again.signal("t-1", Signal.KILL, epoch=2)
    assert (await ears.hears("t-1", *ENDED)).status is LOST
    assert innocent.poll() is None
    assert local.processes() == []
    await again.stop()


@in_loop
async def test_a_living_executor_under_a_false_record_is_not_signalled(
    local: LocalWorld, innocent: subprocess.Popen[bytes]
) -> None:
    """The lock says that it lives, the record says it is somebody else: nobody is signalled, nothing is called dead."""
    engine, ears = local.engine(), Ears()
    await engine.start(ears, epoch=1, lineage="a")
    engine.launch(order(local, "t-1"))
    await ears.hears("t-1", RUNNING)
    await engine.stop()
    record = task_folder(local, "t-1") / "executor.json"
    truth = record.read_text()
    record.write_text(json.dumps({**json.loads(truth), "pid": innocent.pid}))
    again, ears = local.engine(), Ears()
    await again.start(ears, epoch=2, lineage="a")
    again.signal("t-1", Signal.KILL, epoch=2)
    assert [r.status for r in (await again.reconcile()).tasks] == [RUNNING]
    assert innocent.poll() is None
    record.write_text(truth)  # found again at the next look: the order is carried out then
    assert (await ears.hears("t-1", *ENDED)).status is KILLED
    assert innocent.poll() is None
    await again.stop()


@in_loop
async def test_after_a_reboot_everything_is_lost_and_no_pid_is_trusted(
    local: LocalWorld, innocent: subprocess.Popen[bytes]
) -> None:
    engine, ears = local.engine(), Ears()
    await engine.start(ears, epoch=1, lineage="a")
    engine.launch(order(local, "t-1", "batch"))
    await ears.hears("t-1", FINISHED)
    await engine.stop()
    await until(lambda: is_gone(executor_of(local, "t-1")), "the executor has left")
    folder = task_folder(local, "t-1")
    (folder / "exit.json").unlink()
    started = process_stat(innocent.pid)
    assert started is not None
    fake = {"pid": innocent.pid, "start_time": started.start_time, "boot_id": "another-boot"}
    (folder / "executor.json").write_text(json.dumps(fake))
    (folder / "processes.json").write_text(json.dumps({"processes": [{"name": "a", **fake}]}))
    again = local.engine()
    await again.start(Ears(), epoch=2, lineage="a")
    end = (await again.reconcile()).tasks[0]
    assert (end.status, end.message) == (LOST, "the machine was restarted")
    assert innocent.poll() is None
    await again.stop()


@pytest.mark.parametrize("reached", ["mkdir", "spec"])
@in_loop
async def test_a_launch_cut_off_before_its_executor(local: LocalWorld, reached: str) -> None:
    """The scheduler died between making the folder and starting the executor: nothing ran, and the id is used up."""
    engine = local.engine()
    await engine.start(Ears(), epoch=1, lineage="a")
    await engine.stop()
    cut = order(local, "t-1")
    folder = task_folder(local, "t-1")
    folder.mkdir()
    if reached == "spec":
        write_spec(folder, cut, parse(cut.config), cluster="test")
    again, ears = local.engine(), Ears()
    await again.start(ears, epoch=2, lineage="a")
    end = (await again.reconcile()).tasks[0]
    assert (end.status, end.message) == (LOST, "its start was cut off before anything ran")
    again.launch(order(local, "t-1", epoch=2))
    assert (await ears.hears("t-1", *ENDED)).status is LOST
    assert local.runs() == []
    await again.stop()


@in_loop
async def test_a_launch_cut_off_before_its_executor_said_who_it_is(local: LocalWorld) -> None:
    """The scheduler died right after spawning. The lock is held from birth, so the task is alive, and is taken over."""
    engine = local.engine()
    await engine.start(Ears(), epoch=1, lineage="a")
    await engine.stop()
    cut = order(local, "t-1")
    folder = task_folder(local, "t-1")
    folder.mkdir()
    write_spec(folder, cut, parse(cut.config), cluster="test")
    pid = spawn(folder)
    os.kill(pid, signal.SIGSTOP)
    assert not (folder / "executor.json").exists()
    again, ears = local.engine(), Ears()
    await again.start(ears, epoch=2, lineage="a")
    assert [r.status for r in (await again.reconcile()).tasks] == [STARTING]
    again.signal("t-1", Signal.TERM, epoch=2)
    os.kill(pid, signal.SIGCONT)
    assert (await ears.hears("t-1", *ENDED)).status is KILLED
    assert set(local.runs()) <= {"t-1"}
    await again.stop()


@in_loop
async def test_an_executor_that_stands_still_is_killed_by_a_later_kill(
    local: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.engines.local.watch.KILL_PATIENCE_SECS", 0.0)
    engine, ears = local.engine(), Ears()
    await engine.start(ears, epoch=1, lineage="a")
    engine.launch(order(local, "t-1"))
    await ears.hears("t-1", RUNNING)
    os.kill(executor_of(local, "t-1"), signal.SIGSTOP)
    engine.signal("t-1", Signal.KILL, epoch=1)
    engine.signal("t-1", Signal.KILL, epoch=1)
    end = await ears.hears("t-1", *ENDED)
    assert (end.status, end.message) == (KILLED, "killed together with its executor, which did not react")
    assert local.processes() == []
    await engine.stop()


@in_loop
async def test_an_end_that_cannot_be_written_is_told_and_written_later(local: LocalWorld) -> None:
    """Real failing writes: the executor's file size limit is set to zero from outside."""
    engine, ears = local.engine(), Ears()
    await engine.start(ears, epoch=1, lineage="a")
    waits = f"while [ ! -e {local.scratch}/go ]; do sleep 0.01; done; exit 7"
    engine.launch(type(o := order(local, "t-1"))(1, "t-1", 0, command(waits), o.host, ()))
    await ears.hears("t-1", RUNNING)
    pid = executor_of(local, "t-1")
    unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, unlimited[1]))
    (local.scratch / "go").touch()
    end = await ears.hears("t-1", *ENDED)
    assert (end.status, end.message) == (FAILED, "process command exited with code 7")
    exit_record = task_folder(local, "t-1") / "exit.json"
    assert not exit_record.exists()
    await engine.stop()

    # The next engine is told, too: the executor holds out.
    again, ears = local.engine(), Ears()
    await again.start(ears, epoch=2, lineage="a")
    assert (await ears.hears("t-1", *ENDED)).status is FAILED
    assert not exit_record.exists()

    resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
    await until(exit_record.exists, "the end is written after all")
    assert json.loads(exit_record.read_text())["status"] == "FAILED"
    await until(lambda: is_gone(pid), "the executor has left")
    await again.stop()


@in_loop
async def test_an_executor_that_cannot_write_leaves_when_nobody_needs_it(local: LocalWorld) -> None:
    engine, ears = local.engine(), Ears()
    await engine.start(ears, epoch=1, lineage="a")
    engine.launch(order(local, "t-1", "service"))
    await ears.hears("t-1", RUNNING)
    pid = executor_of(local, "t-1")
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]))
    engine.signal("t-1", Signal.TERM, epoch=1)
    assert (await ears.hears("t-1", *ENDED)).status is KILLED
    engine.forget(["t-1"])
    await until(lambda: is_reaped(pid), "the executor has left")
    assert (await engine.reconcile()).tasks == ()
    await engine.stop()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte. Needs the right to mount; `test_an_end_that_cannot_be_written...` does not."""
    path = tmp_path / "small"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=200", "tmpfs", str(path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("may not mount")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


@in_loop
async def test_on_a_full_disk_the_end_is_still_written(small_disk: Path) -> None:
    """The room for it was put aside at the start, and that the disk is full is the task's own doing."""
    local = LocalWorld(small_disk)
    engine, ears = local.engine(), Ears()
    await engine.start(ears, epoch=1, lineage="a")
    fills = f"cat /dev/zero > {small_disk}/big; echo x > {small_disk}/more || exit 28"
    engine.launch(type(o := order(local, "t-1"))(1, "t-1", 0, command(fills), o.host, ()))
    end = await ears.hears("t-1", *ENDED)
    assert (end.status, end.message) == (FAILED, "process command exited with code 28")
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "one-more-block").write_bytes(b"x" * 8192)
    assert json.loads((task_folder(local, "t-1") / "exit.json").read_text())["status"] == "FAILED"

    # Nothing can be launched there; that is said, and nothing else breaks.
    engine.launch(order(local, "t-2"))
    assert (await ears.hears("t-2", *ENDED)).status is LOST
    await engine.stop()
    local.close()


@in_loop
async def test_a_folder_held_by_a_stopped_scheduler_is_an_error(
    local: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.engines.local.folder.LOCK_WAIT_SECS", 0.05)
    engine = local.engine()
    await engine.start(Ears(), epoch=1, lineage="a")
    await engine.stop()
    with (local.folder / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(EngineError, match="is a scheduler of this host stopped"):
            await local.engine().start(Ears(), epoch=2, lineage="a")


@in_loop
async def test_without_a_free_descriptor_a_task_is_still_known_to_live(
    local: LocalWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scheduler.engines.local.engine.SWEEP_SECS", 0.05)
    engine, ears = local.engine(), Ears()
    await engine.start(ears, epoch=1, lineage="a")

    def none_left(pid: int) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pidfd_open", none_left)
        engine.launch(order(local, "t-1"))
        await ears.hears("t-1", RUNNING)
        engine.signal("t-1", Signal.TERM, epoch=1)
        assert [r.status for r in (await engine.reconcile()).tasks] == [RUNNING]
    assert (await ears.hears("t-1", *ENDED)).status is KILLED
    await engine.stop()


@in_loop
async def test_the_same_task_id_in_another_folder_is_another_task(tmp_path: Path) -> None:
    """As after restoring a backup beside the original."""
    ours, theirs = LocalWorld(tmp_path / "a"), LocalWorld(tmp_path / "b")
    try:
        for world in (ours, theirs):
            world.scratch.mkdir()
            engine, ears = world.engine(), Ears()
            await engine.start(ears, epoch=1, lineage="a")
            engine.launch(order(world, "t-1"))
            await ears.hears("t-1", RUNNING)
            await engine.stop()
        os.kill(executor_of(ours, "t-1"), signal.SIGKILL)
        again = ours.engine()
        await until(lambda: is_gone(executor_of(ours, "t-1")), "the executor is dead")
        await again.start(Ears(), epoch=2, lineage="a")
        await again.stop()
        assert (len(ours.processes()), len(theirs.processes())) == (0, 1)
    finally:
        ours.close()
        theirs.close()


@in_loop
async def test_an_end_counts_before_its_writer_has_left(local: LocalWorld) -> None:
    """An executor stopped between its last word and its last breath is no living task."""
    engine, ears = local.engine(), Ears()
    await engine.start(ears, epoch=1, lineage="a")
    engine.launch(order(local, "t-1", "batch"))
    await ears.hears("t-1", FINISHED)
    await engine.stop()
    with (task_folder(local, "t-1") / "lock").open() as held:
        await until(lambda: is_gone(executor_of(local, "t-1")), "the executor has left")
        fcntl.flock(held, fcntl.LOCK_EX)
        again = local.engine()
        await again.start(Ears(), epoch=2, lineage="a")
        assert [r.status for r in (await again.reconcile()).tasks] == [FINISHED]
        await again.stop()
        other = local.engine()
        await other.start(Ears(), epoch=1, lineage="b")
        await other.stop()
