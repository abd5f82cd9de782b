"""startJobUpdate: every check, in its order, with its code and its sentence (Aurora's interface and documentation).

Each request is wrong in one way and in all the ways that are checked after it: what is told is the first one.
"""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from scheduler.core.answers import Answer, Code
from scheduler.core.policy import Policy
from scheduler.core.queries import SettingsRequest, StartedUpdate, UpdateRequest
from scheduler.core.records import JobKey, Metadata, TaskConfig
from scheduler.core.tasks import actions
from scheduler.core.transaction import Transaction
from scheduler.core.updates import requests, updater
from scheduler.core.updates.records import (
    BatchStrategy,
    QueueStrategy,
    Range,
    Strategy,
    UpdateStatus,
    VariableBatchStrategy,
)
from scheduler.core.validation import valid_config
from scheduler.testing.stage import Stage, service

JOB = JobKey("www", "prod", "web")
ACTIVE = (
    "An active update already exists for this job, please terminate it before starting another. Active updates are "
    "those in states [ROLLING_BACK, ROLLING_FORWARD, ROLL_BACK_AWAITING_PULSE, ROLL_BACK_PAUSED, "
    "ROLL_FORWARD_AWAITING_PULSE, ROLL_FORWARD_PAUSED]"
)
LONG = "x" * 1025

# A request that passes; each check below breaks one thing of it.
GOOD: dict[str, Any] = {
    "config": service(JOB, "new"),
    "count": 3,
    "settings": SettingsRequest(strategy=QueueStrategy(1)),
    "message": None,
}
# In order: what is broken, as changes of GOOD or of its settings ("s."), the code, and the sentence (None: has no text
# that clients know).
CHECKS: list[tuple[str, dict[str, Any], str, str | None]] = [
    ("no configuration", {"config": None}, "ERROR", None),
    ("no service", {"config": evolve(service(JOB, "new"), is_service=False)}, "INVALID_REQUEST",
     "Updates are not supported for non-service tasks."),
    ("no settings", {"settings": None}, "ERROR", None),
    ("a size of 0", {"s.strategy": VariableBatchStrategy((2, 0, 1))}, "INVALID_REQUEST",
     "All update group sizes must be positive."),
    ("an unknown strategy", {"s.strategy": None, "s.strategy_unknown": True}, "INVALID_REQUEST",
     "Update strategy provided is unknown."),
    ("nothing at a time", {"s.strategy": BatchStrategy(0)}, "INVALID_REQUEST",
     "Update results in no instance being modified."),
    ("failures per instance", {"s.max_per_instance_failures": -1}, "INVALID_REQUEST",
     "maxPerInstanceFailures must be non-negative."),
    ("failed instances", {"s.max_failed_instances": -1}, "INVALID_REQUEST",
     "maxFailedInstances must be non-negative."),
    ("too many failures", {"s.max_per_instance_failures": 6667}, "INVALID_REQUEST",
     "Your update allows too many failures to occur, consider decreasing the per-instance failures or "
     "maxFailedInstances."),
    ("watch", {"s.min_wait_in_instance_running_ms": -1}, "INVALID_REQUEST",
     "minWaitInInstanceRunningMs must be non-negative."),
    ("heartbeat", {"s.block_if_no_pulses_after_ms": -1}, "INVALID_REQUEST",
     "blockIfNoPulsesAfterMs must be positive."),
    ("SLA-aware without a policy", {"s.sla_aware": True}, "INVALID_REQUEST",
     "slaAware is true, but no task slaPolicy is specified."),
    ("a wrong configuration", {"c.tier": "gold"}, "INVALID_REQUEST",
     "Tier gold is unknown; there are: preferred, preemptible, revocable"),
    ("strangers", {"s.update_only_these_instances": (Range(1, 1), Range(5000, 5001))}, "INVALID_REQUEST",
     "The update request attempted to update specific instances, but some are irrelevant to the update and current "
     "job state: 5000, 5001"),
    # A no-op cannot be wrong in the ways that come after it: see below.
    ("too many instances", {"count": 4001}, "INVALID_REQUEST",
     "Instance count must be between 1 and 4000 inclusive."),
    ("a long message", {"message": LONG}, "ERROR", None),
    ("another update", {"running": True}, "INVALID_REQUEST", ACTIVE),
]  # fmt: skip

# Which later breaks cannot go together with an earlier one, because they set the same thing.
EXCLUSIVE = [
    {"no configuration", "no service", "SLA-aware without a policy", "a wrong configuration"},
    {"a size of 0", "an unknown strategy", "nothing at a time"},
    {"failures per instance", "too many failures"},
]


def build(changes: list[dict[str, Any]]) -> tuple[UpdateRequest, str | None, bool]:
    """Earlier changes win, so that the first break stays what it is."""
    merged: dict[str, Any] = {}
    for change in reversed(changes):
        merged |= change
    parts = GOOD | {name: value for name, value in merged.items() if name in GOOD}
    config, settings = parts["config"], parts["settings"]
    if config is not None:
        config = evolve(config, **{n[2:]: v for n, v in merged.items() if n.startswith("c.")})
    if settings is not None:
        settings = evolve(settings, **{n[2:]: v for n, v in merged.items() if n.startswith("s.")})
    return UpdateRequest(config, parts["count"], settings), parts["message"], "running" in merged


