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
from scheduler.client.keys import parse_job
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


def main() -> None:
    server, job = sys.argv[1], parse_job(sys.argv[2])
    every_s = float(sys.argv[4]) if len(sys.argv) > 4 else 1.0
    log = Path(sys.argv[3]).open("a", buffering=1)
    connection = Connection(server, timeout_s=2, retry_s=0)
    session = requests.Session()
    session.trust_env = False
    bad_rounds = 0
    while True:
        try:
            answers, wrong = look(get_tasks(connection, job), session)
            bad_rounds = bad_rounds + 1 if wrong else 0
            said = ", ".join(f"{count} x {text!r}" for text, count in sorted(answers.items())) or "nobody answers"
            if bad_rounds >= BAD_ROUNDS:
                print(f"no heartbeat: {'; '.join(wrong)}", file=log)
            else:
                key = find_update(connection, job, None, active_only=True)
                connection.call("pulseJobUpdate", key=key)
                print(f"heartbeat: {said}", file=log)
        except CommandError as failure:
            print(f"no heartbeat: {failure.format_message()}", file=log)
        time.sleep(every_s)


if __name__ == "__main__":
    main()
