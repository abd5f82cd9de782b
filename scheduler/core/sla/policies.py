"""SLA policies: what each asks for, and which of them nobody could keep."""

from __future__ import annotations

from urllib.parse import urlsplit

from scheduler.core.records import CoordinatorSlaPolicy, CountSlaPolicy, PercentageSlaPolicy, SlaPolicy


def needed_of(policy: PercentageSlaPolicy | CountSlaPolicy, total: int) -> float:
    """How many of `total` tasks must stay up: never all of them."""
    wanted = policy.percentage * total / 100 if isinstance(policy, PercentageSlaPolicy) else policy.count
    return min(wanted, total - 1)


def mistake(policy: SlaPolicy) -> str | None:
    """Why this is no policy anybody could keep, in a sentence; None: it is one."""
    if isinstance(policy, CoordinatorSlaPolicy):
        return _wrong_coordinator(policy)
    if policy.duration_secs < 0:
        return f"durationSecs is {policy.duration_secs}; it must be 0 or more"
    if isinstance(policy, CountSlaPolicy):
        return f"count is {policy.count}; it must be 0 or more" if policy.count < 0 else None
    return None if 0 <= policy.percentage <= 100 else f"percentage is {policy.percentage:g}; it must be from 0 to 100"


def _wrong_coordinator(policy: CoordinatorSlaPolicy) -> str | None:
    try:
        address = urlsplit(policy.coordinator_url)
        reachable = address.scheme in ("http", "https") and bool(address.hostname)
    except ValueError:
        reachable = False
    if not reachable:
        return f"coordinatorUrl is {policy.coordinator_url!r}; it must be http://HOST... or https://HOST..."
    return None if policy.status_key else "statusKey is empty; it must name the boolean of the coordinator's answer"
