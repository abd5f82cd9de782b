"""Monitors: each watches one job and sends the heartbeats of its update, as well as its mood allows."""

from __future__ import annotations

from enum import Enum
from typing import Final

from attrs import define

from scheduler.core.queries import PulseAnswer, UpdateQuery, UpdateSummaries
from scheduler.core.records import JobKey, TaskStatus
from scheduler.core.updates.records import UpdateKey
from scheduler.core.updates.standing import Outcome, Standing
from scheduler.core.updates.status import ACTIVE_UPDATE_STATES
from scheduler.core.updates.verdicts import Heartbeat, MonitorVerdict, Standings, heartbeat, heartbeats
from scheduler.core.views import update_summaries
from scheduler.testing.simulation.agenda import Agenda
from scheduler.testing.simulation.clients import Callee, Clients, Fate, Request
from scheduler.testing.simulation.engine import SimulatedEngine

BEAT_MS: Final = 1_500


class Mood(Enum):
    """How a monitor behaves."""

    HONEST = "honest"  # beats while most of what it watches is well
    LAGGING = "lagging"  # each heartbeat comes just when it is overdue, or a little later
    SILENT = "silent"
    LYING = "lying"  # beats whatever it sees
    TOGGLING = "toggling"  # says WAIT and PROCEED in turn


@define(eq=False)
class Monitor:
    number: int
    job: JobKey
    mood: Mood = Mood.HONEST
    key: UpdateKey | None = None
    """The update it beats for, once it has found one."""
    timeout_ms: int = 0
    lag_ms: int = 0
    """By how much its heartbeats come too late, when it lags."""
    asked: Request | None = None
    objection: MonitorVerdict | None = None
    """What it says when it is honest and most of what it watches is ill; None: it only pulses, and falls silent."""
    said: MonitorVerdict = MonitorVerdict.PROCEED
    finished: UpdateKey | None = None
    """What it was told is over; it never beats for that again."""


class Monitors:
    """All of them, on one agenda."""

    def __init__(self, agenda: Agenda, clients: Clients, engine: SimulatedEngine, node: Callee) -> None:
        self._agenda = agenda
        self._clients = clients
        self._engine = engine
        self._node = node
        self.each: list[Monitor] = []

    def add(self, number: int, job: JobKey) -> None:
        monitor = Monitor(number, job)
        self.each.append(monitor)
        self._agenda.on_grid(BEAT_MS, self._beat, monitor)

    def _beat(self, monitor: Monitor) -> bool:
        wait_ms = BEAT_MS
        if monitor.mood is Mood.LAGGING and monitor.key is not None:
            wait_ms = (monitor.timeout_ms or BEAT_MS) + monitor.lag_ms
        self._agenda.on_grid(wait_ms, self._beat, monitor)
        self._hear(monitor)
        ill = monitor.mood is Mood.HONEST and self._is_unwell(monitor)
        if monitor.mood is Mood.SILENT or (ill and monitor.objection is None):
            return False
        if monitor.key is None:
            query = UpdateQuery(job=monitor.job, statuses=ACTIVE_UPDATE_STATES)
            monitor.asked = self._clients.read(self._node, "find", update_summaries, query)
        elif monitor.objection is None:
            monitor.asked = self._clients.pulse(self._node, monitor.key)
        else:
            self._say(monitor, monitor.key, monitor.objection if ill else None)
        return True

    def _say(self, monitor: Monitor, key: UpdateKey, objection: MonitorVerdict | None) -> None:
        """Every other monitor takes the call that is made for many updates."""
        verdict = objection or MonitorVerdict.PROCEED
        if monitor.mood is Mood.TOGGLING and monitor.said is not MonitorVerdict.WAIT:
            verdict = MonitorVerdict.WAIT
        monitor.said = verdict
        told = Heartbeat(key, verdict, f"as seen by {monitor.number}", "", f"monitor-{monitor.number}")
        if monitor.number % 2:
            monitor.asked = self._clients.write(self._node, "heartbeats", heartbeats, (told,), "monitor")
        else:
            monitor.asked = self._clients.write(self._node, "heartbeat", heartbeat, told, "monitor")

    def _hear(self, monitor: Monitor) -> None:
        """What came of the last call."""
        asked, monitor.asked = monitor.asked, None
        if asked is not None and asked.fate is Fate.REFUSED:
            monitor.key = None  # it was forgotten: "the monitor may stop", and looks for another one
        if asked is None or asked.fate is not Fate.ACKNOWLEDGED or asked.answer is None:
            return
        result = asked.answer.result
        if isinstance(result, Standings):
            result = result.answers[0].result
        if isinstance(result, PulseAnswer):
            over = result.finished
        else:
            over = isinstance(result, Standing) and result.outcome is Outcome.FINISHED
        if over:
            monitor.finished, monitor.key = monitor.key, None
        elif isinstance(result, UpdateSummaries):
            for update in result.updates:
                if (update.is_coordinated or monitor.objection) and update.key != monitor.finished:
                    monitor.key, monitor.timeout_ms = update.key, update.settings.pulse_timeout_ms

    def _is_unwell(self, monitor: Monitor) -> bool:
        mine = [task for task in self._engine.tasks.values() if task.place[0] == monitor.number and task.lives]
        ill = sum(task.status is not TaskStatus.RUNNING for task in mine)
        return ill * 2 > len(mine)

    def heal(self) -> None:
        """From now on each beats, says PROCEED, and begins anew: what it asked before may be answered with FINISHED, by
        an update that nothing gated then and a WAIT has stopped since.
        """
        for monitor in self.each:
            monitor.asked = None
            monitor.mood, monitor.objection, monitor.finished = Mood.LYING, MonitorVerdict.WAIT, None
