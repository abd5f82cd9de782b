"""How a task is stopped: graceful HTTP call, HTTP call, TERM, KILL, each with its time to act.

Source of the order: Aurora's documentation (reference/task-lifecycle). A call that is refused or not answered moves
on to the next step at once, since nobody is there to wait for.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

POST, TERM, KILL = "POST", "TERM", "KILL"


class Step:
    __slots__ = ("action", "path", "port", "wait_secs")

    def __init__(self, action: str, wait_secs: float = 0.0, port: int = 0, path: str = "") -> None:
        self.action = action
        self.wait_secs = wait_secs
        self.port = port
        self.path = path


class Escalation:
    """The steps still to come. Times are seconds of one monotonic clock."""

    def __init__(self, shutdown: dict[str, Any] | None, finalization_wait_secs: float) -> None:
        self._steps: list[Step] = []
        if shutdown:
            for path, wait in (("graceful_endpoint", "graceful_wait_secs"), ("endpoint", "wait_secs")):
                if shutdown[path]:
                    self._steps.append(Step(POST, shutdown[wait], shutdown["port"], shutdown[path]))
        self._steps.append(Step(TERM, finalization_wait_secs))
        self._steps.append(Step(KILL))
        self.current: Step | None = None
        self.until = 0.0

    def next(self, now: float) -> Step | None:
        """The next step, when it is due."""
        if not self._steps or (self.current is not None and now < self.until):
            return None
        self.current = self._steps.pop(0)
        self.until = now + self.current.wait_secs
        return self.current

    def hurry(self) -> None:
        """The current step will bring nothing: the next one is due."""
        self.until = 0.0

    def skip_to_kill(self) -> None:
        if self.current is None or self.current.action != KILL:
            self._steps = [Step(KILL)]
            self.until = 0.0

    @property
    def has_asked(self) -> bool:
        """TERM was due, so nothing is killed before its time is over."""
        return self.current is not None and self.current.action != POST

    @property
    def is_killing(self) -> bool:
        return self.current is not None and self.current.action == KILL
