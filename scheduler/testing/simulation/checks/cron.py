"""Every instant of a cron schedule is acted on once: a run begins, waits, is held back, or was missed and counts.

Which instants there are is worked out in `crontab.py`, and up to where they were acted on is kept here, in step with
the log: whoever takes over has to go on from there, whatever its own record says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scheduler.contracts import Entry
from scheduler.core.cron.records import Runs
from scheduler.core.cron.runs import LOOK_EVERY_MS, MOST_COUNTED
from scheduler.core.ops import Op
from scheduler.core.records import ACTIVE_STATES, JobKey
from scheduler.core.transaction import DeadlineKind
from scheduler.testing.simulation.broken import Broken
from scheduler.testing.simulation.checks.base import Check, Witness
from scheduler.testing.simulation.cron_rows import CronGone, CronMoved, CronRow, CronSaved
from scheduler.testing.simulation.crontab import CRON_JOBS, instants
from scheduler.testing.simulation.ledger import Change, Created, TaskRow
from scheduler.testing.simulation.watched import Decision

if TYPE_CHECKING:
    from scheduler.testing.simulation.world import World

START = "start cron"
"""What a caller's request for a run is called here."""
_LATE_MS = LOOK_EVERY_MS + 15_000


class Cron(Check):
    rule = "cron runs once"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._acted: dict[JobKey, int] = {}
        """Up to which instant somebody has acted, as decided by the newest leader."""
        self._in_log: dict[JobKey, int] = {}
        """The same, as far as it is durable."""
        self._by_op: dict[int, tuple[Op, JobKey, int]] = {}
        """What an op makes of it, once it is durable."""
        self._led_from_ms = 0
        self._created: dict[JobKey, list[TaskRow]] = {}
        self._moved: dict[JobKey, tuple[Runs, Op]] = {}
        self._clock: tuple[int, int] = (0, 0)
        """How far the wall's clock is ahead of the other one, and since when."""

    def loaded(self, witness: Witness) -> None:
        self._acted = dict(self._in_log)
        self._clock = (0, 0)

    def deciding(self, witness: Witness, decision: Decision) -> None:
        if decision.name == "begin_epoch":
            self._led_from_ms = decision.now_ms
        self._created, self._moved = {}, {}

    def changed(self, witness: Witness, decision: Decision, op: Op, change: Change) -> None:
        if isinstance(change, Created):
            job = change.task.job
            if job in CRON_JOBS and not change.task.has_ancestor:
                self._begins(witness, change)
        elif isinstance(change, CronMoved):
            before = self._moved.get(change.cron.key, (change.old, op))[0]
            self._moved[change.cron.key] = before, op
        elif isinstance(change, CronSaved):
            self._saved(decision, op, change)
        elif isinstance(change, CronGone):
            waited = change.cron.runs.waiting_ms
            self.world.coverage.note("cron", "descheduled while a run waits" if waited else "descheduled")

    def _begins(self, witness: Witness, change: Created) -> None:
        run = self._created.setdefault(change.task.job, [])
        run.append(change.task)
        for other in witness.ledger.tasks.values():
            if other.job == change.task.job and other.status in ACTIVE_STATES and other not in run:
                told = f"{change.task.task_id} begins beside {other.task_id}, {other.status.name}"
                raise Broken("cron runs do not overlap", told)

    def _saved(self, decision: Decision, op: Op, change: CronSaved) -> None:
        cron, old = change.cron, change.old
        if old is not None and (old.runs.missed, old.runs.held_back) != (cron.runs.missed, cron.runs.held_back):
            raise Broken("missed runs are counted", f"{cron.key}: another template, and what was counted is gone")
        if old is None or old.schedule != cron.schedule:
            self._note(cron.key, decision.now_ms, op)
        self.world.coverage.note("cron", "scheduled" if old is None else "replaced")

    def _note(self, key: JobKey, until_ms: int, op: Op) -> None:
        self._acted[key] = until_ms
        self._by_op[id(op)] = op, key, until_ms

    def decided(self, witness: Witness, decision: Decision) -> None:
        for key, run in self._created.items():
            count, instances = witness.ledger.crons[key].count, sorted(task.instance for task in run)
            if instances != list(range(count)):
                raise Broken(self.rule, f"a run of {key} has instances {instances}, asked were {count}")
            if key not in self._moved:
                raise Broken(self.rule, f"a run of {key} begins, and that is not recorded")
        for key, (old, op) in self._moved.items():
            self._look(decision, witness.ledger.crons[key], old, op)

    def _look(self, decision: Decision, cron: CronRow, old: Runs, op: Op) -> None:
        new, begins = cron.runs, len(self._created.get(cron.key, ())) > 0
        waits = new.waiting_ms > 0 and not old.waiting_ms
        held_back = new.held_back - old.held_back
        if begins + waits + held_back > 1:
            raise Broken(self.rule, f"{cron.key}: of one run more than one thing became ({old}, {new})")
        if decision.name == "reached" and decision.args[0] == (DeadlineKind.CRON, cron.key):
            self._due(decision, cron, old, op, ran=bool(begins + waits + held_back))
        elif begins and old.waiting_ms and not new.waiting_ms:
            self.world.coverage.note("cron", "a run that waited begins")
            if old.waiting_ms <= self._led_from_ms:
                self.world.coverage.note("cron", "a run that waited begins under another leader")
        elif decision.name == "start" and decision.args[0] == cron.key:
            self.world.coverage.note(
                "cron", "begun by hand" if begins else "by hand, and another one stands in its way"
            )
        else:
            raise Broken(self.rule, f"{cron.key}: {decision.name} changes its runs from {old} to {new}")
        if waits or held_back:
            how = "waits" if waits else "held back behind one that waits" if new.waiting_ms else "held back"
            self.world.coverage.note("cron", f"{how}: {cron.policy.name}")

    def _due(self, decision: Decision, cron: CronRow, old: Runs, op: Op, *, ran: bool) -> None:
        """A deadline was reached, and something came of it."""
        passed = instants(cron.schedule, self._acted[cron.key], decision.now_ms)
        if not passed:
            what = "begins" if ran else "is missed"
            raise Broken(self.rule, f"{cron.key}: a run {what}; nothing is due since {self._acted[cron.key]}")
        unled = sum(at_ms <= self._led_from_ms for at_ms in passed)
        catch_up = self.world.policy.cron_catch_up
        if ran != (unled < len(passed) or catch_up):
            raise Broken(self.rule, f"{cron.key}: {len(passed)} runs due, {unled} of them unled; one began: {ran}")
        missed, counted = len(passed) - ran, cron.runs.missed - old.missed
        if counted != missed and not (len(passed) >= MOST_COUNTED and counted >= MOST_COUNTED - 1):
            raise Broken("missed runs are counted", f"{cron.key}: {missed} were missed, {counted} are counted")
        self._note(cron.key, passed[-1], op)
        self.world.coverage.note("cron", "due" if ran else "missed: nobody led")
        if ran and unled == len(passed):
            self.world.coverage.note("cron", "caught up")
        elif ran and missed:
            self.world.coverage.note("cron", "missed: the clock was put forward, or nothing could be done")

    def durable(self, entry: Entry) -> None:
        for op in entry.ops:
            if id(op) in self._by_op:
                _, key, until_ms = self._by_op.pop(id(op))
                self._in_log[key] = until_ms

    def swept(self, witness: Witness) -> None:
        """Every schedule is watched, and nothing that is due is left lying."""
        clock = witness.controller.clock
        ahead_ms = clock.wall_ms() - clock.mono_ms()
        if ahead_ms != self._clock[0]:
            self._clock = ahead_ms, clock.mono_ms()
        steady_ms = clock.mono_ms() - self._clock[1]
        for key, cron in witness.ledger.crons.items():
            if (DeadlineKind.CRON, key) not in witness.controller.deadlines:
                raise Broken("waits for something", f"nobody watches the schedule of {key}")
            late = instants(cron.schedule, self._acted[key], clock.wall_ms() - _LATE_MS)
            if late and steady_ms > _LATE_MS:
                raise Broken("waits for something", f"{key} was due at {late[0]}, it is {clock.wall_ms()}")