def stage_with(data: str = "old", instances: int = 3, *, updating: bool = False, policy: Policy | None = None) -> Stage:
    stage = Stage(policy)

    def create(tx: Transaction) -> None:
        config = valid_config(tx.policy, service(JOB, data), 1)
        for instance in range(instances):
            actions.create(tx, config, instance)

    stage.ask(create)
    if updating:
        stage.ask(requests.start, UpdateRequest(service(JOB, "other"), 3, GOOD["settings"]), "ann", None)
    return stage


def start(stage: Stage, request: UpdateRequest, message: str | None = None) -> Answer:
    return stage.ask(requests.start, request, "ann", message)


FOLLOWED = {"a size of 0", "an unknown strategy", "nothing at a time", "too many failures"}
"""Aurora's messages for these name no field: a sentence of ours does."""


@pytest.mark.parametrize("position", range(len(CHECKS)), ids=[check[0] for check in CHECKS])
@pytest.mark.parametrize("alone", [True, False], ids=["alone", "with all that come later"])
def test_check(position: int, alone: bool) -> None:
    name, change, code, sentence = CHECKS[position]
    excluded = {other for group in EXCLUSIVE if name in group for other in group}
    later = [] if alone else [check[1] for check in CHECKS[position + 1 :] if check[0] not in excluded]
    request, message, updating = build([change, *later])
    stage = stage_with(updating=updating)
    before = len(stage.log), len(stage.state.updates)

    answer = start(stage, request, message)

    assert answer.code.name == code
    assert len(answer.details) == 1 + (name in FOLLOWED)
    if sentence is not None:
        assert answer.details[0] == sentence
    assert (len(stage.log), len(stage.state.updates)) == before
    assert (answer.result is not None) is (name == "another update")


def test_no_request_that_is_wrong_in_nothing() -> None:
    assert start(stage_with(), build([])[0]).code is Code.OK


def test_a_noop_is_told_before_the_limit_the_message_and_the_update_that_runs() -> None:
    stage = stage_with("new", updating=True)
    same = UpdateRequest(service(JOB, "new"), 3, GOOD["settings"])
    # Instance 0 is being replaced; the scope leaves only those that are right.
    settings = evolve(GOOD["settings"], update_only_these_instances=(Range(1, 2),))
    answer = start(stage, evolve(same, settings=settings), LONG)
    assert answer == Answer(Code.OK, ("Job is unchanged by proposed update.",))
    assert start(stage_with(instances=0), evolve(same, instance_count=0), LONG).code is Code.OK


def test_a_negative_count_is_refused_in_words() -> None:
    answer = start(stage_with(), UpdateRequest(service(JOB, "new"), -1, GOOD["settings"]))
    assert answer == Answer(Code.INVALID_REQUEST, ("Instance count must be between 1 and 4000 inclusive.",))


@pytest.mark.parametrize(("count", "only", "sentence"), [
    (10_000, (Range(9000, 9000),), "Instance count must be between 1 and 4000 inclusive."),
    (2**31 - 1, (Range(5000, 2**31 - 2),), "Instance count must be between 1 and 4000 inclusive."),
    (2**31 - 1, (), "Instance count must be between 1 and 4000 inclusive."),
    (10_000, (Range(0, 1), Range(10_000, 10_001)), "The update request attempted to update specific instances, but "
     "some are irrelevant to the update and current job state: 10000, 10001"),
])  # fmt: skip
def test_what_too_large_a_count_names_is_wanted_and_refused_for_the_count(
    count: int, only: tuple[Range, ...], sentence: str
) -> None:
    settings = evolve(GOOD["settings"], update_only_these_instances=only)
    answer = start(stage_with(), UpdateRequest(service(JOB, "new"), count, settings))
    assert answer == Answer(Code.INVALID_REQUEST, (sentence,))


@pytest.mark.parametrize("only", [Range(-1, 0), Range(2, 1)])
def test_a_scope_that_is_no_range_is_refused(only: Range) -> None:
    settings = evolve(GOOD["settings"], update_only_these_instances=(only,))
    assert start(stage_with(), UpdateRequest(service(JOB, "new"), 3, settings)).code is Code.INVALID_REQUEST


def test_a_scope_of_two_thousand_million_ids_costs_nothing() -> None:
    settings = evolve(GOOD["settings"], update_only_these_instances=(Range(0, 2**31 - 1),))
    answer = start(stage_with(), UpdateRequest(service(JOB, "new"), 3, settings))
    assert answer.code is Code.INVALID_REQUEST
    assert len(str(answer.details[0])) < 400


