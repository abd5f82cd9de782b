"""The commands of a script that make its scene: the hosts there are, and what the role may take of them."""

from __future__ import annotations

from scheduler.core import quota
from scheduler.core.records import Host, JobKey, ResourceKind
from scheduler.testing.narration import NOBODY
from scheduler.testing.stage import ROOMY_HOST, Stage
from scheduler.testing.words import Options


class Surrounding:
    """A part of `script.Script`."""

    job: JobKey

    @property
    def stage(self) -> Stage:
        raise NotImplementedError

    def do_hosts(self, state: str) -> None:
        self.stage.offer((ROOMY_HOST,) if state == "on" else ())

    def do_host(self, name: str, *words: str) -> None:
        """Another host; the first one takes the place of the roomy one."""
        options = Options(list(words))
        rack = options.take("rack")
        made = Host(
            name,
            f"agent-{name}",
            cpus=float(options.take("cpus", "4")),
            ram_mb=options.number("ram", 4096),
            disk_mb=4096,
            ports=tuple(range(31000, 31010)),
            attributes=(("host", (name,)), *([("rack", (rack,))] if rack else [])),
        )
        options.done()
        self.stage.offer((*(one for one in self.stage.hosts if one not in (ROOMY_HOST,) and one.name != name), made))

    def do_gone(self, name: str) -> None:
        self.stage.offer(tuple(one for one in self.stage.hosts if one.name != name))

    def do_quota(self, cpus: str) -> None:
        """The role may have so many cores of production tasks, and memory and disk without end."""
        amounts = (ResourceKind.CPUS, float(cpus)), (ResourceKind.RAM_MB, 10**9), (ResourceKind.DISK_MB, 10**9)
        self.stage.ask(quota.set_quota, self.job.role, amounts, NOBODY)
