"""An update that raises goes to ERROR alone, wherever it is looked at from; the others and the next leader live on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from scheduler.core.records import TaskStatus
from scheduler.core.takeover import take_reports
from scheduler.core.updates import updater
from scheduler.core.updates.instances import Verdict
from scheduler.core.updates.records import Instructions
from scheduler.testing.script import Script

REASON = "Internal scheduler error: RuntimeError: planted"


class Poison:
    """Once taken, whoever judges an instance that is to run, or to be rid of, "bad" raises."""

    taken = False

    def __call__(self) -> None:
        self.taken = True

    def cure(self) -> None:
        self.taken = False


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Poison:
    found = Poison()
    judge = updater.judge

    def judging(wanted: object, task: object, **named: int) -> Verdict:
        if found.taken and "bad" in f"{wanted} {task}":
            raise RuntimeError("planted")
        return judge(wanted, task, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(updater, "judge", judging)
    return found


def scene(*commands: str) -> Script:
    """A job that is updated to "bad", and a bystander in the middle of its own update."""
    script = Script()
    for command in ("job api 0-1 old", "job web 0-1 old", "wait 60s", "on api", "start new 0-1", "on web", *commands):
        script.do(command)
    return script


def history(script: Script) -> list[str]:
    update = script.update()
    assert update is not None
    return [event.status.name for event in update.events]


def set_aside(script: Script, cure: Callable[[], None]) -> None:
    """The update of web is in ERROR, with its reason; nothing of it is left to trip over; api's goes on to its end."""
    update = script.update()
    assert update is not None
    assert update.status.name == "ERROR"
    assert update.events[-1].message == REASON
    assert update.events[-1].user is None
    assert not script.stage.controller.failures
    for _ in range(2):
        script.do("restart")
        script.do("on api")
        assert script.update() is not None
        script.do("finish")
        assert history(script)[-1] == "ROLLED_FORWARD"
        script.do("on web")
        assert history(script)[-1] == "ERROR"
        assert script.do("pulse")[0].endswith("= OK FINISHED")
    cure()
    assert script.do("start newer 0-1")[0].endswith("= OK u3")  # begins again from the job as it stands
    script.do("finish")
    assert history(script)[-1] == "ROLLED_FORWARD"


def test_at_its_start(poison: Poison) -> None:
    poison()
    script = scene("start bad 0-1")
    assert history(script) == ["ROLLING_FORWARD", "ERROR"]
    set_aside(script, poison.cure)


def test_at_its_first_heartbeat(poison: Poison) -> None:
    poison()
    script = scene("start bad 0-1 pulse=10000")
    lines = script.do("pulse")
    assert lines[0].endswith("= OK beating")  # it was beating when asked; the next one hears that it is over
    assert history(script) == ["ROLL_FORWARD_AWAITING_PULSE", "ROLLING_FORWARD", "ERROR"]
    set_aside(script, poison.cure)


def test_at_a_resume(poison: Poison) -> None:
    script = scene("start bad 0-1", "pause")
    poison()
    assert script.do("resume user=ann")[0].endswith("= OK")
    assert history(script) == ["ROLLING_FORWARD", "ROLL_FORWARD_PAUSED", "ROLLING_FORWARD", "ERROR"]
    set_aside(script, poison.cure)


def test_when_a_task_changes(poison: Poison) -> None:
    script = scene("start bad 0-1")
    poison()
    script.do("exit 0 KILLED")  # the report itself is taken, whatever the update makes of it
    assert history(script) == ["ROLLING_FORWARD", "ERROR"]
    assert 0 not in script.contents()[script.job]
    set_aside(script, poison.cure)


def test_when_a_watch_window_ends(poison: Poison) -> None:
    script = scene("start bad 0-1", "swap 0")
    poison()
    script.do("wait 2000")
    assert history(script) == ["ROLLING_FORWARD", "ERROR"]
    set_aside(script, poison.cure)


