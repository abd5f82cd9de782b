"""Is the task healthy? The counting of HTTP health checks, without any socket.

Source of the rules: Aurora's documentation (features/services, configuration reference, HealthCheckConfig).
Failures within `initial_interval_secs` are not counted, unless the task was healthy before. More than
`max_consecutive_failures` counted in a row, or no health at all after the interval in as many checks as could have
brought it, mean that the task is unhealthy.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from scheduler.executor.probe import HttpRequest

EAGER_INTERVAL_SECS = 0.5
"""Until the first success within the initial interval we ask more often: nothing is counted, RUNNING comes sooner."""


class Health:
    """`spec` has the fields of HealthCheckConfig. Times are seconds of one monotonic clock."""

    def __init__(self, spec: dict[str, Any], now: float) -> None:
        self.port: int = spec["port"]
        self.endpoint: str = spec["endpoint"]
        self.timeout_secs: float = spec["timeout_secs"]
        self._expected_response: str = spec["expected_response"].strip().lower()
        self._expected_code: int = spec["expected_response_code"]
        self._interval_secs: float = spec["interval_secs"]
        self._max_failures: int = spec["max_consecutive_failures"]
        self._min_successes: int = spec["min_consecutive_successes"]
        self._grace_until = now + spec["initial_interval_secs"]
        self._give_up_at = self._grace_until + self._interval_secs * (self._max_failures + self._min_successes)
        self._failures = 0
        self._successes = 0
        self.is_healthy = False
        """Has been healthy at least once: the task is RUNNING."""
        self.next_at = now

    def judge(self, answer: HttpRequest) -> str | None:
        """None when the answer is the expected one, else what is wrong with it. An expectation of 0 or "" is none."""
        if answer.error:
            return answer.error
        if self._expected_code and answer.code != self._expected_code:
            return f"status {answer.code}, expected {self._expected_code}"
        if self._expected_response and answer.body.strip().lower() != self._expected_response:
            return f"body {answer.body.strip()[:40]!r}, expected {self._expected_response!r}"
        return None

    def count(self, problem: str | None, now: float) -> str | None:
        """Count one check. Returns the sentence to end the task with, when it is unhealthy."""
        grace = now < self._grace_until and not self.is_healthy
        if problem is None:
            self._successes += 1
            self._failures = 0
            if self._successes >= self._min_successes:
                self.is_healthy = True
        else:
            self._successes = 0
            self._failures += 0 if grace else 1
        eager = grace and not self._successes
        self.next_at = now + (min(self._interval_secs, EAGER_INTERVAL_SECS) if eager else self._interval_secs)
        if problem is not None and self._failures > self._max_failures:
            return f"unhealthy: {self._failures} health checks in a row failed, the last one: {problem}"
        if not self.is_healthy and now >= self._give_up_at:
            return f"not healthy in time, the last health check: {problem or 'passed'}"
        return None
