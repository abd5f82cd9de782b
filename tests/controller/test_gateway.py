"""The door to whoever decides: shut, it says that surely nothing happened."""

from __future__ import annotations

from scheduler.contracts import Outcome
from scheduler.controller.gateway import NOWHERE, Gateway
from scheduler.core import views
from scheduler.core.answers import Code
from scheduler.core.queries import PulseAnswer
from scheduler.core.records import JobKey
from scheduler.core.updates import requests
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
