"""Stories as text: commands in, events out. A transcript is a file of commands, each followed by what came of it.

    > start new 0-2 queue=1 watch=2000 pulse=10000
            2000  = OK u1
            2000  J ROLL_FORWARD_AWAITING_PULSE
    > pulse
            2000  = OK beating
            2000  J ROLLING_FORWARD
            2000  I0 UPDATING
            2000  kill 0

The number is the wall's clock in milliseconds; it begins at 0. What came of a command:

    = CODE ... "details"      the answer; `already u1 STATUS` is the update that stands in the way
    J STATUS "message" by X   the update came to a status
    I0 ACTION                 an instance event, without its prefix INSTANCE_
    N hold "..." since 0, ... what is noted beside the history from now on: hold, override, pause, progress
    R "message" by X          what was done to it beside the history, on the record

    add 0 new                 a task is created for instance 0, with the configuration "new"
    again 0 new               ... by the task machine, because the one before it ended
    drop 0 old                a task left the state: it was pending, or its history was pruned
    kill 0, kill! 0           the engine is told to end it: TERM, KILL
    compare                   the engine is asked for all it has
    T0 STATUS "message"       a task came to a state (after `tell tasks`)
    ~ sentence                a decision's sentence (after `tell sentences`)
    forget u1                 an ended update was pruned
    C sentence                a run of a cron job began, waits, was held back or was missed

Lines of a job other than the one the script talks about begin with its name. Commands:

    policy NAME=VALUE ...            change the rules (`core/policy.py`); first of all. Unless asked for by
                                     flapping_task_threshold_ms=5m, no task is held back for dying young, and unless by
                                     host_silence_ms=75s, no task is PARTITIONED because its host is not offered
    tell tasks | sentences           show these too, from now on
    job web 0-2 old [5 new ...]      tasks that run, made outside of any update; the script now talks about this job
    on web                           talk about this job
    hosts on | off                   with no hosts, new tasks stay PENDING
    host a cpus=4 rack=r1, gone a    a host comes (in the place of the one that has room for all), or goes
    start new 0-2 [OPTION ...]       startJobUpdate to instances 0-2 of "new". Options: queue=1, batch=2, variable=1,2,
                                     autopause, watch=2000, pulse=10000, failures=0 (per instance), failed=0
                                     (instances), norollback, sla (slaAware), only=0-1, note=KEY:VALUE[,KEY:VALUE],
                                     user=NAME, "message"
    pause, resume, abort, rollback   [u1] [user=NAME] ["message"]
    pulse [u1]
    heartbeat WAIT [u1] [source=NAME] [link=URL] [user=NAME] ["reason"]      PROCEED, WAIT, PAUSE, ROLL_BACK, ABORT
    override 60s "why" [u1] [user=NAME]; pause-for 60s ["message"]   overrideHeartbeat (0 ends it), pauseJobUpdateFor
    retry 0-1 "why" [u1]; skip 2 "why"                  retryInstances, skipInstances
    explain [u1]                     why it is not moving
    quota 8                          so many cores for production tasks of the role
    create 3 old [cpus=2 tier=preferred priority=1 limit=rack:1 patience=10m]
                                     createJob; the same options after `start`. `patience` with a silent host: how long
                                     until its tasks begin elsewhere, or `ever`
    kill [0-1], restart-shards 0-1, add-instances 0 2     the requests of those names
    cron "*/5 * * * *" 2 old [kill|cancel] [replace]   scheduleCronJob or replaceCronTemplate: two instances of "old"
    deschedule, start-cron           descheduleCronJob, startCronJob
    show-cron                        where its runs stand
    maintain a, drain a, sla-drain a percent=95 ...    hosts taken out of service; see `testing/maintaining.py`
    run 0-2                          the engine starts these tasks and they run
    swap 0-2                         the engine ends them as it was told, and runs what follows
    obey                             the engine does all that it was told of the job's tasks
    exit 0 FAILED ["why"]            the engine reports an end
    report 0 PARTITIONED ["why"]     the engine reports some other state
    move 0 DRAINING                  somebody brings a task to a state by hand
    wait 2000                        also 2s, 5m, 1h, 1d: turn the clock, stopping at every deadline
    step -5000                       the wall's clock jumps
    finish [beating]                 the engine does what it is told until the update can go no further; `beating`:
                                     with a heartbeat before everything
    restart [60s]                    the scheduler dies, and the next one, so much later, knows what was durable
    prune                            history is pruned
    show                             the update's status and the job's tasks

Update commands are about the last update of the job unless they name one. `#` begins a comment line; comments stand
before the command they speak of. `python -m scheduler.testing.script FILE...` compares, `--write` writes anew.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from difflib import unified_diff
from pathlib import Path
from typing import Any

import attrs

from scheduler.contracts import Entry
from scheduler.core import jobs, pruning
from scheduler.core.answers import Answer
from scheduler.core.effects import Effect
from scheduler.core.policy import OfferOrder, Policy
from scheduler.core.queries import UpdateRequest
from scheduler.core.records import JobConfiguration, JobKey, Metadata, Task
from scheduler.core.tasks import actions
from scheduler.core.transaction import Transaction
from scheduler.core.updates import requests, status as table
from scheduler.core.updates.records import JobUpdate, UpdateKey
from scheduler.core.validation import valid_config
from scheduler.testing.maintaining import Maintaining
from scheduler.testing.monitoring import Monitoring
from scheduler.testing.narration import NOBODY, Line, Narrator, version
from scheduler.testing.scheduling import Scheduling
from scheduler.testing.stage import Stage, service
from scheduler.testing.surrounding import Surrounding
from scheduler.testing.words import UNITS_MS, Options, ScriptError, ids, milliseconds, settings_from, split, wishes_from
from scheduler.testing.working import Working

MOST_STEPS = 500


class Script(Monitoring, Surrounding, Scheduling, Maintaining, Working):
    """Carries out commands on a stage of its own and writes down what comes of them."""

    def __init__(self, *, through_codec: bool = False) -> None:
        self.narrator = Narrator()
        self.lines: list[str] = []
        self.job = JobKey("www", "prod", "web")
        self._through_codec = through_codec
        self._policy = Policy(flapping_task_threshold_ms=0, host_silence_ms=100 * 366 * UNITS_MS["d"])
        self._stage: Stage | None = None
        self._quiet = False

    @property
    def stage(self) -> Stage:
        if self._stage is None:
            self._stage = Stage(self._policy, through_codec=self._through_codec)
            self._stage.on_entry = self._entry
            self._stage.on_effect = self._effect
        return self._stage

    def do(self, command: str) -> list[str]:
        """Carry out one command; returns the lines that came of it."""
        self.lines = []
        name, *words = split(command)
        action: Callable[..., Answer | None] | None = getattr(self, "do_" + name.replace("-", "_"), None)
        if action is None:
            raise ScriptError(f"{command!r}: no such command")
        try:
            answer = action(*words)
        except (TypeError, ValueError, KeyError, IndexError) as error:
            raise ScriptError(f"{command!r}: {error!r}") from error
        if answer is not None:
            self.lines.insert(0, self._line(self.narrator.of_answer(answer)))
        return self.lines

    # --- telling ---

    def _line(self, text: str) -> str:
        return f"  {self.stage.clock.wall_ms():>10}  {text}"

    def note(self, text: str) -> None:
        self.lines.append(self._line(text))

    def _tell(self, line: Line) -> None:
        if not self._quiet:
            elsewhere = "" if line.job in (None, self.job) else f"{line.job.name if line.job else ''}: "
            self.lines.append(self._line(elsewhere + line.text))

    def _entry(self, entry: Entry) -> None:
        for line in self.narrator.of_entry(entry):
            self._tell(line)

    def _effect(self, effect: Effect) -> None:
        for line in self.narrator.of_effect(effect):
            self._tell(line)

    # --- who is meant ---

    def key(self, name: str | None = None) -> UpdateKey:
        if name is not None:
            number = int(name.removeprefix("u"))
            known = self.narrator.updates
            return known[number - 1] if number <= len(known) else UpdateKey(self.job, f"unknown-{name}")
        mine = [key for key in self.narrator.updates if key.job == self.job]
        return mine[-1] if mine else UpdateKey(self.job, "unknown")

    def update(self) -> JobUpdate | None:
        return self.stage.state.updates.get(self.key())

    def task(self, instance: int) -> Task:
        task = self.stage.state.tasks.active.get(self.job, {}).get(instance)
        if task is None:
            raise ScriptError(f"instance {instance} of {self.job} has no active task")
        return task

    def contents(self) -> dict[JobKey, dict[int, str]]:
        """Which configuration runs where: what an update is judged by in the end."""
        active = self.stage.state.tasks.active
        return {job: {i: version(t.config) for i, t in sorted(rows.items())} for job, rows in active.items()}

    # --- the scene ---

    def do_policy(self, *changes: str) -> None:
        if self._stage is not None:
            raise ScriptError("policy comes first of all")
        words: dict[str, object] = {"on": True, "off": False, **OfferOrder.__members__}
        pairs = (change.split("=") for change in changes)
        values: dict[str, Any] = {k: words[v] if v in words else milliseconds(v) for k, v in pairs}
        self._policy = attrs.evolve(self._policy, **values)

    def do_tell(self, what: str) -> None:
        setattr(self.narrator, f"with_{what}", True)

    def do_on(self, name: str) -> None:
        self.job = JobKey("www", "prod", name)

    def do_job(self, name: str, *parts: str) -> None:
        self.do_on(name)

        def make(tx: Transaction) -> None:
            for instances, config in zip(parts[::2], parts[1::2], strict=True):
                wanted = valid_config(tx.policy, service(self.job, config), 1)
                for instance in ids(instances):
                    actions.create(tx, wanted, instance)

        self._quiet = True
        self.stage.ask(make)
        if self.stage.hosts:
            self.do_run(",".join(parts[::2]))
        self._quiet = False

    # --- requests ---

    def do_start(self, config: str, instances: str, *words: str) -> Answer:
        options = Options(list(words))
        wanted = ids(instances) if instances != "none" else []
        count = len(wanted)
        if wanted != list(range(count)):
            raise ScriptError("an update is always to instances 0 to n")
        settings = settings_from(options)
        wanted_config = wishes_from(service(self.job, config), options)
        notes = options.take("note")
        metadata = tuple(Metadata(*note.split(":", 1)) for note in notes.split(",") if note)
        user = options.take("user", NOBODY)
        options.done()
        request = UpdateRequest(wanted_config, count, settings, metadata)
        return self.stage.ask(requests.start, request, user, options.message)

    def _about_update(self, decision: Callable[..., Answer], words: tuple[str, ...]) -> Answer:
        key, options = self._named(words)
        user = options.take("user", NOBODY)
        options.done()
        return self.stage.ask(decision, key, user, options.message)

    def do_pause(self, *words: str) -> Answer:
        return self._about_update(requests.pause, words)

    def do_resume(self, *words: str) -> Answer:
        return self._about_update(requests.resume, words)

    def do_abort(self, *words: str) -> Answer:
        return self._about_update(requests.abort, words)

    def do_rollback(self, *words: str) -> Answer:
        return self._about_update(requests.rollback, words)

    def do_pulse(self, *words: str) -> Answer:
        return self.stage.ask(requests.pulse, self.key(*words))

    def do_create(self, count: str, config: str, *words: str) -> Answer:
        wanted = wishes_from(service(self.job, config), Options(list(words)))
        description = JobConfiguration(self.job, wanted, int(count))
        return self.stage.ask(jobs.create, description, NOBODY)

    def do_kill(self, instances: str = "") -> Answer:
        return self.stage.ask(jobs.kill, self.job, tuple(ids(instances)) if instances else (), NOBODY, None)

    def do_restart_shards(self, instances: str) -> Answer:
        return self.stage.ask(jobs.restart, self.job, tuple(ids(instances)), NOBODY)

    def do_add_instances(self, like: str, count: str) -> Answer:
        return self.stage.ask(jobs.add, self.job, int(like), int(count), NOBODY)

    # --- time and death ---

    def do_finish(self, beating: str = "") -> None:
        for _ in range(MOST_STEPS):
            if beating:
                self.stage.ask(requests.pulse, self.key())
            update = self.update()
            if update is None or update.status not in table.ROLLING_STATES:
                return
            if not self.obey_once() and not self._next_deadline():
                return
        raise ScriptError(f"the update is not done after {MOST_STEPS} steps")

    def _next_deadline(self) -> bool:
        next_ms = self.stage.controller.deadlines.next_ms()
        if next_ms is not None:
            self.stage.advance(max(0, next_ms - self.stage.clock.mono_ms()))
        return next_ms is not None

    def do_wait(self, how_long: str) -> None:
        self.stage.advance(milliseconds(how_long))

    def do_step(self, by_ms: str) -> None:
        self.stage.clock.step_wall(int(by_ms))

    def do_restart(self, after: str = "0") -> None:
        self.stage.clock.advance(milliseconds(after))
        self.stage.restart()

    def do_prune(self) -> None:
        for decision, left in pruning.steps(self.stage.state):
            self.stage.ask(decision, left)

    def do_show(self) -> None:
        update = self.update()
        if update is not None:
            self.lines.append(self._line(f"update {self.narrator.name_of(update.key)} {update.status.name}"))
        tasks = sorted(self.stage.state.tasks.active.get(self.job, {}).items())
        rows = ", ".join(f"{i} {version(task.config)} {task.status.name}" for i, task in tasks)
        self.lines.append(self._line(f"tasks {rows or 'none'}"))


def replay(text: str, script: Script | None = None) -> str:
    """The transcript as it comes out now: comments and commands as they stand, with what comes of the commands."""
    script = script or Script()
    out: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("> "):
            out.append(line)
            try:
                out += script.do(line[2:])
            except ScriptError as error:
                raise ScriptError(f"line {number}: {error}") from error
        elif not line.strip() or line.startswith("#"):
            out.append(line)
        elif not line.startswith(" "):
            raise ScriptError(f"line {number}: neither a command, nor a comment, nor what came of one: {line!r}")
    return "\n".join(out) + "\n"


def commands(text: str) -> list[str]:
    return [line[2:] for line in text.splitlines() if line.startswith("> ")]


def main(arguments: list[str]) -> int:
    write = "--write" in arguments
    differing = 0
    for path in (Path(name) for name in arguments if name != "--write"):
        was = path.read_text(encoding="utf-8")
        try:
            now = replay(was)
        except ScriptError as error:
            sys.stdout.write(f"{path}, {error}\n")
            return 2
        if was == now:
            continue
        differing += 1
        sys.stdout.writelines(unified_diff(was.splitlines(True), now.splitlines(True), str(path), "now"))
        if write:
            path.write_text(now, encoding="utf-8")
    return int(differing > 0 and not write)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
