"""What a task configuration may be, in the order of the checks, and what is filled in."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from scheduler.core.answers import Refused
from scheduler.core.policy import Policy
from scheduler.core.records import (
    Constraint,
    CoordinatorSlaPolicy,
    CountSlaPolicy,
    DockerContainer,
    DockerImage,
    ExecutorConfig,
    FetcherUri,
    JobKey,
    LimitConstraint,
    MesosContainer,
    PartitionPolicy,
    PercentageSlaPolicy,
    Resource,
    ResourceKind,
    TaskConfig,
    ValueConstraint,
    Volume,
)
from scheduler.core.validation import is_good_identifier, valid_config
from scheduler.testing.stage import service

JOB = JobKey("www", "prod", "web")
GOOD = service(JOB, "x")
CPU, RAM, DISK = ResourceKind.CPUS, ResourceKind.RAM_MB, ResourceKind.DISK_MB


def resources(**amounts: float) -> tuple[Resource, ...]:
    wanted = {"CPUS": 1.0, "RAM_MB": 64, "DISK_MB": 64} | amounts
    return tuple(Resource(ResourceKind[name], value) for name, value in wanted.items() if value is not None)


def dedicated(*values: str) -> tuple[Constraint, ...]:
    return (Constraint("dedicated", ValueConstraint(False, values)),)


# In the order of the checks: what is wrong, and a piece of the sentence.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"tier": "a b"}, "Tier contains illegal characters"),
    ({"tier": "gold"}, "Tier gold is unknown; there are: preferred, preemptible, revocable"),
    ({"job": JobKey("www", "prod", "")}, "taskConfig.job: The job key has no name"),
    ({"executor": None}, "a task needs an executorConfig"),
    ({"executor": ExecutorConfig("", "x")}, "executorConfig.name may not be empty"),
    ({"executor": ExecutorConfig("Other", "x")}, "'Other' is not known; executorConfig.name may be: AuroraExecutor"),
    ({"constraints": (Constraint("rack", None),)}, "'rack' has no known kind"),
    ({"constraints": (Constraint("dedicated", LimitConstraint(1)),)}, "must be of value type"),
    ({"constraints": dedicated("a", "b")}, "exactly one value"),
    ({"constraints": dedicated("other/x")}, "Only other may use"),
    ({"container": DockerContainer("image")}, "does not support the container type docker"),
    ({"container": MesosContainer(volumes=(Volume("/a", "/b", 1),))}, "volumes are not supported"),
    ({"container": MesosContainer(image=DockerImage("a", "b"))}, "images are not supported"),
    ({"resources": (*resources(), Resource(CPU, 2.0))}, "Multiple resource values are not supported for CPUS"),
    ({"resources": resources(CPUS=0.0)}, "invalid value for num_cpus: it is 0; it must be greater than 0"),
    ({"resources": resources(CPUS=float("nan"))}, "invalid value for num_cpus"),
    ({"resources": resources(CPUS=float("inf"))}, "num_cpus: it must be finite"),
    ({"resources": resources(RAM_MB=-1)}, "invalid value for ram_mb"),
    ({"resources": resources(DISK_MB=0)}, "invalid value for disk_mb"),
    ({"resources": ()}, "invalid value for num_cpus"),
    ({"resources": resources(GPUS=1)}, "GPU resources are not supported"),
    ({"partition_policy": PartitionPolicy(True, -5)}, "partitionPolicy.delaySecs is -5; it must be 0 or more"),
    ({"fetcher_uris": (FetcherUri("http://x"),)}, "fetcher URIs are not allowed"),
    ({"sla_policy": CountSlaPolicy(1, 60)}, "must be in a production tier"),
    ({"sla_policy": CountSlaPolicy(-1, 60), "tier": "preferred"}, "count is -1; it must be 0 or more"),
    ({"sla_policy": CountSlaPolicy(1, 7201), "tier": "preferred"}, "durationSecs is 7201; it may be at most 7200"),
    ({"sla_policy": CountSlaPolicy(20, 60), "tier": "preferred"}, "leaves none that may be down"),
    ({"sla_policy": PercentageSlaPolicy(96.0, 60), "tier": "preferred"}, "leaves none that may be down"),
    ({"sla_policy": CoordinatorSlaPolicy("x", "y"), "tier": "preferred"}, "coordinatorUrl is 'x'"),
]


@pytest.mark.parametrize(("gpus", "sentence"), [
    (-8, "invalid value for numGpus: it is -8; it must be 0 or more"), (0, None), (8, None),
])  # fmt: skip
def test_how_many_gpus_where_there_may_be_some(gpus: int, sentence: str | None) -> None:
    policy, config = Policy(allow_gpu_resource=True), evolve(GOOD, resources=resources(GPUS=gpus))
    if sentence is None:
        assert valid_config(policy, config, 20).amount(ResourceKind.GPUS) == gpus
    else:
        assert sentence in refusal(config, policy)


def refusal(config: TaskConfig, policy: Policy | None = None) -> str:
    with pytest.raises(Refused) as refused:
        valid_config(policy or Policy(), config, 20)
    (detail,) = refused.value.answer.details
    assert refused.value.answer.code.name == "INVALID_REQUEST"
    return str(detail)


@pytest.mark.parametrize(("changes", "sentence"), WRONG)
def test_wrong(changes: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal(evolve(GOOD, **changes))


@pytest.mark.parametrize("position", range(len(WRONG)))
def test_the_first_thing_that_is_wrong_is_told(position: int) -> None:
    """Each one together with the last one after it that does not touch the same field."""
    changes, sentence = WRONG[position]
    later = next((c for c, _ in reversed(WRONG[position + 1 :]) if not c.keys() & changes.keys()), {})
    assert sentence in refusal(evolve(GOOD, **(later | changes)))


@pytest.mark.parametrize("changes", [
    {"constraints": dedicated("www")},
    {"constraints": dedicated("www/anything")},
    {"constraints": dedicated("*/shared")},
    {"constraints": (Constraint("rack", LimitConstraint(1)),)},
    {"resources": (*resources(), Resource(ResourceKind.PORT, "http"), Resource(ResourceKind.PORT, "admin"))},
    {"partition_policy": PartitionPolicy(True, 0)},
    {"partition_policy": PartitionPolicy(False)},
    {"sla_policy": CountSlaPolicy(19, 7200), "tier": "preferred"},
    {"sla_policy": PercentageSlaPolicy(95.0, 60), "tier": "preferred"},
    {"sla_policy": CoordinatorSlaPolicy("http://localhost:1/x", "drain"), "tier": "preferred"},
])  # fmt: skip
def test_right(changes: dict[str, Any]) -> None:
    assert valid_config(Policy(), evolve(GOOD, **changes), 20)


def test_a_small_job_needs_no_policy_but_a_coordinator() -> None:
    for policy, instances in ((CountSlaPolicy(1, 60), 20), (CoordinatorSlaPolicy("http://localhost:1/x", "y"), 1)):
        wanted = evolve(GOOD, sla_policy=policy, tier="preferred")
        assert valid_config(Policy(), wanted, instances).sla_policy == policy
    with pytest.raises(Refused, match="too small for one; it needs 20"):
        valid_config(Policy(), evolve(GOOD, sla_policy=CountSlaPolicy(1, 60), tier="preferred"), 19)
    also = Policy(sla_aware_kill_non_prod=True)
    assert valid_config(also, evolve(GOOD, sla_policy=CountSlaPolicy(1, 60)), 20).sla_policy is not None


@pytest.mark.parametrize(("tier", "filled", "production"), [
    (None, "preemptible", False), ("preemptible", "preemptible", False),
    ("preferred", "preferred", True), ("revocable", "revocable", False),
])  # fmt: skip
@pytest.mark.parametrize("asked", [None, True, False])
def test_the_tier_decides_what_production_is(
    tier: str | None, filled: str, production: bool, asked: bool | None
) -> None:
    config = valid_config(Policy(), evolve(GOOD, tier=tier, production=asked), 1)
    assert (config.tier, config.production) == (filled, production)


def test_links_are_filled_in_for_ports_of_known_names() -> None:
    ports = tuple(Resource(ResourceKind.PORT, name) for name in ("http", "health", "admin"))
    with_ports = evolve(GOOD, resources=(*GOOD.resources, *ports))
    assert valid_config(Policy(), with_ports, 1).task_links == (
        ("health", "http://%host%:%port:health%"),
        ("http", "http://%host%:%port:http%"),
    )
    own = (("docs", "http://docs"),)
    assert valid_config(Policy(), evolve(with_ports, task_links=own), 1).task_links == own
    assert valid_config(Policy(), GOOD, 1).task_links == ()


def test_populating_twice_changes_nothing() -> None:
    once = valid_config(Policy(), GOOD, 1)
    assert valid_config(Policy(), once, 1) == once


def test_the_engine_may_object() -> None:
    policy = Policy(objection=lambda config: "no such program" if config.executor else None)
    assert refusal(GOOD, policy) == "no such program"


@pytest.mark.parametrize(("text", "good"), [
    ("a", True), ("A-Z_a.z-09", True), ("x" * 255, True), ("x" * 256, False), ("", False), (None, False),
    ("a b", False), ("a/b", False), ("a\n", False), ("ä", False), ("a:b", False), ("٣", False),
])  # fmt: skip
def test_identifiers(text: str | None, good: bool) -> None:
    assert is_good_identifier(text) is good
