"""The story of `scripts/run`: a real service is rolled from v1 to v2 while a monitor says that all is well; the monitor
falls silent, the scheduler is killed, both come back, and nothing is lost.

    story.py [--once]
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import requests
from processes import (
    ROOT,
    AlreadyRunning,
    Failure,
    Folder,
    Scheduler,
    default_folder,
    end_everything,
    end_left_over,
    start_monitor,
)
from rich.text import Text
from show import Stage

from scheduler.client.connection import Connection
from scheduler.client.errors import CommandError, Interrupted
from scheduler.client.job_file import load_job_file
from scheduler.client.jobs import get_tasks, wait_for
from scheduler.client.places import DEFAULT_SERVER
from scheduler.client.progress import AWAITING_PULSE, ROLLING, Progress, progress_of
from scheduler.client.update_calls import start_update
from scheduler.client.watch import get_details
from scheduler.interface import aurora

V1_PATH = "examples/hello-v1.yaml"
V1, V2 = ROOT / V1_PATH, ROOT / "examples" / "hello-v2.yaml"
PATIENCE_S = 30.0
LOOK_EVERY_S = 0.15


class Story:
    """One telling. Every step waits for what it announces and fails loudly when it does not come."""

    def __init__(self, stage: Stage, scheduler: Scheduler, folder: Folder) -> None:
        self._stage = stage
        self._scheduler = scheduler
        self._folder = folder
        self._connection = Connection(DEFAULT_SERVER)  # until the scheduler has said where it listens
        self._job = load_job_file(V1).job
        self._key: Any = None
        self._ports: dict[int, int] = {}
        self.monitor: subprocess.Popen[bytes] | None = None

    def tell(self) -> None:
        self._begin()
        self._roll()
        self._fall_silent()
        self._kill_the_scheduler()
        self._come_back()

    # --- chapters ----------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        stage = self._stage
        stage.chapter("A scheduler, and a service of three instances")
        pid = self._scheduler.start()
        self._connection = Connection(self._scheduler.url, timeout_s=5, retry_s=0)
        for remark in self._scheduler.remarks:
            stage.say(remark, "yellow")
        stage.say(f"scheduler: pid {pid} at {self._scheduler.url}, its data in {self._scheduler.data_dir}")
        described = load_job_file(V1)
        self._connection.call("createJob", description=described.job_configuration())
        wanted = set(range(described.instances))
        wait_for(self._connection, self._job, lambda tasks: _running(tasks) >= wanted, "RUNNING", 20_000)
        stage.say(f"{described.job.path} is up; asked over HTTP, its instances say {self._ask_service()}")

    def _roll(self) -> None:
        stage = self._stage
        stage.chapter("Roll it to v2, one instance after another, as long as a monitor says that all is well")
        described = load_job_file(V2)
        self._key, why = start_update(self._connection, described, message="v1 to v2")
        if self._key is None:
            raise Failure(f"the update did not start: {why}")
        self.monitor = start_monitor(self._folder, self._scheduler.url, self._job.path)
        timeout_s = described.settings.blockIfNoPulsesAfterMs / 1000
        stage.say(
            f"monitor: pid {self.monitor.pid}, one heartbeat a second; {timeout_s:g} s without one stop the update"
        )
        self._until(lambda now: now.status in ROLLING and now.done >= 1, "one instance is updated")

    def _fall_silent(self) -> None:
        assert self.monitor is not None
        self._stage.chapter("The monitor falls silent (SIGSTOP)")
        os.kill(self.monitor.pid, signal.SIGSTOP)
        self._until(lambda now: now.status in AWAITING_PULSE, "the update pauses softly")
        self._stage.say(f"nothing new is started; what runs keeps running: the service says {self._ask_service()}")

    def _kill_the_scheduler(self) -> None:
        stage = self._stage
        stage.chapter("In the middle of the update the scheduler dies (kill -9) and is started again")
        before = self._progress()
        self._scheduler.kill()
        stage.say(f"no scheduler; the service does not notice: it says {self._ask_service()}")
        pid = self._scheduler.start()
        after = self._progress()
        kept = [event for event in before.events if event in after.events]
        if len(kept) != len(before.events):
            raise Failure(f"the history was {len(before.events)} events long, and {len(kept)} of them are left")
        stage.say(f"scheduler: pid {pid}, the same data; all {len(kept)} events of the update's history are there")
        if after.status not in AWAITING_PULSE:
            raise Failure(f"the update is {after.status_name} and does not wait for a heartbeat")
        self._hold(2.0, f"{after.status_name}: it waits for one heartbeat")

    def _come_back(self) -> None:
        assert self.monitor is not None
        self._stage.chapter("The heartbeats come back (SIGCONT)")
        os.kill(self.monitor.pid, signal.SIGCONT)
        end = self._until(lambda now: now.is_over, "the update is over")
        self._stage.lower_bar()
        if end.status != aurora.JobUpdateStatus.ROLLED_FORWARD:
            raise Failure(f"the update ended {end.status_name}")
        self._stage.say(f"{end.status_name}: {end.sentence}; the service says {self._ask_service()}", "bold green")

    # --- looking -----------------------------------------------------------------------------------------------------

    def _progress(self) -> Progress:
        return progress_of(get_details(self._connection, self._key))

    def _until(self, reached: Callable[[Progress], bool], what: str) -> Progress:
        """Watch the update until `reached`, showing it. Raises Failure."""
        give_up_at = time.monotonic() + PATIENCE_S
        while True:
            now = self._progress()
            self._stage.progress(now)
            if reached(now):
                return now
            if now.is_over:
                raise Failure(f"the update ended {now.status_name} before {what}")
            if time.monotonic() > give_up_at:
                raise Failure(f"waited {PATIENCE_S:.0f} s until {what}; it is {now.status_name}: {now.sentence}")
            time.sleep(LOOK_EVERY_S)

    def _hold(self, seconds: float, what: str) -> None:
        """Show that nothing moves."""
        began = self._progress()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            now = self._progress()
            self._stage.progress(now)
            if now.status != began.status or now.phases != began.phases:
                raise Failure(f"it moved to {now.status_name} while it should wait")
            time.sleep(LOOK_EVERY_S)
        self._stage.say(f"{what}; {seconds:g} s later still")

    def _ask_service(self) -> str:
        """What the instances answer; without a scheduler, those whose ports were known."""
        if self._scheduler.process is not None and self._scheduler.process.poll() is None:
            tasks = get_tasks(self._connection, self._job)
            running = [task for task in tasks if task.status == aurora.ScheduleStatus.RUNNING]
            self._ports = {t.assignedTask.instanceId: t.assignedTask.assignedPorts["health"] for t in running}
        answers = Counter(_get(port) for port in self._ports.values())
        return ", ".join(f"{count} x {answer}" for answer, count in sorted(answers.items()))


def _running(tasks: list[Any]) -> set[int]:
    return {task.assignedTask.instanceId for task in tasks if task.status == aurora.ScheduleStatus.RUNNING}


def _get(port: int) -> str:
    with requests.Session() as session:
        session.trust_env = False
        try:
            return repr(session.get(f"http://127.0.0.1:{port}/", timeout=2).text.strip())
        except requests.RequestException:
            return "(no answer)"


def next_commands(url: str) -> list[tuple[str, str]]:
    """What to try now: what it does, and the command."""
    server = "" if url == DEFAULT_SERVER else f" --server {url}"
    job = load_job_file(V1).job.path
    return [
        ("what runs", f".venv/bin/thesan job status {job}{server}"),
        ("how the update went", f".venv/bin/thesan update info {job}{server}"),
        (
            "back to v1, watched; the monitor still beats",
            f".venv/bin/thesan update start {V1_PATH} --wait{server}",
        ),
        ("is this machine fit", f".venv/bin/thesan doctor{server}"),
    ]


def print_next(stage: Stage, url: str) -> None:
    here = f"In another terminal, in {ROOT}:"
    stage.console.print(f"\nThe scheduler, the service and the monitor go on running. {here}\n", markup=False)
    for what, command in next_commands(url):
        stage.console.print(Text.assemble((f"    # {what}\n", "dim"), f"    {command}"))
    stage.console.print("\nCtrl-C ends everything that was started here.\n", markup=False)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    once = sys.argv[1:] == ["--once"]
    if sys.argv[1:] and not once:
        print("usage: scripts/run [--once]", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        folder = Folder(default_folder())
    except AlreadyRunning as running:
        pid, url = running.about.get("pid", "?"), running.about.get("url")
        where = f", its scheduler at {url}" if url else ""
        print(f"run: a run goes on already: pid {pid}{where}.", file=sys.stderr)
        print(f"run: look at that one, or end it first: Ctrl-C there, or kill {pid}.", file=sys.stderr)
        return 1
    stage = Stage(folder.path / "scheduler.log")
    left = end_left_over(folder.path)
    folder.clear()
    if left:
        stage.say(f"an earlier run was cut off: {left} processes of its were still there and are ended now", "yellow")
    return _run(stage, Scheduler(folder), folder, once=once)


def _run(stage: Stage, scheduler: Scheduler, folder: Folder, *, once: bool) -> int:
    story = Story(stage, scheduler, folder)
    code = 130
    try:
        story.tell()
        code = 0
        if not once:
            print_next(stage, scheduler.url)
            _stay(stage, scheduler)
    except (KeyboardInterrupt, Interrupted):
        pass
    except (Failure, CommandError) as failure:
        text = failure.format_message() if isinstance(failure, CommandError) else str(failure)
        stage.lower_bar()
        stage.console.print(f"\nrun: {text}", style="bold red", markup=False)
        stage.console.print(f"run: the scheduler's last words: {scheduler.last_words()}", markup=False)
        code = 1
    finally:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave anything behind
        stage.lower_bar()
        stage.console.print("\nEnding the monitor, the tasks and the scheduler ...", style="dim")
        end_everything(scheduler, story.monitor)
        folder.remove()
        stage.console.print("All ended; nothing is left behind.", style="dim")
    return code


def _stay(stage: Stage, scheduler: Scheduler) -> None:
    """Until Ctrl-C, showing what the scheduler decides."""
    assert scheduler.process is not None
    while scheduler.process.poll() is None:
        stage.decisions()
        time.sleep(0.2)
    raise Failure("the scheduler has ended")


if __name__ == "__main__":
    sys.exit(main())
