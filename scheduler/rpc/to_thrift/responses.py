"""The envelope every answer leaves in, and which branch of `Result` a result record belongs to.

A method that has a result always sends its branch, an empty one too: clients take it for granted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import frozen

from scheduler.core import queries
from scheduler.core.answers import Answer
from scheduler.interface import aurora, thesan
from scheduler.rpc.to_thrift import jobs, tasks, updates
from scheduler.rpc.to_thrift.keys import job_key, update_key


@frozen
class ServerInfo:
    """Who answers; stands in every response."""

    cluster_name: str
    stats_url_prefix: str = ""


@frozen
class ServerState:
    """What getServerState tells."""

    version: str
    cluster_name: str
    started_timestamp_ms: int
    committed_offset: int
    epoch: int
    lineage: str
    active_updates: int
    active_tasks: int
    instance_id: str = ""


def response(answer: Answer, server: ServerInfo) -> Any:
    """An answer in its envelope: serverInfo and the list of details are always there."""
    return aurora.Response(
        responseCode=answer.code,
        serverInfo=aurora.ServerInfo(clusterName=server.cluster_name, statsUrlPrefix=server.stats_url_prefix),
        result=None if answer.result is None else result(answer.result),
        details=[aurora.ResponseDetail(message=detail) for detail in answer.details],
    )


def server_state(state: ServerState) -> Any:
    return thesan.ServerState(
        version=state.version,
        clusterName=state.cluster_name,
        startedTimestampMs=state.started_timestamp_ms,
        committedOffset=state.committed_offset,
        epoch=state.epoch,
        lineage=state.lineage,
        activeUpdates=state.active_updates,
        activeTasks=state.active_tasks,
        instanceId=state.instance_id or None,
    )


def result(record: Any) -> Any:
    """A result record as the branch of `Result` it belongs to."""
    branch, write = _RESULTS[type(record)]
    return aurora.Result(**{branch: write(record)})


def _tasks(result: queries.Tasks) -> Any:
    found = [tasks.scheduled_task(task, with_data=result.with_data) for task in result.tasks]
    return aurora.ScheduleStatusResult(tasks=found)


def _staged_tasks(result: queries.StagedTasks) -> Any:
    return aurora.QueryRecoveryResult(tasks=[tasks.scheduled_task(task, with_data=True) for task in result.tasks])


def _backups(result: queries.Backups) -> Any:
    return aurora.ListBackupsResult(backups=list(result.ids))


def _jobs(result: queries.Jobs) -> Any:
    return aurora.GetJobsResult(configs=[jobs.job_configuration(job) for job in result.configs])


def _job_summaries(result: queries.JobSummaries) -> Any:
    return aurora.JobSummaryResult(summaries=[jobs.job_summary(summary) for summary in result.summaries])


def _role_summaries(result: queries.RoleSummaries) -> Any:
    return aurora.RoleSummaryResult(summaries=[jobs.role_summary(summary) for summary in result.summaries])


def _config_summary(result: queries.ConfigSummary) -> Any:
    groups = [jobs.config_group(group) for group in result.groups]
    return aurora.ConfigSummaryResult(summary=aurora.ConfigSummary(key=job_key(result.key), groups=groups))


def _pending_reasons(result: queries.PendingReasons) -> Any:
    reasons = [jobs.pending_reason(reason) for reason in result.reasons]
    return aurora.GetPendingReasonResult(reasons=reasons)


def _populated(result: queries.PopulatedConfig) -> Any:
    return aurora.PopulateJobResult(taskConfig=jobs.task_config(result.task_config))


def _quota_report(result: queries.QuotaReport) -> Any:
    return aurora.GetQuotaResult(
        quota=jobs.quota(result.quota),
        prodSharedConsumption=jobs.quota(result.prod_shared),
        nonProdSharedConsumption=jobs.quota(result.non_prod_shared),
        prodDedicatedConsumption=jobs.quota(result.prod_dedicated),
        nonProdDedicatedConsumption=jobs.quota(result.non_prod_dedicated),
    )


def _tier_configs(result: queries.TierConfigs) -> Any:
    return aurora.GetTierConfigResult(
        defaultTierName=result.default, tiers=[jobs.tier_config(tier) for tier in result.tiers]
    )


def _started_update(result: queries.StartedUpdate) -> Any:
    return aurora.StartJobUpdateResult(key=update_key(result.key), updateSummary=updates.started_summary(result))


def _update_summaries(result: queries.UpdateSummaries) -> Any:
    return aurora.GetJobUpdateSummariesResult(
        updateSummaries=[updates.update_summary(update) for update in result.updates]
    )


def _update_details(result: queries.UpdateDetails) -> Any:
    found = [updates.update_details(update) for update in result.updates]
    if result.single:
        return aurora.GetJobUpdateDetailsResult(details=found[0], detailsList=[])
    return aurora.GetJobUpdateDetailsResult(detailsList=found)


def _update_diff(result: queries.UpdateDiff) -> Any:
    return aurora.GetJobUpdateDiffResult(
        add=[jobs.config_group(group) for group in result.add],
        remove=[jobs.config_group(group) for group in result.remove],
        update=[jobs.config_group(group) for group in result.update],
        unchanged=[jobs.config_group(group) for group in result.unchanged],
    )


def _pulse(result: queries.PulseAnswer) -> Any:
    status = aurora.JobUpdatePulseStatus
    return aurora.PulseJobUpdateResult(status=status.FINISHED if result.finished else status.OK)


def _modes(branch: Any) -> Callable[[queries.HostModes], Any]:
    def write(result: queries.HostModes) -> Any:
        return branch(statuses=[aurora.HostStatus(host=host, mode=mode) for host, mode in result.modes])

    return write


_RESULTS: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    queries.Tasks: ("scheduleStatusResult", _tasks),
    queries.StagedTasks: ("queryRecoveryResult", _staged_tasks),
    queries.Backups: ("listBackupsResult", _backups),
    queries.Jobs: ("getJobsResult", _jobs),
    queries.JobSummaries: ("jobSummaryResult", _job_summaries),
    queries.RoleSummaries: ("roleSummaryResult", _role_summaries),
    queries.ConfigSummary: ("configSummaryResult", _config_summary),
    queries.PendingReasons: ("getPendingReasonResult", _pending_reasons),
    queries.PopulatedConfig: ("populateJobResult", _populated),
    queries.QuotaReport: ("getQuotaResult", _quota_report),
    queries.TierConfigs: ("getTierConfigResult", _tier_configs),
    queries.StartedUpdate: ("startJobUpdateResult", _started_update),
    queries.UpdateSummaries: ("getJobUpdateSummariesResult", _update_summaries),
    queries.UpdateDetails: ("getJobUpdateDetailsResult", _update_details),
    queries.UpdateDiff: ("getJobUpdateDiffResult", _update_diff),
    queries.HostModes: ("maintenanceStatusResult", _modes(aurora.MaintenanceStatusResult)),
    queries.MaintenanceStarted: ("startMaintenanceResult", _modes(aurora.StartMaintenanceResult)),
    queries.MaintenanceEnded: ("endMaintenanceResult", _modes(aurora.EndMaintenanceResult)),
    queries.HostsDrained: ("drainHostsResult", _modes(aurora.DrainHostsResult)),
    queries.PulseAnswer: ("pulseJobUpdateResult", _pulse),
}
