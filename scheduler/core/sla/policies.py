"""SLA policies: what each asks for, and which of them nobody could keep."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from scheduler.core.records import CoordinatorSlaPolicy, CountSlaPolicy, PercentageSlaPolicy, SlaPolicy


def needed_of(policy: PercentageSlaPolicy | CountSlaPolicy, total: int) -> float:
    """How many of `total` tasks must stay up: never all of them."""
    wanted = policy.percentage * total / 100 if isinstance(policy, PercentageSlaPolicy) else policy.count
    return min(wanted, total - 1)


def mistake(policy: SlaPolicy, coordinator_hosts: Iterable[str]) -> str | None:
    """Why this is no policy anybody could keep, in a sentence; None: it is one.

    `coordinator_hosts`: which hosts coordinators may be on, as `Policy.sla_coordinator_hosts` has them.
    """
    if isinstance(policy, CoordinatorSlaPolicy):
        return _wrong_coordinator(policy, coordinator_hosts)
    if policy.duration_secs < 0:
        return f"durationSecs is {policy.duration_secs}; it must be 0 or more"
    if isinstance(policy, CountSlaPolicy):
        return f"count is {policy.count}; it must be 0 or more" if policy.count < 0 else None
    return None if 0 <= policy.percentage <= 100 else f"percentage is {policy.percentage:g}; it must be from 0 to 100"


def _wrong_coordinator(policy: CoordinatorSlaPolicy, allowed: Iterable[str]) -> str | None:
    said = f"coordinatorUrl is {policy.coordinator_url!r}; "
    host = _host_of(policy.coordinator_url)
    if host is None:
        return said + "it must be http://HOST... or https://HOST..."
    if not _has_good_port(policy.coordinator_url):
        return said + "its port must be from 1 to 65535"
    if not any(_covers(one, host) for one in allowed):
        return said + f"its host may be {', '.join(allowed) or 'none at all'}"
    return None if policy.status_key else "statusKey is empty; it must name the boolean of the coordinator's answer"


def _host_of(url: str) -> str | None:
    """The host, as a name that can be asked for; None: this is no http URL of one."""
    try:
        address = urlsplit(url)
        host = address.hostname or ""
        host.encode("idna")
    except ValueError:
        return None
    is_good = address.scheme in ("http", "https") and host and host.isprintable() and " " not in host
    return host if is_good else None


def _has_good_port(url: str) -> bool:
    try:
        return urlsplit(url).port != 0
    except ValueError:  # no number, or too large
        return False


def _covers(allowed: str, host: str) -> bool:
    """`*` covers every host, `*.example.com` all below example.com."""
    return allowed in ("*", host) or (allowed.startswith("*.") and host.endswith(allowed[1:]))
