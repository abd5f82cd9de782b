"""How far an update is, read from its history."""

from typing import Any

import pytest
from attrs import evolve
from rich.console import Console

from scheduler.client.live import PlainView, picture
from scheduler.client.progress import Phase, Progress, progress_of
from scheduler.client.watch import exit_code, last_sentence
from scheduler.interface import aurora

S, A = aurora.JobUpdateStatus, aurora.JobUpdateAction
W, K, D, F = Phase.WAITING, Phase.WORKING, Phase.DONE, Phase.FAILED


def update(
    status: int, instances: list[tuple[int, int, int]], updates: list[tuple[int, int]] | None = None
) -> Progress:
    """`instances`: (instance, time, action); `updates`: (time, status). Three instances, 0 new, 1 and 2 replaced."""
    job = aurora.JobKey(role="www-data", environment="devel", name="hello")
    ranges: list[Any] = [aurora.Range(first=0, last=2)]
    return progress_of(
        aurora.JobUpdateDetails(
            update=aurora.JobUpdate(
                summary=aurora.JobUpdateSummary(
                    key=aurora.JobUpdateKey(job=job, id="an-id"),
                    user="me",
                    state=aurora.JobUpdateState(status=status, createdTimestampMs=1000, lastModifiedTimestampMs=3500),
                ),
                instructions=aurora.JobUpdateInstructions(
                    initialState=[aurora.InstanceTaskConfig(instances=[aurora.Range(first=1, last=2)])],
                    desiredState=aurora.InstanceTaskConfig(instances=ranges),
                    settings=aurora.JobUpdateSettings(blockIfNoPulsesAfterMs=3000),
                ),
            ),
            updateEvents=[aurora.JobUpdateEvent(status=s, timestampMs=t) for t, s in updates or []],
            instanceEvents=[
                aurora.JobInstanceUpdateEvent(instanceId=i, timestampMs=t, action=a) for i, t, a in instances
            ],
        )
    )


FORWARD = [(0, 10, A.INSTANCE_UPDATING), (0, 20, A.INSTANCE_UPDATED), (1, 20, A.INSTANCE_UPDATING)]
FAILED = [*FORWARD, (1, 30, A.INSTANCE_UPDATE_FAILED)]
BACK = [*FAILED, (1, 40, A.INSTANCE_ROLLING_BACK), (1, 50, A.INSTANCE_ROLLED_BACK), (0, 50, A.INSTANCE_ROLLING_BACK)]


@pytest.mark.parametrize(
    ("status", "events", "phases"),
    [
        (S.ROLL_FORWARD_AWAITING_PULSE, [], (W, W, W)),
        (S.ROLLING_FORWARD, FORWARD, (D, K, W)),
        (S.ROLLING_FORWARD, FAILED, (D, F, W)),
        (S.ROLLED_FORWARD, FAILED, (D, F, D)),
        (S.ROLLING_BACK, FAILED, (W, W, D)),
        (S.ROLLING_BACK, BACK, (K, D, D)),
        (S.ABORTED, FORWARD, (D, K, W)),
    ],
)
def test_each_instance_has_a_phase_in_the_direction_it_goes(
    status: int, events: list[tuple[int, int, int]], phases: tuple[Phase, ...]
) -> None:
    assert tuple(update(status, events).phases.values()) == phases


def test_the_two_histories_become_one_that_can_be_read() -> None:
    """A failure, the turn it causes, and what begins with it have the same time; they are told in this order."""
    instances = [(1, 30, A.INSTANCE_UPDATE_FAILED), (1, 30, A.INSTANCE_ROLLING_BACK), (1, 60, A.INSTANCE_ROLLED_BACK)]
    updates = [(5, S.ROLLING_FORWARD), (30, S.ROLLING_BACK), (60, S.ROLLED_BACK)]
    assert [event.text for event in update(S.ROLLED_BACK, instances, updates).events] == [
        "ROLLING_FORWARD",
        "instance 1 failed",
        "ROLLING_BACK",
        "instance 1 is being rolled back",
        "instance 1 is rolled back",
        "ROLLED_BACK",
    ]


@pytest.mark.parametrize("status", sorted(S._VALUES_TO_NAMES))
def test_only_an_update_that_arrived_ends_well(status: int) -> None:
    assert exit_code(update(status, [])) == (0 if status == S.ROLLED_FORWARD else 1)


def test_the_last_sentence() -> None:
    assert last_sentence(update(S.ROLLED_FORWARD, FORWARD)) == (
        "www-data/devel/hello: ROLLED_FORWARD after 2.5 s; 3 of 3 instances updated"
    )


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (S.ROLL_FORWARD_AWAITING_PULSE, "waits for a heartbeat; 1 of 3 instances updated"),
        (S.ROLL_FORWARD_PAUSED, "paused, `thesan update resume` lets it go on; 1 of 3 instances updated"),
        (S.ROLLING_FORWARD, "1 of 3 instances updated"),
        (S.ROLLING_BACK, "1 of 3 instances back"),
    ],
)
def test_what_it_is_doing_is_told_in_words(status: int, expected: str) -> None:
    assert update(status, FORWARD).sentence == expected


def drawn(progress: Progress, *, unicode: bool) -> str:
    console = Console(width=80, color_system=None, force_terminal=True)
    with console.capture() as capture:
        console.print(picture(progress, now_ms=13_000, unicode=unicode))
    return capture.get()


def test_the_picture_has_status_bar_marks_and_the_last_events() -> None:
    shown = drawn(update(S.ROLLING_FORWARD, FORWARD, [(t, S.ROLLING_FORWARD) for t in range(20)]), unicode=True)
    assert "ROLLING_FORWARD  1 of 3 instances updated" in shown
    assert "1/3 12 s" in shown
    assert "0 ✓  1 ◐  2 ·" in shown
    assert shown.count("\n") == 13  # five lines and the last eight events
    assert "0 +  1 o  2 ." in drawn(update(S.ROLLING_FORWARD, FORWARD), unicode=False)


def test_a_hundred_instances_fit_beside_each_other() -> None:
    progress = update(S.ROLLING_FORWARD, FORWARD)
    many = evolve(progress, phases=dict.fromkeys(range(100), Phase.DONE))
    assert max(map(len, drawn(many, unicode=True).splitlines())) <= 80


def test_where_nobody_looks_each_event_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    view = PlainView()
    view.show(update(S.ROLLING_FORWARD, FORWARD))
    view.show(update(S.ROLLING_FORWARD, FAILED))
    view.note("cannot reach it; trying again")
    view.note("cannot reach it; trying again")
    out, err = capsys.readouterr()
    assert [line.split(" ", 1)[1] for line in out.splitlines()] == [
        "instance 0 is being updated",
        "instance 0 is updated",
        "instance 1 is being updated",
        "instance 1 failed",
    ]
    assert err == "cannot reach it; trying again\n"