@pytest.mark.parametrize(("per_instance", "count", "code"), [
    (20_000, 1, "OK"), (20_001, 1, "INVALID_REQUEST"), (5, 4000, "OK"), (6, 4000, "INVALID_REQUEST")
])  # fmt: skip
def test_the_limit_of_potential_failures(per_instance: int, count: int, code: str) -> None:
    settings = evolve(GOOD["settings"], max_per_instance_failures=per_instance)
    assert start(stage_with(instances=0), UpdateRequest(service(JOB, "new"), count, settings)).code.name == code


@pytest.mark.parametrize(("asked", "strategy"), [
    (SettingsRequest(update_group_size=3), QueueStrategy(3)),
    (SettingsRequest(update_group_size=3, wait_for_batch_completion=True), BatchStrategy(3)),
    (SettingsRequest(update_group_size=3, strategy=BatchStrategy(2, True)), BatchStrategy(2, True)),
    (SettingsRequest(strategy=VariableBatchStrategy((1, 2))), VariableBatchStrategy((1, 2))),
])  # fmt: skip
def test_the_strategy_is_derived_from_the_deprecated_fields(asked: SettingsRequest, strategy: Strategy) -> None:
    stage = stage_with()
    assert start(stage, UpdateRequest(service(JOB, "new"), 3, asked)).ok
    settings = stage.state.updates.active[JOB].settings
    assert settings.strategy == strategy
    # What the client sent is kept as it was.
    assert settings.update_group_size == asked.update_group_size
    assert settings.wait_for_batch_completion is asked.wait_for_batch_completion


def test_unset_deprecated_fields_are_refused() -> None:
    answer = start(stage_with(), UpdateRequest(service(JOB, "new"), 3, SettingsRequest()))
    assert answer.details == (
        "Update results in no instance being modified.",
        "settings.updateGroupSize: group sizes are [0]; each must be above 0",
    )


def test_the_answer_to_a_start() -> None:
    stage = stage_with()
    notes = (Metadata("k", "1"), Metadata("k", "2"))
    answer = start(stage, UpdateRequest(service(JOB, "new"), 3, GOOD["settings"], notes), "why")
    started = answer.result
    assert isinstance(started, StartedUpdate)
    assert (started.key.job, started.user, started.metadata, started.running) == (JOB, "ann", notes, None)
    update = stage.state.updates[started.key]
    assert update.metadata == notes
    assert (update.events[0].user, update.events[0].message) == ("ann", "why")


def test_the_answer_when_another_one_runs_names_that_one() -> None:
    stage = stage_with(updating=True)
    running = stage.state.updates.active[JOB]
    answer = start(stage, UpdateRequest(service(JOB, "new"), 3, GOOD["settings"]))
    assert isinstance(answer.result, StartedUpdate)
    assert answer.result.key == running.key
    assert answer.result.running is running


def test_instructions_hold_what_changes_and_nothing_else() -> None:
    stage = Stage()

    def create(tx: Transaction) -> None:
        for instance, data in ((0, "new"), (1, "old"), (2, "older"), (3, "old"), (6, "old"), (7, "new")):
            actions.create(tx, valid_config(tx.policy, service(JOB, data), 1), instance)

    stage.ask(create)
    assert start(stage, UpdateRequest(service(JOB, "new"), 6, GOOD["settings"])).ok
    instructions = stage.state.updates.active[JOB].instructions

    def data(config: TaskConfig) -> str:
        assert config.executor is not None
        return config.executor.data

    assert {data(part.config): part.instances for part in instructions.initial} == {
        "old": (Range(1, 1), Range(3, 3), Range(6, 6)),
        "older": (Range(2, 2),),
        "new": (Range(7, 7),),
    }
    assert instructions.desired is not None
    assert data(instructions.desired.config) == "new"
    assert instructions.desired.instances == (Range(1, 5),)
    assert instructions.desired.config.tier == "preemptible"  # populated: what is compared is what is stored


def test_a_pure_removal_has_no_desired_state_and_keeps_no_configuration() -> None:
    stage = stage_with()
    settings = evolve(GOOD["settings"], update_only_these_instances=(Range(2, 2),))
    assert start(stage, UpdateRequest(service(JOB, "never used"), 2, settings)).ok
    assert stage.state.updates.active[JOB].instructions.desired is None
    assert len(stage.state.configs) == 1


def test_an_unknown_job_is_created() -> None:
    stage = Stage()
    assert start(stage, UpdateRequest(service(JOB, "new"), 2, evolve(GOOD["settings"], strategy=QueueStrategy(9)))).ok
    assert sorted(stage.state.tasks.active[JOB]) == [0, 1]


def test_a_first_look_that_raises_sets_the_update_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(*_: object, **__: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(updater, "judge", judge)
    stage = stage_with()
    answer = start(stage, build([])[0])
    assert answer.ok
    assert isinstance(answer.result, StartedUpdate)
    update = stage.state.updates[answer.result.key]
    assert [event.status for event in update.events] == [UpdateStatus.ROLLING_FORWARD, UpdateStatus.ERROR]
    assert update.events[-1].message == "Internal scheduler error: ZeroDivisionError: planted"
    assert update.events[-1].user is None
