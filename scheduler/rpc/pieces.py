"""Answers as pieces of bytes that are joined, not encoded.

A configuration is encoded once for each protocol and stands in as many answers as it has tasks; what is a task's own is
encoded once for each of its records. Both are made when somebody first reads them, never on a transition, and are gone
with the record. What an answer is made of comes as an iterator of batches, each short to make: the caller decides how
many of them it makes at once.

The pieces are made of the same structs as any other answer (`to_thrift`), a part of their fields at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

from scheduler.core import queries
from scheduler.core.records import JobConfiguration, Task, TaskConfig
from scheduler.core.updates.records import InstanceConfigs, Instructions, JobUpdate
from scheduler.interface import aurora
from scheduler.rpc.by_identity import ByIdentity
from scheduler.rpc.messages import Codec
from scheduler.rpc.shapes import Field, field_of
from scheduler.rpc.to_thrift import jobs, tasks, updates
from scheduler.rpc.untracked import untrack

BATCH: Final = 100
"""Records in one batch."""

Batch = list[bytes]
R = TypeVar("R")


def _branch(name: str, struct: Any, listed: str) -> tuple[Field, Field]:
    """A branch of `Result`, and the one list in its struct."""
    return field_of(aurora.Result, name), field_of(struct, listed)


_TASKS: Final = _branch("scheduleStatusResult", aurora.ScheduleStatusResult, "tasks")
_STAGED: Final = _branch("queryRecoveryResult", aurora.QueryRecoveryResult, "tasks")
_JOBS: Final = _branch("getJobsResult", aurora.GetJobsResult, "configs")
_JOB_SUMMARIES: Final = _branch("jobSummaryResult", aurora.JobSummaryResult, "summaries")
_UPDATES: Final = _branch("getJobUpdateSummariesResult", aurora.GetJobUpdateSummariesResult, "updateSummaries")
_DETAILS: Final = _branch("getJobUpdateDetailsResult", aurora.GetJobUpdateDetailsResult, "detailsList")
_REASONS: Final = _branch("getPendingReasonResult", aurora.GetPendingReasonResult, "reasons")
_ROLES: Final = _branch("roleSummaryResult", aurora.RoleSummaryResult, "summaries")

_ASSIGNED: Final = field_of(aurora.ScheduledTask, "assignedTask")
_CONFIG: Final = field_of(aurora.AssignedTask, "task")
_JOB_CONFIG: Final = field_of(aurora.JobConfiguration, "taskConfig")
_JOB: Final = field_of(aurora.JobSummary, "job")
_ONE: Final = field_of(aurora.GetJobUpdateDetailsResult, "details")
_UPDATE: Final = field_of(aurora.JobUpdateDetails, "update")
_EVENTS: Final = field_of(aurora.JobUpdateDetails, "updateEvents")
_INSTANCE_EVENTS: Final = field_of(aurora.JobUpdateDetails, "instanceEvents")
_SUMMARY: Final = field_of(aurora.JobUpdate, "summary")
_INSTRUCTIONS: Final = field_of(aurora.JobUpdate, "instructions")
_INITIAL: Final = field_of(aurora.JobUpdateInstructions, "initialState")
_DESIRED: Final = field_of(aurora.JobUpdateInstructions, "desiredState")
_TASK: Final = field_of(aurora.InstanceTaskConfig, "task")

_RECORDS: Final[dict[type, Callable[[Any], Sequence[Any]]]] = {
    queries.Tasks: lambda result: result.tasks,
    queries.StagedTasks: lambda result: result.tasks,
    queries.Jobs: lambda result: result.configs,
    queries.JobSummaries: lambda result: result.summaries,
    queries.UpdateSummaries: lambda result: result.updates,
    queries.PendingReasons: lambda result: result.reasons,
    queries.RoleSummaries: lambda result: result.summaries,
}


class Pieces:
    """The pieces of one protocol."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._element = codec.element_around
        self._whole: ByIdentity[TaskConfig, bytes] = ByIdentity(lambda config: codec.fields(jobs.task_config(config)))
        self._bare: ByIdentity[TaskConfig, bytes] = ByIdentity(
            lambda config: codec.fields(jobs.task_config(config, with_data=False))
        )
        self._tasks: ByIdentity[Task, tuple[bytes, bytes]] = ByIdentity(self._around_config)
        self._summaries: ByIdentity[JobUpdate, bytes] = ByIdentity(self._update_summary)
        self._instructions: ByIdentity[Instructions, tuple[bytes, ...]] = ByIdentity(
            lambda instructions: tuple(self._make_instructions(instructions))
        )
        self._makers: dict[type, Callable[[Any], Iterator[Batch]]] = {
            queries.Tasks: self._task_list,
            queries.StagedTasks: self._staged_tasks,
            queries.Jobs: self._job_list,
            queries.JobSummaries: self._job_summaries,
            queries.UpdateSummaries: self._update_summaries,
            queries.UpdateDetails: self._update_details,
            queries.PendingReasons: self._pending_reasons,
            queries.RoleSummaries: self._role_summaries,
        }

    def of(self, result: Any) -> Iterator[Batch] | None:
        """The fields of Aurora's `Result` for this result, in batches; None: it is to be encoded as a whole."""
        make = self._makers.get(type(result))
        return None if make is None else make(result)

    def batches(self, result: Any) -> int:
        """About how many batches `of` makes: what a part of them is of the whole."""
        if isinstance(result, queries.UpdateDetails):
            return 1 + sum(8 + len(update.instance_events) // BATCH for update in result.updates)
        return 2 + len(_RECORDS[type(result)](result)) // BATCH

    def held(self) -> dict[str, int]:
        """How many records of each kind there are pieces of."""
        return {
            "configs": len(self._whole) + len(self._bare),
            "tasks": len(self._tasks),
            "updates": len(self._summaries),
            "instructions": len(self._instructions),
        }

    def _listed(
        self, branch: tuple[Field, Field], records: Sequence[R], batch: Callable[[Sequence[R]], Batch]
    ) -> Iterator[Batch]:
        """A branch of `Result` that has one list of structs."""
        untrack(records)
        outer, after = self._codec.nest(branch[0])
        head, tail = self._codec.listing(branch[1], len(records))
        yield [outer, head]
        yield from self._elements(batch(records[start : start + BATCH]) for start in range(0, len(records), BATCH))
        yield [tail, after]

    def _elements(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The elements of one list: the first of them does without what stands between two."""
        leading = self._codec.leading
        for batch in batches:
            if leading:
                batch[0] = batch[0][leading:]
                leading = 0
            yield batch

    # --- tasks and jobs

    def _task_list(self, result: queries.Tasks) -> Iterator[Batch]:
        config_of = self._whole if result.with_data else self._bare
        return self._listed(_TASKS, result.tasks, self._batch_of_tasks(config_of))

    def _staged_tasks(self, result: queries.StagedTasks) -> Iterator[Batch]:
        return self._listed(_STAGED, result.tasks, self._batch_of_tasks(self._whole))

    def _batch_of_tasks(self, config_of: ByIdentity[TaskConfig, bytes]) -> Callable[[Sequence[Task]], Batch]:
        around = self._tasks

        def batch(records: Sequence[Task]) -> Batch:
            parts: Batch = []
            for task in records:
                head, tail = around(task)
                parts += (head, config_of(task.config), tail)
            return parts

        return batch

    def _around_config(self, task: Task) -> tuple[bytes, bytes]:
        """A task as an element of a list, but for its configuration, which stands between the two."""
        codec = self._codec
        struct = tasks.without_config(task)
        assigned, struct.assignedTask = struct.assignedTask, None
        rest = codec.fields(struct)
        last = aurora.AssignedTask(assignedPorts=assigned.assignedPorts, instanceId=assigned.instanceId)
        assigned.assignedPorts = assigned.instanceId = None
        inner = codec.nest(_CONFIG, codec.fields(assigned), codec.fields(last))
        outer = codec.nest(_ASSIGNED, b"", rest)
        return self._element[0] + outer[0] + inner[0], inner[1] + outer[1] + self._element[1]

    def _job_list(self, result: queries.Jobs) -> Iterator[Batch]:
        def batch(records: Sequence[JobConfiguration]) -> Batch:
            return [part for job in records for part in self._job(job, *self._element)]

        return self._listed(_JOBS, result.configs, batch)

    def _job(self, job: JobConfiguration, before: bytes, after: bytes) -> Batch:
        codec = self._codec
        struct = jobs.without_config(job)
        if job.task_config is None:
            return [before, codec.fields(struct), after]
        last = codec.fields(aurora.JobConfiguration(instanceCount=struct.instanceCount))
        struct.instanceCount = None
        head, tail = codec.nest(_JOB_CONFIG, codec.fields(struct), last)
        return [before, head, self._whole(job.task_config), tail, after]

    def _job_summaries(self, result: queries.JobSummaries) -> Iterator[Batch]:
        codec = self._codec

        def batch(records: Sequence[queries.JobSummary]) -> Batch:
            parts: Batch = []
            for summary in records:
                rest = codec.fields(jobs.without_job(summary))
                head, tail = codec.nest(_JOB, b"", rest)
                parts += self._job(summary.job, self._element[0] + head, tail + self._element[1])
            return parts

        return self._listed(_JOB_SUMMARIES, result.summaries, batch)

    # --- updates

    def _update_summary(self, update: JobUpdate) -> bytes:
        return self._codec.fields(updates.update_summary(update))

    def _update_summaries(self, result: queries.UpdateSummaries) -> Iterator[Batch]:
        def batch(records: Sequence[JobUpdate]) -> Batch:
            before, after = self._element
            return [part for update in records for part in (before, self._summaries(update), after)]

        return self._listed(_UPDATES, result.updates, batch)

    def _update_details(self, result: queries.UpdateDetails) -> Iterator[Batch]:
        codec = self._codec
        outer, after = codec.nest(_DETAILS[0])
        yield [outer]
        if result.single:
            (update,) = result.updates
            rest = codec.fields(aurora.GetJobUpdateDetailsResult(detailsList=[]))
            yield from self._details(update, *codec.nest(_ONE, b"", rest))
        else:
            head, tail = codec.listing(_DETAILS[1], len(result.updates))
            yield [head]
            yield from self._elements(
                batch for update in result.updates for batch in self._details(update, *self._element)
            )
            yield [tail]
        yield [after]

    def _details(self, update: JobUpdate, before: bytes, after: bytes) -> Iterator[Batch]:
        """The struct of one update: summary, instructions and the two histories."""
        codec = self._codec
        head, tail = codec.nest(_SUMMARY)
        outer, inner = codec.nest(_UPDATE), codec.nest(_INSTRUCTIONS, head + self._summaries(update) + tail)
        yield [before, outer[0], inner[0], *self._instructions(update.instructions), inner[1], outer[1]]
        yield from self._events(_EVENTS, update.events, updates.update_event)
        yield from self._events(_INSTANCE_EVENTS, update.instance_events, updates.instance_event)
        yield [after]

    def _events(self, field: Field, events: Any, write: Callable[[Any], Any]) -> Iterator[Batch]:
        codec = self._codec
        head, tail = codec.listing(field, len(events))
        yield [codec.separator, head]
        yield from self._elements(
            [codec.element(codec.fields(write(event))) for event in events[start : start + BATCH]]
            for start in range(0, len(events), BATCH)
        )
        yield [tail]

    def _make_instructions(self, instructions: Instructions) -> Iterator[bytes]:
        codec = self._codec
        head, tail = codec.listing(_INITIAL, len(instructions.initial))
        yield head
        for index, part in enumerate(instructions.initial):
            before, after = self._element
            yield from self._instance_configs(part, before if index else before[codec.leading :], after)
        yield tail + codec.separator
        if instructions.desired is not None:
            yield from self._instance_configs(instructions.desired, *codec.nest(_DESIRED))
            yield codec.separator
        yield codec.fields(aurora.JobUpdateInstructions(settings=updates.update_settings(instructions.settings)))

    def _instance_configs(self, part: InstanceConfigs, before: bytes, after: bytes) -> Iterator[bytes]:
        codec = self._codec
        instances = codec.fields(updates.without_config(part))
        head, tail = codec.nest(_TASK, b"", instances)
        yield before + head
        yield self._whole(part.config)
        yield tail + after

    # --- lists of small structs that nothing is kept of

    def _pending_reasons(self, result: queries.PendingReasons) -> Iterator[Batch]:
        return self._listed(_REASONS, result.reasons, self._small(jobs.pending_reason))

    def _role_summaries(self, result: queries.RoleSummaries) -> Iterator[Batch]:
        return self._listed(_ROLES, result.summaries, self._small(jobs.role_summary))

    def _small(self, write: Callable[[R], Any]) -> Callable[[Sequence[R]], Batch]:
        codec = self._codec
        return lambda records: [codec.element(codec.fields(write(record))) for record in records]
