"""An update begun again: what an earlier one was to bring, from the job as it stands now."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from scheduler.client.connection import Connection
from scheduler.client.errors import CommandError, Usage
from scheduler.client.job_file import UPDATE_ID_METADATA
from scheduler.client.keys import Job, parse_job_argument
from scheduler.client.watch import get_details
from scheduler.interface import aurora


def parse_update(text: str) -> tuple[Job, str]:
    """From [cluster/]role/environment/name/ID. Raises Usage."""
    job, _, update_id = text.rpartition("/")
    if job.count("/") < 2 or not update_id:
        raise Usage(f"--from must be role/environment/name/ID, not {text!r}")
    return parse_job_argument(job), update_id


@frozen
class EarlierUpdate:
    """Stands where a job file stands: the same configuration, settings and metadata, asked for once more."""

    job: Job
    instructions: Any
    metadata: tuple[Any, ...]
    active: frozenset[int]
    """Instances of the job now."""

    def update_request(self, update_id: str, only_instances: tuple[int, ...] = ()) -> Any:
        """For startJobUpdate; `update_id` marks the request. `only_instances`: empty means those of then."""
        wanted = self.instructions.desiredState
        desired = _ids(wanted.instances) if wanted is not None else frozenset()
        initial = frozenset(i for part in self.instructions.initialState for i in _ids(part.instances))
        stay = desired | (self.active - (initial - desired))
        if wanted is None or not stay:
            raise CommandError("that update only removed instances; use `job kill` for those that are still there")
        settings = self.instructions.settings
        if only_instances:
            settings.updateOnlyTheseInstances = [aurora.Range(i, i) for i in only_instances]
        kept = [one for one in self.metadata if one.key != UPDATE_ID_METADATA]
        return aurora.JobUpdateRequest(
            taskConfig=wanted.task,
            instanceCount=max(stay) + 1,
            settings=settings,
            metadata=[*kept, aurora.Metadata(key=UPDATE_ID_METADATA, value=update_id)],
        )


def load_earlier(connection: Connection, text: str) -> EarlierUpdate:
    """The update that `--from` names. Raises Usage and CommandError."""
    job, update_id = parse_update(text)
    details = get_details(connection, aurora.JobUpdateKey(job=job.key(), id=update_id))
    query = aurora.TaskQuery(jobKeys=[job.key()], statuses=list(aurora.ACTIVE_STATES))
    tasks = connection.call("getTasksWithoutConfigs", query=query).result.scheduleStatusResult.tasks
    active = frozenset(task.assignedTask.instanceId for task in tasks)
    update = details.update
    return EarlierUpdate(job, update.instructions, tuple(update.summary.metadata or ()), active)


def _ids(ranges: Any) -> frozenset[int]:
    return frozenset(i for one in ranges for i in range(one.first, one.last + 1))
