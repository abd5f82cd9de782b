"""What must always hold of a state. Run by tests and by the simulator after every step.

Each check yields sentences; none means all is well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from scheduler.core.records import ACTIVE_STATES, TERMINAL_STATES, JobKey, TaskConfig, TaskStatus
from scheduler.core.state import State
from scheduler.core.updates import status as table
from scheduler.core.updates.folding import MOST_OF_ONE
from scheduler.core.updates.notes import NO_NOTES
from scheduler.core.updates.records import InstanceAction, JobUpdate, Phase, UpdateStatus
from scheduler.core.updates.set_aside import LEFT_OUT, TAKEN_UP
from scheduler.core.updates.sla_kills import CHECKING, PASSED
from scheduler.core.updates.strategies import group_sizes

_FIRST = frozenset({UpdateStatus.ROLLING_FORWARD, UpdateStatus.ROLL_FORWARD_AWAITING_PULSE})


def broken(state: State, jobs: Iterable[JobKey] | None = None) -> list[str]:
    """All that does not hold; `jobs`: look at these only."""
    chosen = set(state.tasks.by_job) | set(state.updates.by_job) if jobs is None else set(jobs)
    found = [sentence for job in chosen for sentence in _of_job(state, job)]
    if jobs is None:
        found += _of_configs(state)
        found += _of_indexes(state)
        found += _of_ended(state)
        found += _of_hosts(state)
        found += [f"{key}: remarks on no update" for key in state.remarks if key not in state.updates]
        planned = {update.key for update in state.updates.active.values()}
        found += [f"{key}: a plan is kept, but it is not active" for key in state.updates.plans if key not in planned]
        found += _of_cron(state)
    return found


def _of_job(state: State, job: JobKey) -> Iterator[str]:
    seen: dict[int, str] = {}
    for task in state.tasks.by_job.get(job, {}).values():
        if task.status in ACTIVE_STATES:
            if task.instance_id in seen:
                yield f"{job}/{task.instance_id} has two active tasks: {seen[task.instance_id]} and {task.task_id}"
            seen[task.instance_id] = task.task_id
        if not task.events or task.events[-1].status is not task.status:
            yield f"{task.task_id}: status {task.status.name} is not that of its last event"
        if any(b.timestamp_ms < a.timestamp_ms for a, b in pairwise(task.events)):
            yield f"{task.task_id}: time goes backwards in its history"
        if task.host is None and task.status in ACTIVE_STATES - {TaskStatus.PENDING, TaskStatus.THROTTLED}:
            yield f"{task.task_id}: {task.status.name} without a host"
    if {i: t.task_id for i, t in state.tasks.active.get(job, {}).items()} != seen:
        yield f"{job}: the index of active tasks differs from the tasks"
    active = [u for u in state.updates.by_job.get(job, {}).values() if u.status in table.ACTIVE_UPDATE_STATES]
    if len(active) > 1:
        yield f"{job} has {len(active)} active updates"
    if state.updates.active.get(job) is not (active[0] if active else None):
        yield f"{job}: the index of active updates differs from the updates"
    for update in state.updates.by_job.get(job, {}).values():
        yield from _of_update(state, update)


def _of_update(state: State, update: JobUpdate) -> Iterator[str]:
    events = list(update.events)
    if events[0].status not in _FIRST:
        yield f"{update.key}: begins with {events[0].status.name}"
    for a, b in pairwise(events):
        if b.status not in table.ALLOWED[a.status]:
            yield f"{update.key}: {a.status.name} -> {b.status.name} is not in the table"
        if b.timestamp_ms < a.timestamp_ms:
            yield f"{update.key}: time goes backwards in its history"
    yield from _of_instance_events(update)
    yield from _of_notes(update)
    tally = state.progress.tally(update.key)
    if update.status in table.TERMINAL_UPDATE_STATES:
        if tally.rows:
            yield f"{update.key}: ended, but progress is kept"
        if update.key in state.pulses or update.key in state.beats:
            yield f"{update.key}: ended, but its heartbeat is kept"
        return
    phases = [row.phase for row in tally.rows.values()]
    counted = (len(tally.working), tally.failed, tally.succeeded, tally.skipped, tally.again)
    kinds = (Phase.WORKING, Phase.FAILED, Phase.SUCCEEDED, Phase.SKIPPED, Phase.AGAIN)
    if counted != tuple(map(phases.count, kinds)):
        yield f"{update.key}: the tally {counted} differs from the rows"
    yield from _of_group(state, update, len(tally.working), tally.failed)


def _of_instance_events(update: JobUpdate) -> Iterator[str]:
    """Each action once for each time that the instance was taken up; a person's word about it stands apart, and so does
    what its SLA says: CHECKING once, and after it a PASSED for each task that was ended. Of an instance with many
    events the first may have given way."""
    recorded: set[tuple[int, InstanceAction]] = set()
    checking: set[tuple[int, InstanceAction]] = set()
    for event in update.instance_events:
        said = event.message or ""
        if said.startswith(TAKEN_UP):
            recorded -= {(event.instance_id, action) for action in InstanceAction}
            checking -= {(event.instance_id, action) for action in InstanceAction}
        if said in (CHECKING, PASSED):
            out_of_turn = ((event.instance_id, event.action) in checking) is (said == CHECKING)
            if out_of_turn and not (said == PASSED and _may_be_cut(update, event.instance_id)):
                yield f"{update.key}: instance {event.instance_id} records {said!r} out of turn"
            checking.add((event.instance_id, event.action))
            continue
        if (event.instance_id, event.action) in recorded and not said.startswith(LEFT_OUT):
            yield f"{update.key}: an instance action is recorded twice"
        recorded.add((event.instance_id, event.action))


def _may_be_cut(update: JobUpdate, instance: int) -> bool:
    return sum(event.instance_id == instance for event in update.instance_events) >= MOST_OF_ONE


def _of_notes(update: JobUpdate) -> Iterator[str]:
    notes = update.notes
    if update.status in table.TERMINAL_UPDATE_STATES and notes != NO_NOTES:
        yield f"{update.key}: ended, but notes are kept"
    if update.status not in table.PAUSED_STATES and notes.pause is not None:
        yield f"{update.key}: {update.status.name}, but a pause is noted"
    clock_runs = update.status in table.ROLLING_STATES and update.wishes.progress_deadline_ms > 0
    if clock_runs != (notes.progress_from_ms > 0):
        yield f"{update.key}: its progress clock {'stands' if clock_runs else 'runs'} in {update.status.name}"
    if update.status in table.AWAITING_PULSE_STATES:
        if notes.override is not None:
            yield f"{update.key}: waits for a heartbeat, but an override is noted"
        if not update.is_coordinated and notes.hold is None:
            yield f"{update.key}: waits for a heartbeat that nobody asked for"
    if update.status in table.ROLLING_STATES and notes.hold is not None and notes.override is None:
        yield f"{update.key}: rolls on though its monitor said wait"


def _of_group(state: State, update: JobUpdate, working: int, failed: int) -> Iterator[str]:
    if working > max(group_sizes(update.settings.strategy)):
        yield f"{update.key}: {working} instances in progress, more than its group"
    if failed > update.settings.max_failed_instances and update.status in table.ROLLING_STATES:
        yield f"{update.key}: {failed} instances failed, more than it tolerates, and it rolls on"


def _of_configs(state: State) -> Iterator[str]:
    uses: dict[bytes, int] = {}
    for task in state.tasks.values():
        digest = state.configs.digests.get(task.config)
        if digest is None or state.configs[digest] is not task.config:
            yield f"{task.task_id}: its configuration is not the one that is kept"
            continue
        uses[digest] = uses.get(digest, 0) + 1
    for update in state.updates.values():
        parts = (*update.instructions.initial, *filter(None, (update.instructions.desired,)))
        for part in parts:
            digest = state.configs.digests.get(part.config)
            if digest is None:
                yield f"{update.key}: a configuration is not kept"
                continue
            uses[digest] = uses.get(digest, 0) + 1
    for cron in state.cron_jobs.values():
        digest = state.configs.digests.get(cron.config)
        if digest is None:
            yield f"{cron.key}: the configuration of its cron template is not kept"
            continue
        uses[digest] = uses.get(digest, 0) + 1
    if uses != dict(state.config_uses.items()):
        yield "the uses of configurations are miscounted"
    if set(uses) != set(state.configs):
        yield "configurations are kept that nobody uses, or the other way round"


def _of_indexes(state: State) -> Iterator[str]:
    by_status = sum(len(rows) for rows in state.tasks.by_status.values())
    if by_status != len(state.tasks):
        yield f"{by_status} tasks by status, {len(state.tasks)} in all"
    counts: dict[TaskConfig, int] = {}
    for task in state.tasks.values():
        if task.is_active:
            counts[task.config] = counts.get(task.config, 0) + 1
    counted = (row for jobs in state.tasks.counts.values() for rows in jobs.values() for row in rows.items())
    if counts != dict(counted):
        yield "the counts of active tasks by configuration differ from the tasks"
    on_hosts = {t.task_id for t in state.tasks.values() if t.host is not None and t.status in ACTIVE_STATES}
    if on_hosts != {task_id for usage in state.tasks.by_host.values() for task_id in usage.tasks}:
        yield "the index of tasks by host differs from the tasks"


def _of_ended(state: State) -> Iterator[str]:
    tasks = {(t.job, t.latest_event_ms, t.task_id) for t in state.tasks.values() if t.status in TERMINAL_STATES}
    if set(state.tasks.ended.rows()) != tasks:
        yield "the index of ended tasks differs from the tasks"
    ended = (u for u in state.updates.values() if u.status in table.TERMINAL_UPDATE_STATES)
    if set(state.updates.ended.rows()) != {(u.key.job, u.last_modified_ms, u.key.id) for u in ended}:
        yield "the index of ended updates differs from the updates"


def _of_hosts(state: State) -> Iterator[str]:
    for name, usage in state.tasks.by_host.items():
        ports = [port for task in usage.tasks.values() for _, port in task.ports]
        if len(ports) != len(set(ports)):
            yield f"host {name}: a port is given twice"


def _of_cron(state: State) -> Iterator[str]:
    for key, cron in state.cron_jobs.items():
        if cron.runs.waiting_ms and not state.tasks.active.get(key):
            yield f"{key}: a cron run waits for tasks that are gone"
        if key in state.updates.active:
            yield f"{key}: a cron job is being updated"
    if set(state.next_cron_runs) - set(state.cron_jobs):
        yield "a next run is kept of a cron job that is gone"
