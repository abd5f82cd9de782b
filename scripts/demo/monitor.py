"""The demo's monitor: looks at every instance of a job over HTTP, and sends a heartbeat for the job's update while all
is well. It ends on SIGTERM.

    monitor.py SERVER JOB LOG [EVERY_S]
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import requests

from scheduler.client.connection import Connection
from scheduler.client.errors import CommandError
from scheduler.client.jobs import get_tasks
from scheduler.client.keys import Job, parse_job
from scheduler.client.update_calls import find_update
from scheduler.interface import aurora

BAD_ROUNDS = 2
"""So many rounds in a row with an instance that should answer and does not: no heartbeat."""


def look(tasks: list[Any], session: requests.Session) -> tuple[Counter[str], list[str]]:
    """What the running instances answer, and what is wrong."""
    answers: Counter[str] = Counter()
    wrong = []
    for task in tasks:
        if task.status != aurora.ScheduleStatus.RUNNING:
            continue
        instance, port = task.assignedTask.instanceId, task.assignedTask.assignedPorts["health"]
        try:
            page = session.get(f"http://127.0.0.1:{port}/", timeout=1)
            page.raise_for_status()
            answers[page.text.strip()] += 1
        except requests.RequestException as failure:
            wrong.append(f"instance {instance}: {failure}")
    return answers, wrong


class Monitor:
    """Looks once a round, and says what it saw."""

    def __init__(self, server: str, job: Job) -> None:
        self._connection = Connection(server, timeout_s=2, retry_s=0)
        self._session = requests.Session()
        self._session.trust_env = False
        self._job = job
        self._bad_rounds = 0

    def round(self) -> str:
        """Look, and send a heartbeat if all is well. Returns the line for the log."""
        try:
            answers, wrong = look(get_tasks(self._connection, self._job), self._session)
            self._bad_rounds = self._bad_rounds + 1 if wrong else 0
            if self._bad_rounds >= BAD_ROUNDS:
                return f"no heartbeat: {'; '.join(wrong)}"
            key = find_update(self._connection, self._job, None, active_only=True)
            self._connection.call("pulseJobUpdate", key=key)
        except CommandError as failure:
            return f"no heartbeat: {failure.format_message()}"
        return "heartbeat: " + (", ".join(f"{n} x {text!r}" for text, n in sorted(answers.items())) or "nobody answers")


def main() -> None:
    monitor = Monitor(sys.argv[1], parse_job(sys.argv[2]))
    every_s = float(sys.argv[4]) if len(sys.argv) > 4 else 1.0
    with Path(sys.argv[3]).open("a", buffering=1) as log:
        while True:
            print(monitor.round(), file=log)
            time.sleep(every_s)


if __name__ == "__main__":
    main()
