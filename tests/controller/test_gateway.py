"""The door to whoever decides: shut, it says that surely nothing happened."""

from __future__ import annotations

from scheduler.contracts import Outcome
from scheduler.controller.gateway import NOWHERE, Copy, Gateway
from scheduler.core import views
from scheduler.core.answers import Answer, Code
from scheduler.core.policy import Policy
from scheduler.core.queries import PulseAnswer, TaskQuery, UpdateQuery
from scheduler.core.records import JobKey
from scheduler.core.state import State
from scheduler.core.updates import explain, requests
from scheduler.core.updates.records import UpdateKey
from scheduler.testing.stage import Stage

KEY = UpdateKey(JobKey("www", "prod", "web"), "id")


def outcome(gateway: Gateway, offset: int) -> Outcome:
    heard: list[Outcome] = []
    gateway.when_durable(offset, heard.append)
    (found,) = heard
    return found


def test_nobody_leads_yet() -> None:
    """A heartbeat must not be told FINISHED by somebody who does not know: that would silence a monitor for good."""
    gateway = Gateway()
    for ticket in (gateway.write(requests.pulse, KEY), gateway.read(views.role_summaries)):
        assert ticket.answer.code is Code.ERROR_TRANSIENT
        assert ticket.answer.details == ("The scheduler is starting.",)
        assert ticket.answer.result is None
        assert ticket.offset == NOWHERE
        assert outcome(gateway, ticket.offset) is Outcome.DURABLE  # it may leave at once
    assert gateway.durable_offset == NOWHERE
    assert gateway.controller is None


def test_a_standby_says_who_leads_and_a_closed_one_why() -> None:
    gateway, said = Gateway(), ["This scheduler stands by; a:1 leads."]
    gateway.standing_by = lambda: said[0] or None
    assert gateway.write(requests.pulse, KEY).answer.details == (said[0],)
    gateway.close("It is stopping.")
    said[0] = ""
    assert gateway.write(requests.pulse, KEY).answer.details == ("It is stopping.",)


def test_open_it_passes_on() -> None:
    gateway, stage = Gateway(), Stage()
    gateway.open(stage.controller)
    assert gateway.controller is stage.controller
    ticket = gateway.write(requests.pulse, KEY)
    assert ticket.answer.result == PulseAnswer(finished=True)
    assert gateway.read(views.role_summaries).answer.ok
    assert gateway.durable_offset == stage.controller.durable_offset
    assert outcome(gateway, ticket.offset) is Outcome.DURABLE


def test_shut_again_it_says_why_and_old_offsets_never_happened() -> None:
    gateway, stage = Gateway(), Stage()
    gateway.open(stage.controller)
    gateway.close("Another scheduler leads.")
    assert gateway.write(requests.pulse, KEY).answer.details == ("Another scheduler leads.",)
    assert outcome(gateway, 1) is Outcome.REFUSED


def test_a_copy_answers_what_is_in_the_log_while_it_is_young_enough() -> None:
    gateway, stage = Gateway(), Stage()
    age_ms: list[int | None] = [40]
    states = [stage.state]
    gateway.copy = Copy(lambda: states[-1], stage.controller.world.policy, lambda: age_ms[0], most_ms=50)

    ticket = gateway.read_logged(views.update_details, None, UpdateQuery())
    assert (ticket.offset, ticket.answer.code) == (NOWHERE, Code.OK)
    assert ticket.answer.details == ("Answered by a standby: everything committed more than 40 ms ago is in it.",)
    now = gateway.read_now(explain.details, None, UpdateQuery(), logged=views.update_details)
    assert now == ticket

    def which(state: State, policy: Policy) -> Answer:
        return Answer(result=state)

    states.append(State())  # the log is read anew
    assert gateway.read_logged(which).answer.result is states[-1]

    age_ms[0] = 51
    old = gateway.read_logged(views.role_summaries).answer
    assert old.code is Code.ERROR_TRANSIENT and "51 ms old, of 50 ms allowed" in old.details[0]
    age_ms[0] = None
    assert gateway.read_logged(views.role_summaries).answer.details == ("The scheduler is starting.",)


def test_what_needs_more_than_the_log_is_never_answered_from_a_copy() -> None:
    gateway, stage = Gateway(), Stage()
    gateway.copy = Copy(lambda: stage.state, stage.controller.world.policy, lambda: 0, most_ms=50)
    for ticket in (
        gateway.write(requests.pulse, KEY),
        gateway.pulse(KEY),
        gateway.read(views.pending_reasons, TaskQuery()),
        gateway.read_now(explain.explain, KEY),
    ):
        assert ticket.answer.code is Code.ERROR_TRANSIENT
    gateway.open(stage.controller)
    assert not gateway.read_logged(views.role_summaries).answer.details, "who leads answers for itself"