def test_when_it_turns_round_by_request(poison: Poison) -> None:
    script = scene("start bad 0-1", "swap 0")
    poison()
    script.do("rollback")
    assert history(script) == ["ROLLING_FORWARD", "ROLLING_BACK", "ERROR"]
    set_aside(script, poison.cure)


def test_when_it_turns_round_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Aurora's testConfigurationPolicyChange: the way back cannot be built. Its record stays, the error follows."""
    script = scene("start bad 0-1", "swap 0")
    make_order = updater.Plan.order

    def order(plan: updater.Plan, *, back: bool) -> tuple[int, ...]:
        if back:
            raise RuntimeError("planted")
        return make_order(plan, back=back)

    monkeypatch.setattr(updater.Plan, "order", order)
    lines = script.do("exit 0 FAILED")
    assert [line.split(maxsplit=1)[1] for line in lines] == [
        "again 0 bad",
        "I0 UPDATE_FAILED",
        'J ROLLING_BACK "Latest failure: instance 0 exited."',
        f'J ERROR "{REASON}"',
    ]
    set_aside(script, monkeypatch.undo)


@pytest.mark.parametrize("verb", ["retry", "skip"])
def test_when_an_instance_is_set_aside(monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """Its plan cannot be made any more: whoever asked is told what became of the update."""
    script = scene("start bad 0-1 failures=1", "swap 0", "exit 0 FAILED", "restart")
    make_plan = updater.make_plan

    def planning(instructions: Instructions) -> updater.Plan:
        if "bad" in str(instructions.desired):
            raise RuntimeError("planted")
        return make_plan(instructions)

    monkeypatch.setattr(updater, "make_plan", planning)
    script.stage.state.updates.plans.clear()
    lines = script.do(f'{verb} 0 user=ann "look again"')
    assert lines[0].endswith(f'= OK ERROR "It could not be done, and the update has ended: {REASON}"')
    assert history(script)[-1] == "ERROR"
    set_aside(script, monkeypatch.undo)


def test_at_a_take_over(poison: Poison) -> None:
    script = scene("start bad 0-1", "swap 0")
    poison()
    lines = script.do("restart")
    assert [line.split(maxsplit=1)[1] for line in lines] == [f'J ERROR "{REASON}"']
    set_aside(script, poison.cure)


def test_while_it_waits_for_a_heartbeat(poison: Poison) -> None:
    script = scene("start bad 0-1 pulse=10000 watch=60000", "pulse", "swap 0", "wait 30s")
    poison()
    script.do("exit 0 FAILED")
    assert history(script)[-2:] == ["ROLL_FORWARD_AWAITING_PULSE", "ERROR"]
    set_aside(script, poison.cure)


def test_what_it_did_before_it_raised_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of two kills is decided, the second raises: neither happens, and nothing is said of them."""
    calls = 0
    kill = updater.actions.kill

    def killing(*args: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise RuntimeError("planted")
        return kill(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(updater.actions, "kill", killing)
    script = scene()
    calls = 0
    script.do("tell sentences")
    lines = [line.split(maxsplit=1)[1] for line in script.do("start bad 0-1 queue=2")]
    assert lines[:3] == ["= OK u2", "J ROLLING_FORWARD", f'J ERROR "{REASON}"']
    assert not any("kill" in line or "is ended" in line for line in lines)
    assert {task.status.name for task in script.stage.state.tasks.active[script.job].values()} == {"RUNNING"}
    set_aside(script, monkeypatch.undo)


def test_reports_of_strangers_harm_nobody() -> None:
    """Aurora's testBadPubsubUpdate, as far as it can be asked here."""
    script = scene("start new 0-1")
    task = script.task(0)
    script.do("exit 0 KILLED")
    for status in ("RUNNING", "FAILED", "PENDING", "INIT"):
        for task_id in (task.task_id, "nobody-knows-me"):
            script.stage.controller.write(take_reports, [(task_id, TaskStatus[status], None, None)])
            script.stage.settle()
    script.do("finish")
    assert history(script)[-1] == "ROLLED_FORWARD"
