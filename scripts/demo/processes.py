"""The processes of the demo: started in sessions of their own, remembered on disk, and ended without a trace."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

import psutil

from scheduler.client.connection import Connection
from scheduler.client.errors import CommandError
from scheduler.client.ports import holder_of, is_free
from scheduler.client.progress import ACTIVE
from scheduler.client.update_calls import summaries
from scheduler.interface import aurora

IP = "127.0.0.1"
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
USUAL_HTTP_PORT, USUAL_THRIFT_PORT = 8081, 8082
ANY_PORT = 0
START_WAIT_S = 15.0
END_WAIT_S = 20.0
_LISTENS = re.compile(r"HTTP on (?P<url>http://[^\s/]+:(?P<http>\d+)).*raw Thrift on \S+:(?P<thrift>\d+)")


class Failure(Exception):
    """The story cannot go on; the sentence says why."""


class AlreadyRunning(Exception):
    """Another run holds the folder. `about` is what it wrote about itself."""

    def __init__(self, about: dict[str, Any]) -> None:
        self.about = about


def default_folder() -> Path:
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "thesan-demo"


class Folder:
    """The demo's folder, locked for as long as this run lasts. `about`: what an earlier run left written there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        while True:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = path / "run.json"
            self._lock: IO[str] = file.open("a+")
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunning(self._read()) from None
            # The run before us may have removed the folder between our open and our lock.
            if file.exists() and os.fstat(self._lock.fileno()).st_ino == file.stat().st_ino:
                break
            self._lock.close()
        self.about = self._read()

    def _read(self) -> dict[str, Any]:
        self._lock.seek(0)
        try:
            found = json.load(self._lock)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def remember(self, **facts: Any) -> None:
        self.about.update(facts)
        self._lock.seek(0)
        self._lock.truncate()
        json.dump(self.about, self._lock)
        self._lock.flush()

    def clear(self) -> None:
        """Make it empty, but for the lock."""
        for one in self.path.iterdir():
            if one.is_dir():
                shutil.rmtree(one, ignore_errors=True)
            elif one.name != "run.json":
                one.unlink()
        self.about = {}
        self.remember(pid=os.getpid())

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


class Scheduler:
    """`thesan serve` on a data folder: started, killed and started again, always on the same ports.

    These are the usual ones, or, where those are taken, free ones; `remarks` says by whom.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self.data_dir = folder.path / "data"
        self.log = folder.path / "scheduler.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.remarks: list[str] = []
        self._ports = {"http": USUAL_HTTP_PORT, "thrift": USUAL_THRIFT_PORT}
        for name, port in self._ports.items():
            if not is_free(IP, port):
                self._give_up(name, port)

    def _give_up(self, name: str, port: int) -> None:
        self._ports[name] = ANY_PORT
        self.remarks.append(f"port {port} is taken by {holder_of(port) or 'somebody'}: a free one is used")

    def start(self) -> int:
        """Start it and wait until it answers. Returns its pid. Raises Failure."""
        try:
            return self._start()
        except Failure:
            if self.url:
                raise
            taken = [(name, port) for name, port in self._ports.items() if port != ANY_PORT and not is_free(IP, port)]
            if not taken:
                raise
            for name, port in taken:  # somebody was quicker
                self._give_up(name, port)
            return self._start()

    def _start(self) -> int:
        command = [sys.executable, "-m", "scheduler", "serve", "--ip", IP, "--data-dir", str(self.data_dir)]
        for name, port in self._ports.items():
            command += [f"--{name}-port", str(port)]
        with self.log.open("ab") as log:
            begin = log.tell()
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        give_up_at = time.monotonic() + START_WAIT_S
        # Its own log says where it listens: an answer alone might be another scheduler's.
        while (found := _LISTENS.search(self.log.read_bytes()[begin:].decode(errors="replace"))) is None:
            self._check(give_up_at)
        self.url = found["url"]
        self._ports = {"http": int(found["http"]), "thrift": int(found["thrift"])}
        self._folder.remember(pid=os.getpid(), url=self.url)
        while not self._answers():
            self._check(give_up_at)
        return self.process.pid

    def _check(self, give_up_at: float) -> None:
        assert self.process is not None
        if self.process.poll() is not None:
            raise Failure(f"the scheduler ended with code {self.process.returncode}: {self.last_words()}")
        if time.monotonic() > give_up_at:
            raise Failure(f"the scheduler does not answer after {START_WAIT_S:.0f} s: {self.last_words()}")
        time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            Connection(self.url, connect_timeout_s=1, timeout_s=2, retry_s=0).call("getTierConfigs")
        except CommandError:
            return False
        return True

    def kill(self) -> None:
        """As hard as it gets."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return lines[-1] if lines else "it said nothing"


def start_monitor(folder: Folder, url: str, job: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(HERE / "monitor.py"), url, job, str(folder.path / "monitor.log")]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, start_new_session=True)


# --- ending ----------------------------------------------------------------------------------------------------------


def end_everything(scheduler: Scheduler, monitor: subprocess.Popen[bytes] | None) -> None:
    """Monitor, then tasks, by the scheduler's own hand, then the scheduler; last, whatever still is left of ours."""
    if monitor is not None and monitor.poll() is None:
        monitor.kill()  # it may be stopped and would not hear anything softer
        monitor.wait()
    if scheduler.process is not None:
        with contextlib.suppress(CommandError, Failure):
            if scheduler.process.poll() is not None:
                scheduler.start()
            end_jobs(Connection(scheduler.url, retry_s=2))
        stop(scheduler.process)
    end_left_over(scheduler.data_dir.parent)


def end_jobs(connection: Connection) -> None:
    """Abort every update, kill every job, and wait until no task is left."""
    for update in summaries(connection, aurora.JobUpdateQuery(updateStatuses=set(ACTIVE))):
        connection.call("abortJobUpdate", key=update.key, message="the demo ends")
    for job in connection.call("getJobs").result.getJobsResult.configs:
        connection.call("killTasks", job=job.key, message="the demo ends")
    give_up_at = time.monotonic() + END_WAIT_S
    active = aurora.TaskQuery(statuses=set(aurora.ACTIVE_STATES))
    while time.monotonic() < give_up_at:
        if not connection.call("getTasksWithoutConfigs", query=active).result.scheduleStatusResult.tasks:
            return
        time.sleep(0.1)


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def end_left_over(folder: Path) -> int:
    """Kill what a run of the demo started in this folder and did not end. Returns how many processes."""
    ended = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if _is_ours(process.cmdline(), folder):
                for one in (*process.children(recursive=True), process):
                    with contextlib.suppress(psutil.Error):
                        one.kill()
                        ended += 1
    return ended


def _is_ours(command: list[str], folder: Path) -> bool:
    """Our scheduler, our monitor, or an executor of a task, on this folder; told by the whole command line."""
    ours = ("/scheduler/executor/__main__.py", "/scripts/demo/monitor.py")
    runs = "serve" in command or any(part.endswith(ours) for part in command)
    return runs and any(part.startswith(f"{folder}/") for part in command)
