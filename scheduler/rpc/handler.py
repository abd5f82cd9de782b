"""Every method of the interface: its arguments as records, the core function that answers it.

A row of `METHODS` gets the arguments struct, the core's port and the caller's name, and returns the core's ticket.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from attrs import frozen

from scheduler.contracts import Archive, EventStream, Ticket
from scheduler.core import administration, jobs, quota, views
from scheduler.core.answers import OK, Answer, Refused, error
from scheduler.core.cron import requests as cron
from scheduler.core.maintenance import requests as maintenance
from scheduler.core.records import TaskStatus
from scheduler.core.updates import explain, requests
from scheduler.rpc import archiving, from_thrift, thesan, to_thrift, watching
from scheduler.rpc.from_thrift.values import enum_value, present
from scheduler.rpc.port import Core

Method = Callable[[Any, Core, str], Ticket]
Later = Callable[[], Awaitable[tuple[Answer, Any]]]


@frozen
class Reply:
    """What a method answers, and the offset that must be durable before anybody sees it.

    `struct` is what a method returns that does not answer with a Response. With `later` the answer is not known yet:
    it comes back with the answer, and with its struct; `at_once` too, without waiting for anything. A `later` without
    `at_once` does something, and is to be awaited to its end whoever still wants the answer.
    """

    offset: int
    answer: Answer
    struct: Any = None
    later: Later | None = None
    at_once: Later | None = None


class Handler:
    """Answers calls. `state` tells how this server is, for getServerState; `events` is what watchEvents reads;
    `archive` keeps copies of the state.
    """

    def __init__(
        self,
        core: Core,
        server: to_thrift.ServerInfo,
        state: Callable[[], to_thrift.ServerState],
        events: EventStream | None = None,
        archive: Archive | None = None,
    ) -> None:
        self.core = core
        self.server = server
        self._state = state
        self._events = events
        self._archive = archive

    def call(self, method: str, args: Any, user: str) -> Reply:
        """Answer one call of a known method. Refusals are answers; any other exception is a mistake of ours."""
        if method == "getServerState":
            return Reply(self.core.durable_offset, OK, to_thrift.server_state(self._state()))
        if method == "watchEvents" and self._events is not None:
            watch = partial(watching.watch, self._events, args)
            return Reply(self.core.durable_offset, OK, later=watch, at_once=partial(watch, wait=False))
        try:
            if self._archive is not None and method in archiving.WAITING:
                return self._waiting(method, args, self._archive)
            if self._archive is not None and method in archiving.AT_ONCE:
                ticket = archiving.AT_ONCE[method](args, self.core, self._archive)
            else:
                ticket = METHODS[method](args, self.core, user)
        except Refused as refused:
            ticket = Ticket(self.core.durable_offset, refused.answer)
        struct = thesan.as_struct(method, ticket.answer) if thesan.is_own(method) else None
        return Reply(ticket.offset, ticket.answer, struct)

    def _waiting(self, method: str, args: Any, archive: Archive) -> Reply:
        leads = self.core.read(archiving.leads)
        if not leads.answer.ok:
            return Reply(leads.offset, leads.answer)

        async def later() -> tuple[Answer, Any]:
            try:
                answer = await archiving.WAITING[method](args, archive)
            except Refused as refused:
                answer = refused.answer
            return answer, to_thrift.response(answer, self.server)

        # Nothing was read, so there is no offset to wait for; and what is being done could not be taken back by one.
        return Reply(self.core.durable_offset, OK, later=later)


# --- reads -----------------------------------------------------------------------------------------------------------


def _get_role_summary(args: Any, core: Core, user: str) -> Ticket:
    return core.read_logged(views.role_summaries)


def _get_job_summary(args: Any, core: Core, user: str) -> Ticket:
    return core.read_logged(views.job_summaries, args.role)


def _get_tasks_status(args: Any, core: Core, user: str) -> Ticket:
    return core.read_logged(views.tasks, from_thrift.task_query(args.query), True)


def _get_tasks_without_configs(args: Any, core: Core, user: str) -> Ticket:
    return core.read_logged(views.tasks, from_thrift.task_query(args.query), False)


def _get_pending_reason(args: Any, core: Core, user: str) -> Ticket:
    return core.read(views.pending_reasons, from_thrift.task_query(args.query))


def _get_config_summary(args: Any, core: Core, user: str) -> Ticket:
    return core.read_logged(views.config_summary, from_thrift.job_key(args.job))


def _get_jobs(args: Any, core: Core, user: str) -> Ticket:
    return core.read_logged(views.jobs, args.ownerRole)


def _populate_job_config(args: Any, core: Core, user: str) -> Ticket:
    return core.read_logged(views.populate, from_thrift.job_configuration(args.description))


def _get_job_update_summaries(args: Any, core: Core, user: str) -> Ticket:
    return core.read_logged(views.update_summaries, from_thrift.update_query(args.jobUpdateQuery))


def _get_job_update_details(args: Any, core: Core, user: str) -> Ticket:
    key = None if args.key is None else from_thrift.update_key(args.key)
    query = None if args.query is None else from_thrift.update_query(args.query)
    return core.read_now(explain.details, key, query, logged=views.update_details)


def _get_job_update_diff(args: Any, core: Core, user: str) -> Ticket:
    return core.read_logged(views.update_diff, from_thrift.update_request(args.request))


def _get_quota(args: Any, core: Core, user: str) -> Ticket:
    return core.read_logged(quota.get_quota, args.ownerRole or "")


def _get_tier_configs(args: Any, core: Core, user: str) -> Ticket:
    return core.read_logged(views.tier_configs)


# --- jobs ------------------------------------------------------------------------------------------------------------


def _create_job(args: Any, core: Core, user: str) -> Ticket:
    return core.write(jobs.create, from_thrift.job_configuration(args.description), user)


def _kill_tasks(args: Any, core: Core, user: str) -> Ticket:
    ids = from_thrift.instance_ids(args.instances)
    return core.write(jobs.kill, from_thrift.job_key(args.job), ids, user, from_thrift.message(args.message))


def _restart_shards(args: Any, core: Core, user: str) -> Ticket:
    return core.write(jobs.restart, from_thrift.job_key(args.job), from_thrift.instance_ids(args.shardIds), user)


def _add_instances(args: Any, core: Core, user: str) -> Ticket:
    job, instance = (None, 0) if args.key is None else (args.key.jobKey, args.key.instanceId or 0)
    return core.write(jobs.add, from_thrift.job_key(job), instance, args.count or 0, user)


def _change_cron_template(decide: Callable[..., Answer], argument: str) -> Method:
    def method(args: Any, core: Core, user: str) -> Ticket:
        return core.write(decide, from_thrift.job_configuration(getattr(args, argument)), user)

    return method


def _about_cron_job(decide: Callable[..., Answer]) -> Method:
    def method(args: Any, core: Core, user: str) -> Ticket:
        return core.write(decide, from_thrift.job_key(args.job), user)

    return method


# --- updates ---------------------------------------------------------------------------------------------------------


def _start_job_update(args: Any, core: Core, user: str) -> Ticket:
    request = from_thrift.update_request(args.request)
    return core.write(requests.start, request, user, from_thrift.message(args.message))


def _change_update(decide: Callable[..., Answer]) -> Method:
    def method(args: Any, core: Core, user: str) -> Ticket:
        return core.write(decide, from_thrift.update_key(args.key), user, from_thrift.message(args.message))

    return method


def _pulse_job_update(args: Any, core: Core, user: str) -> Ticket:
    return core.pulse(from_thrift.update_key(args.key))


# --- administration --------------------------------------------------------------------------------------------------


def _set_quota(args: Any, core: Core, user: str) -> Ticket:
    return core.write(quota.set_quota, args.ownerRole or "", from_thrift.quota_resources(args.quota), user)


def _force_task_state(args: Any, core: Core, user: str) -> Ticket:
    status = enum_value(TaskStatus, present(args.status, "status"), "status")
    return core.write(administration.force, args.taskId or "", status, user)


def _prune_tasks(args: Any, core: Core, user: str) -> Ticket:
    return core.write(administration.prune, from_thrift.task_query(args.query), user)


def _reconcile_explicitly(args: Any, core: Core, user: str) -> Ticket:
    return core.write(administration.reconcile_explicitly, present(args.settings, "settings").batchSize, user)


def _reconcile_implicitly(args: Any, core: Core, user: str) -> Ticket:
    return core.write(administration.reconcile_implicitly, user)


def _about_hosts(decide: Callable[..., Answer]) -> Method:
    def method(args: Any, core: Core, user: str) -> Ticket:
        return core.write(decide, from_thrift.host_names(args.hosts), user)

    return method


def _sla_drain_hosts(args: Any, core: Core, user: str) -> Ticket:
    policy = from_thrift.sla_policy(present(args.defaultSlaPolicy, "defaultSlaPolicy"), "defaultSlaPolicy")
    return core.write(maintenance.sla_drain, from_thrift.host_names(args.hosts), policy, args.timeoutSecs, user)


def _maintenance_status(args: Any, core: Core, user: str) -> Ticket:
    return core.read(maintenance.status, from_thrift.host_names(args.hosts))


# --- the table -------------------------------------------------------------------------------------------------------


def _no_archive(args: Any, core: Core, user: str) -> Ticket:
    return Ticket(core.durable_offset, error("there is nothing here that keeps copies of the state"))


METHODS: Final[dict[str, Method]] = {
    "getRoleSummary": _get_role_summary,
    "getJobSummary": _get_job_summary,
    "getTasksStatus": _get_tasks_status,
    "getTasksWithoutConfigs": _get_tasks_without_configs,
    "getPendingReason": _get_pending_reason,
    "getConfigSummary": _get_config_summary,
    "getJobs": _get_jobs,
    "populateJobConfig": _populate_job_config,
    "getJobUpdateSummaries": _get_job_update_summaries,
    "getJobUpdateDetails": _get_job_update_details,
    "getJobUpdateDiff": _get_job_update_diff,
    "getQuota": _get_quota,
    "getTierConfigs": _get_tier_configs,
    "createJob": _create_job,
    "killTasks": _kill_tasks,
    "restartShards": _restart_shards,
    "addInstances": _add_instances,
    "scheduleCronJob": _change_cron_template(cron.schedule, "description"),
    "replaceCronTemplate": _change_cron_template(cron.replace, "config"),
    "descheduleCronJob": _about_cron_job(cron.deschedule),
    "startCronJob": _about_cron_job(cron.start),
    "startJobUpdate": _start_job_update,
    "pauseJobUpdate": _change_update(requests.pause),
    "resumeJobUpdate": _change_update(requests.resume),
    "abortJobUpdate": _change_update(requests.abort),
    "rollbackJobUpdate": _change_update(requests.rollback),
    "pulseJobUpdate": _pulse_job_update,
    "setQuota": _set_quota,
    "forceTaskState": _force_task_state,
    "pruneTasks": _prune_tasks,
    "startMaintenance": _about_hosts(maintenance.start),
    "drainHosts": _about_hosts(maintenance.drain),
    "slaDrainHosts": _sla_drain_hosts,
    "maintenanceStatus": _maintenance_status,
    "endMaintenance": _about_hosts(maintenance.end),
    "triggerExplicitTaskReconciliation": _reconcile_explicitly,
    "triggerImplicitTaskReconciliation": _reconcile_implicitly,
    **thesan.METHODS,
    **dict.fromkeys(archiving.NAMES, _no_archive),
}
"""Every method but getServerState, which is answered by the server, not by the core."""
