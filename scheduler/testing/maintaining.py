"""Commands of a script about maintenance of hosts.

    maintain a, end-maintenance a    startMaintenance, endMaintenance; more hosts stand one after another
    drain a                          drainHosts
    sla-drain a [b] percent=95 [duration=30m] [timeout=7d]
                                     slaDrainHosts; also count=18, or coordinator=URL with key=drain
    let-go 0, keep 0 "why"           the coordinator that was asked about instance 0 answers
    modes                            every host that has a mode, with how many tasks are on it

What came of them: `H a DRAINING` is a host's mode, `ask URL about 0` a question to a coordinator.
"""

from __future__ import annotations

from scheduler.core.answers import Answer
from scheduler.core.effects import AskCoordinator
from scheduler.core.maintenance import requests
from scheduler.core.records import PercentageSlaPolicy
from scheduler.core.sla import answers
from scheduler.core.tables import NO_USAGE
from scheduler.testing.narration import NOBODY
from scheduler.testing.stage import Stage
from scheduler.testing.words import Options, sla_from


class Maintaining:
    """A part of `script.Script`."""

    @property
    def stage(self) -> Stage:
        raise NotImplementedError

    def do_maintain(self, *hosts: str) -> Answer:
        return self.stage.ask(requests.start, hosts, NOBODY)

    def do_end_maintenance(self, *hosts: str) -> Answer:
        return self.stage.ask(requests.end, hosts, NOBODY)

    def do_drain(self, *hosts: str) -> Answer:
        return self.stage.ask(requests.drain, hosts, NOBODY)

    def do_sla_drain(self, *words: str) -> Answer:
        hosts = [word for word in words if "=" not in word]
        options = Options([word for word in words if "=" in word])
        policy = sla_from(options) or PercentageSlaPolicy(95.0, 0)
        timeout_secs = options.number("timeout", 0) // 1000
        options.done()
        return self.stage.ask(requests.sla_drain, hosts, policy, timeout_secs, NOBODY)

    def do_let_go(self, instance: str) -> None:
        self._answer(int(instance), None)

    def do_keep(self, instance: str, why: str) -> None:
        self._answer(int(instance), why)

    def _answer(self, instance: int, why_not: str | None) -> None:
        asked = [effect for effect in self.stage.effects if isinstance(effect, AskCoordinator)]
        mine = [question for question in asked if question.task.instance_id == instance]
        self.stage.ask(answers.answered, mine[-1], why_not)

    def do_modes(self) -> None:
        state = self.stage.state
        for host, row in sorted(state.maintenance.items()):
            self.note(f"H {host} {row.mode.name}, {len(state.tasks.by_host.get(host, NO_USAGE).tasks)} tasks")

    def note(self, text: str) -> None:
        """A line of the transcript."""
        raise NotImplementedError
