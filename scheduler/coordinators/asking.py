"""Asking coordinators: one question at a time for each URL, a few at once in all, and everything within a time.

So a coordinator need not think about two tasks at once: the next question leaves when the answer to the last one has
been decided about. Source: Aurora's documentation, "SLA requirements", on coordinators.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from scheduler.coordinators.post import PostFailed, post
from scheduler.core.effects import AskCoordinator, ForDrain
from scheduler.core.records import Task
from scheduler.core.sla.answers import answered
from scheduler.core.sla.policies import mistake

LOG = logging.getLogger("thesan")

MOST_WAITING: Final = 100
"""Questions for one URL. Whoever comes later is put off: it asks again by itself."""

FIGURES: Final = ("attempts", "success", "errors", "user_errors", "lock_starvation")


class Decide(Protocol):
    """Decides about something as soon as we may decide, like `leadership.driver.Driver.attempt`."""

    def __call__(self, decision: Callable[..., None], *args: Any) -> object: ...


class Coordinators:
    """Of one leader. Implements `contracts.Coordinators`."""

    def __init__(
        self,
        decide: Decide,
        *,
        describe: Callable[[Task], object],
        cluster: str,
        now_ms: Callable[[], int],
        timeout_s: float,
        most_at_once: int,
        hosts: tuple[str, ...],
        figures: Counter[str],
    ) -> None:
        """`describe`: a task as JSON has it. `figures` counts what `FIGURES` names, over all leaders of a process.

        `hosts`: those that may be asked; a job may be older than that.
        """
        self._decide = decide
        self._describe = describe
        self._cluster = cluster
        self._now_ms = now_ms
        self._timeout_s = timeout_s
        self._slots = asyncio.Semaphore(most_at_once)
        self._hosts = hosts
        self._figures = figures
        self._waiting: dict[str, deque[AskCoordinator]] = {}
        """By URL; the question that is under way is not among them."""
        self._known: set[tuple[str, object]] = set()
        """Task and purpose of all that waits or is under way."""
        self._work: set[asyncio.Task[None]] = set()

    def ask(self, question: AskCoordinator) -> None:
        """Unless that is being asked already."""
        name, url = (question.task.task_id, question.purpose), question.policy.coordinator_url
        if name in self._known:
            return
        waiting = self._waiting.get(url)
        if waiting is None:
            waiting = self._waiting[url] = deque()
            work = asyncio.create_task(self._ask_all(url, waiting), name=f"coordinator {url:.100}")
            self._work.add(work)
            work.add_done_callback(self._work.discard)
        elif len(waiting) >= MOST_WAITING:
            self._figures["lock_starvation"] += 1
            return
        self._known.add(name)
        waiting.append(question)

    async def stop(self) -> None:
        """Whatever is under way is broken off; nothing is decided about it."""
        work = list(self._work)
        for one in work:
            one.cancel()
        await asyncio.gather(*work, return_exceptions=True)

    async def _ask_all(self, url: str, waiting: deque[AskCoordinator]) -> None:
        while waiting:
            question = waiting.popleft()
            async with self._slots:
                why_not = await self._asked(url, question)
            self._known.discard((question.task.task_id, question.purpose))
            self._decide(answered, question, why_not)
        del self._waiting[url]

    async def _asked(self, url: str, question: AskCoordinator) -> str | None:
        """Why the task must stay; None: it may go."""
        task = question.task
        name = f"{self._cluster}/{task.job}/{task.instance_id}"
        self._figures["attempts"] += 1
        try:
            wrong = mistake(question.policy, self._hosts)
            if wrong is not None:
                raise PostFailed(f"may not be asked: {wrong}")
            body = json.dumps(self._body(question, name)).encode()
            status, answer = await post(url, {"task": name}, body, timeout_s=self._timeout_s)
            why_not = judge(status, answer, question.policy.status_key)
        except PostFailed as wrong:
            self._figures["user_errors"] += 1
            return str(wrong)
        except Exception as wrong:  # ours: it must not end the questions behind it
            self._figures["errors"] += 1
            LOG.exception("the coordinator of %s was not asked", name)
            return f"was not asked: {wrong}"
        self._figures["success"] += why_not is None
        return why_not

    def _body(self, question: AskCoordinator, name: str) -> Mapping[str, object]:
        body = {"task": name, "taskConfig": self._describe(question.task)}
        if isinstance(question.purpose, ForDrain):
            left_ms = max(0, question.purpose.forced_at_ms - self._now_ms())
            body["forceMaintenanceCountdownMs"] = str(left_ms)
        return body


def judge(status: int, answer: bytes, status_key: str) -> str | None:
    """Why the task must stay, by what its coordinator answered; None: it may go. Raises PostFailed for no answer."""
    if status != 200:
        raise PostFailed(f"answered with status {status}")
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        raise PostFailed("did not answer in JSON") from None
    said = found.get(status_key) if isinstance(found, dict) else None
    if not isinstance(said, bool):
        raise PostFailed(f"answered without a boolean called {status_key!r:.100}")
    return None if said else "said no"
