"""A real scheduler in a process of its own, and the command as a user runs it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scheduler.client.connection import Connection
from scheduler.client.errors import CommandError
from scheduler.client.progress import ACTIVE
from scheduler.client.update_calls import summaries
from scheduler.interface import aurora
from tests.packaging.tree import ROOT

_LISTENS = re.compile(r"HTTP on (https?://\S+:\d+)")


class Served:
    """`thesan serve` on free ports and a folder of its own. After a `kill` it can be started again on the same."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.data_dir = folder / "data"
        self._log = folder / "server.log"
        self._flags = flags
        self._http_port = "0"
        self.url = ""
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "scheduler", "serve", "--data-dir", str(self.data_dir), *self._flags]
        command += ["--http-port", self._http_port, "--thrift-port", "0"]
        self._log.write_text("")
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        give_up_at = time.monotonic() + 20
        while (found := _LISTENS.search(self._log.read_text())) is None:
            assert self.process.poll() is None, self._log.read_text()
            assert time.monotonic() < give_up_at, self._log.read_text()
            time.sleep(0.05)
        self.url = found[1].rstrip("/,")
        self._http_port = self.url.rpartition(":")[2]

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """End every task, then the server."""
        assert self.process is not None
        if self.process.poll() is not None:
            self.start()
        with contextlib.suppress(AssertionError, CommandError):
            calls = Connection(self.url)
            for update in summaries(calls, aurora.JobUpdateQuery(updateStatuses=ACTIVE)):
                calls.call("abortJobUpdate", key=update.key)
            give_up_at = time.monotonic() + 20
            while jobs := calls.call("getJobs").result.getJobsResult.configs:
                for job in jobs:
                    calls.call("killTasks", job=job.key)
                assert time.monotonic() < give_up_at
                time.sleep(0.2)
        self.process.terminate()
        self.process.wait(20)

    def environment(self) -> dict[str, str]:
        return {**os.environ, "THESAN_SERVER": self.url}

    def run(self, *arguments: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run the command against this server; `code` is what it must exit with, None: anything."""
        done = thesan(*arguments, environment=self.environment())
        assert "Traceback" not in done.stderr, done.stderr
        if code is not None:
            assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        return done

    def json(self, *arguments: str, code: int | None = 0) -> Any:
        return json.loads(self.run(*arguments, "--write-json", code=code).stdout)

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the command and leave it running."""
        command = [sys.executable, "-m", "scheduler", *arguments]
        return subprocess.Popen(
            command, cwd=ROOT, env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )


def thesan(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scheduler", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=50, check=False)


@contextlib.contextmanager
def served(folder: Path, *flags: str) -> Iterator[Served]:
    one = Served(folder, *flags)
    one.start()
    try:
        yield one
    finally:
        one.end()


JOB = """
job: www-data/devel/{name}
instances: {instances}
command: exec sleep 1000
env: {{VERSION: {version}}}
resources: {{cpus: 0.01, ram: 1MB, disk: 1MB}}
stop_wait: 1s
update: {{watch: {watch}, {more}}}
"""


def job_file(
    folder: Path, name: str, *, version: str = "v1", instances: int = 2, watch: str = "0", more: str = ""
) -> str:
    """A job that does nothing, in a file of its own. Returns its path."""
    path = folder / f"{name}-{version}.yaml"
    path.write_text(JOB.format(name=name, version=version, instances=instances, watch=watch, more=more))
    return str(path)
