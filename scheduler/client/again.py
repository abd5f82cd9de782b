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
    kept: Any = None
    """For an update that only removed: the configuration of the highest instance that stays, if any does."""

    def update_request(self, update_id: str, only_instances: tuple[int, ...] = ()) -> Any:
        """For startJobUpdate; `update_id` marks the request. `only_instances`: empty means those of then."""
        wanted = self.instructions.desiredState
        desired = _ids(wanted.instances) if wanted is not None else frozenset()
        stay = desired | (self.active - _removed(self.instructions))
        if not stay:
            raise CommandError("nothing of the job would stay, and an update leaves something; use `job kill`")
        only = only_instances
        if wanted is None:
            only = self._still_to_remove(max(stay), only_instances)
        settings = self.instructions.settings
        if only:
            settings.updateOnlyTheseInstances = [aurora.Range(i, i) for i in only]
        kept = [one for one in self.metadata if one.key != UPDATE_ID_METADATA]
        return aurora.JobUpdateRequest(
            taskConfig=self.kept if wanted is None else wanted.task,
            instanceCount=max(stay) + 1,
            settings=settings,
            metadata=[*kept, aurora.Metadata(key=UPDATE_ID_METADATA, value=update_id)],
        )

    def _still_to_remove(self, highest: int, only_instances: tuple[int, ...]) -> tuple[int, ...]:
        """The scope of an update that only removes, so that it brings the configuration of `highest` to no other one.

        When nothing is left to remove, `highest` itself: the server says that the job is unchanged.
        """
        left = sorted(self.active & _removed(self.instructions))
        if only_instances:
            left = [i for i in left if i in only_instances]
        below = [i for i in left if i < highest]
        if below:
            named = ",".join(map(str, below))
            raise CommandError(
                f"an update removes from the end only, and {highest} stays; use `job kill --instances {named}`"
            )
        return tuple(left) or (highest,)


def load_earlier(connection: Connection, text: str) -> EarlierUpdate:
    """The update that `--from` names. Raises Usage and CommandError."""
    job, update_id = parse_update(text)
    details = get_details(connection, aurora.JobUpdateKey(job=job.key(), id=update_id))
    groups = connection.call("getConfigSummary", job=job.key()).result.configSummaryResult.summary.groups
    configs = {i: group.config for group in groups for i in _ids(group.instances)}
    update = details.update
    stay = configs.keys() - _removed(update.instructions)
    kept = configs[max(stay)] if update.instructions.desiredState is None and stay else None
    return EarlierUpdate(job, update.instructions, tuple(update.summary.metadata or ()), frozenset(configs), kept)


def _removed(instructions: Any) -> frozenset[int]:
    """Instances that the update was to take away."""
    wanted = instructions.desiredState
    initial = frozenset(i for part in instructions.initialState for i in _ids(part.instances))
    return initial - (_ids(wanted.instances) if wanted is not None else frozenset())


def _ids(ranges: Any) -> frozenset[int]:
    return frozenset(i for one in ranges for i in range(one.first, one.last + 1))
