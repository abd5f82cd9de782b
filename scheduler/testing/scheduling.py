"""Commands of a script about cron jobs."""

from __future__ import annotations

from attrs import evolve

from scheduler.core.answers import Answer
from scheduler.core.cron import requests as cron
from scheduler.core.cron.records import CollisionPolicy
from scheduler.core.records import JobConfiguration, JobKey
from scheduler.testing.narration import NOBODY
from scheduler.testing.stage import Stage, service

POLICIES = {"kill": CollisionPolicy.KILL_EXISTING, "cancel": CollisionPolicy.CANCEL_NEW}


class Scheduling:
    """A part of `script.Script`."""

    job: JobKey

    @property
    def stage(self) -> Stage:
        raise NotImplementedError

    def do_cron(self, schedule: str, count: str, config: str, policy: str = "kill", replace: str = "") -> Answer:
        """Schedule the job, or (`replace`) replace its template."""
        task = evolve(service(self.job, config), is_service=False)
        asked = JobConfiguration(self.job, task, int(count), None, schedule, POLICIES[policy])
        return self.stage.ask(cron.replace if replace else cron.schedule, asked, NOBODY)

    def do_deschedule(self) -> Answer:
        return self.stage.ask(cron.deschedule, self.job, NOBODY)

    def do_start_cron(self) -> Answer:
        return self.stage.ask(cron.start, self.job, NOBODY)

    def do_show_cron(self) -> None:
        state = self.stage.state
        found = state.cron_jobs.get(self.job)
        if found is None:
            self.note("no cron job")
            return
        runs = found.runs
        words = [f"{found.schedule}, next {state.next_cron_runs.get(self.job)}, last {runs.last_run_ms}"]
        words += [f"waits since {runs.waiting_ms}"] if runs.waiting_ms else []
        words += [f"missed {runs.missed}, the last at {runs.last_missed_ms}"] if runs.missed else []
        words += [f"held back {runs.held_back}"] if runs.held_back else []
        self.note("cron " + ", ".join(words))

    def note(self, text: str) -> None:
        """A line of the transcript."""
        raise NotImplementedError
