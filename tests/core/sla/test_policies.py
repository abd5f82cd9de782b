"""What policies ask for, policies nobody could keep, and coordinators where none may be."""

from __future__ import annotations

import pytest

from scheduler.core.policy import Policy
from scheduler.core.records import CoordinatorSlaPolicy, CountSlaPolicy, PercentageSlaPolicy, SlaPolicy
from scheduler.core.sla.policies import mistake, needed_of

ANYWHERE = Policy().sla_coordinator_hosts


@pytest.mark.parametrize(("policy", "total", "needed"), [
    (PercentageSlaPolicy(95.0, 0), 20, 19),
    (PercentageSlaPolicy(95.0, 0), 21, 19.95),
    (PercentageSlaPolicy(99.0, 0), 20, 19),
    (CountSlaPolicy(7, 0), 20, 7),
    (CountSlaPolicy(20, 0), 20, 19),
    (CountSlaPolicy(1, 0), 1, 0),
])  # fmt: skip
def test_never_all_must_stay(policy: PercentageSlaPolicy | CountSlaPolicy, total: int, needed: float) -> None:
    assert needed_of(policy, total) == pytest.approx(needed)


@pytest.mark.parametrize(("policy", "sentence"), [
    (PercentageSlaPolicy(95.0, 60), None),
    (PercentageSlaPolicy(-1.0, 60), "percentage is -1; it must be from 0 to 100"),
    (PercentageSlaPolicy(100.5, 60), "percentage is 100.5; it must be from 0 to 100"),
    (PercentageSlaPolicy(float("nan"), 60), "percentage is nan; it must be from 0 to 100"),
    (PercentageSlaPolicy(95.0, -1), "durationSecs is -1; it must be 0 or more"),
    (CountSlaPolicy(0, 0), None),
    (CountSlaPolicy(-1, 0), "count is -1; it must be 0 or more"),
    (CoordinatorSlaPolicy("http://localhost:8080/drain", "drain"), None),
    (CoordinatorSlaPolicy("file:///etc/passwd", "drain"), "it must be http://HOST... or https://HOST..."),
    (CoordinatorSlaPolicy("http://[", "drain"), "it must be http://HOST... or https://HOST..."),
    (CoordinatorSlaPolicy("", "drain"), "it must be http://HOST... or https://HOST..."),
    (CoordinatorSlaPolicy(f"http://{'a' * 64}.com", "drain"), "it must be http://HOST... or https://HOST..."),
    (CoordinatorSlaPolicy("http://a b", "drain"), "it must be http://HOST... or https://HOST..."),
    (CoordinatorSlaPolicy("http://localhost:65535", "drain"), None),
    (CoordinatorSlaPolicy("http://localhost:99999", "drain"), "its port must be from 1 to 65535"),
    (CoordinatorSlaPolicy("http://localhost:0/x", "drain"), "its port must be from 1 to 65535"),
    (CoordinatorSlaPolicy("http://localhost:drain", "drain"), "its port must be from 1 to 65535"),
    (CoordinatorSlaPolicy("https://sla.example.com", ""), "statusKey is empty"),
])  # fmt: skip
def test_what_is_no_policy(policy: SlaPolicy, sentence: str | None) -> None:
    found = mistake(policy, ANYWHERE)
    assert found is None if sentence is None else sentence in (found or "")


@pytest.mark.parametrize(
    ("url", "is_allowed"),
    [
        ("http://c.example.com", True),
        ("http://C.Example.COM:80/x", True),
        ("http://a.b.example.com", True),
        ("http://example.com", False),
        ("http://c.example.com.evil.org", False),
        ("http://c.example.com@evil.org/", False),
        ("http://evil.org/c.example.com", False),
        ("http://evil.org?c.example.com", False),
        ("http://evilexample.com", False),
        ("http://10.0.0.7:8080", True),
        ("http://10.0.0.77", False),
        ("http://[fe80::7]:80/", True),
    ],
)
def test_where_coordinators_may_be(url: str, is_allowed: bool) -> None:
    said = mistake(CoordinatorSlaPolicy(url, "k"), ("*.example.com", "10.0.0.7", "fe80::7"))
    if is_allowed:
        assert said is None
    else:
        assert said == f"coordinatorUrl is {url!r}; its host may be *.example.com, 10.0.0.7, fe80::7"
