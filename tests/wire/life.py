"""One job's whole life, told by Apache's client: every method that is served is called, and its answer looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.wire import apache
from tests.wire.apache import api

OK, INVALID_REQUEST, ERROR, JOB_UPDATING = 1, 0, 2, 5
BAD_KEY = "The job key's role is 'a b'; allowed are 1 to 255 of A-Z, a-z, 0-9, _, - and ."


class Life:
    """A job of its own role on some server.

    `until_running` returns when its three tasks run, `until_at_rest` when none of its tasks is on its way in or out.
    """

    def __init__(
        self, client: Any, role: str, until_running: Callable[[], None], until_at_rest: Callable[[], None]
    ) -> None:
        self.called: set[str] = set()
        self._client = client
        self._role = role
        self._until_running = until_running
        self._until_at_rest = until_at_rest

    def __getattr__(self, method: str) -> Any:
        """A method of the client; its name is kept."""
        self.called.add(method)
        return getattr(self._client, method)

    def live(self) -> None:
        self._is_created()
        self._is_looked_at()
        self._grows()
        self._is_updated()
        self._shrinks()
        self._has_a_quota()
        self._is_copied()
        self._runs_by_a_schedule()
        self._is_administered()
        self._is_moved()

    # --- what is sent

    @property
    def _key(self) -> Any:
        return api("JobKey", role=self._role, environment="prod", name="hello")

    def _config(self, version: str = "v1") -> Any:
        amounts = ({"numCpus": 0.5}, {"ramMb": 64}, {"diskMb": 64}, {"namedPort": "http"})
        return api(
            "TaskConfig",
            job=self._key,
            isService=True,
            resources={api("Resource", **amount) for amount in amounts},
            executorConfig=api("ExecutorConfig", name="AuroraExecutor", data=DATA % version),
            metadata={api("Metadata", key="version", value=version)},
        )

    def _description(self) -> Any:
        return api("JobConfiguration", key=self._key, taskConfig=self._config(), instanceCount=3)

    def _update(self, version: str) -> Any:
        settings = api(
            "JobUpdateSettings",
            updateGroupSize=1,
            maxFailedInstances=0,
            minWaitInInstanceRunningMs=60_000,
            rollbackOnFailure=True,
            blockIfNoPulsesAfterMs=60_000,
        )
        return api("JobUpdateRequest", taskConfig=self._config(version), instanceCount=3, settings=settings)

    def _tasks(self, method: str = "getTasksStatus") -> list[Any]:
        query = api("TaskQuery", role=self._role, statuses=apache.constants().ACTIVE_STATES)
        found: list[Any] = getattr(self, method)(query).result.scheduleStatusResult.tasks
        return found

    # --- what happens

    def _is_created(self) -> None:
        tiers = self.getTierConfigs().result.getTierConfigResult
        assert "preemptible" in {tier.name for tier in tiers.tiers}
        populated = self.populateJobConfig(self._description()).result.populateJobResult.taskConfig
        assert populated.tier == tiers.defaultTierName
        assert populated.resources == self._config().resources
        response = self.createJob(self._description())
        assert (response.responseCode, texts(response), response.result) == (OK, [], None)
        assert response.serverInfo.clusterName == "test"
        again = self.createJob(self._description())
        assert (again.responseCode, texts(again)) == (INVALID_REQUEST, [f"Job already exists: {self._role}/prod/hello"])
        self._until_running()

    def _is_looked_at(self) -> None:
        tasks = self._tasks()
        assert sorted(task.assignedTask.instanceId for task in tasks) == [0, 1, 2]
        assert {task.assignedTask.task.executorConfig.data for task in tasks} == {DATA % "v1"}
        assert all(task.assignedTask.assignedPorts["http"] > 0 for task in tasks)
        bare = self._tasks("getTasksWithoutConfigs")
        assert {task.assignedTask.task.executorConfig.data for task in bare} == {None}
        reasons = self.getPendingReason(api("TaskQuery", role=self._role)).result.getPendingReasonResult.reasons
        assert reasons == set()
        (group,) = self.getConfigSummary(self._key).result.configSummaryResult.summary.groups
        assert group.instances == {api("Range", first=0, last=2)}
        roles = self.getRoleSummary().result.roleSummaryResult.summaries
        assert [(r.jobCount, r.cronJobCount) for r in roles if r.role == self._role] == [(1, 0)]
        (summary,) = self.getJobSummary(self._role).result.jobSummaryResult.summaries
        assert (summary.job.key, summary.stats.activeTaskCount) == (self._key, 3)
        jobs = self.getJobs(None).result.getJobsResult.configs
        assert [job.instanceCount for job in jobs if job.key == self._key] == [3]

    def _grows(self) -> None:
        assert self.restartShards(self._key, {0}).responseCode == OK
        assert self.restartShards(self._key, {7}).responseCode == INVALID_REQUEST
        assert self.addInstances(api("InstanceKey", jobKey=self._key, instanceId=1), 2).responseCode == OK
        assert sorted(task.assignedTask.instanceId for task in self._tasks()) == [0, 1, 2, 3, 4]
        assert self.getServerState().activeTasks >= 5

    def _status(self) -> str:
        query = api("JobUpdateQuery", jobKey=self._key)
        (summary,) = self.getJobUpdateSummaries(query).result.getJobUpdateSummariesResult.updateSummaries
        name: str = apache.ttypes().JobUpdateStatus._VALUES_TO_NAMES[summary.state.status]
        return name

    def _is_watched(self, key: Any) -> None:
        waits = self.heartbeat(api("Heartbeat", key=key, verdict=2, reason="errors", source="probe"))
        assert (waits.responseCode, waits.outcome, waits.waitsFor) == (OK, 4, "the next PROCEED")
        assert self._status() == "ROLL_FORWARD_AWAITING_PULSE"
        explained = self.explainUpdate(key)
        assert (explained.responseCode, explained.heldBy, explained.why) == (OK, 4, "errors")
        assert explained.sentence.startswith("Probe has said wait for")
        overridden = self.overrideHeartbeat(key, 60_000, "I look myself")
        assert (overridden.responseCode, overridden.status) == (OK, 0)
        assert self.overrideHeartbeat(key, 0, None).status == 9
        paused = self.pauseJobUpdateFor(key, 60_000, "lunch")
        assert (paused.responseCode, paused.status) == (OK, 2)
        assert paused.untilTimestampMs >= 60_000
        assert self.resumeJobUpdate(key, None).responseCode == OK
        refused = self.retryInstances(key, {0}, "again")
        assert (refused.responseCode, "only what failed" in refused.details[0]) == (INVALID_REQUEST, True)
        assert self.skipInstances(key, {77}, "gone").responseCode == INVALID_REQUEST
        watched = self.watchEvents(0, 10, 0)
        assert watched.responseCode == OK, watched
        assert watched.events[0].kind == 1
        assert watched.nextCursor >= watched.events[-1].cursor
        replayed = self.replayUpdate(key)
        assert (replayed.responseCode, replayed.matches, replayed.differences) == (OK, True, [])
        (again,) = self.heartbeatMany([api("Heartbeat", key=key, verdict=1)]).answers
        assert (again.responseCode, again.outcome) == (OK, 1)

    def _is_updated(self) -> None:
        diff = self.getJobUpdateDiff(self._update("v2")).result.getJobUpdateDiffResult
        assert [len(bucket) for bucket in (diff.add, diff.remove, diff.update, diff.unchanged)] == [0, 1, 1, 0]
        rehearsed = self.simulateUpdate(self._update("v2"))
        assert (rehearsed.responseCode, len(rehearsed.groups) > 0) == (OK, True)
        started = self.startJobUpdate(self._update("v2"), "go")
        key = started.result.startJobUpdateResult.key
        assert (started.responseCode, key.job) == (OK, self._key)
        assert started.result.startJobUpdateResult.updateSummary.state is None
        second = self.startJobUpdate(self._update("v3"), None)
        assert second.responseCode == INVALID_REQUEST
        assert second.result.startJobUpdateResult.key == key
        assert self.killTasks(self._key, None, None).responseCode == JOB_UPDATING

        assert self._status() == "ROLL_FORWARD_AWAITING_PULSE"
        assert self.pulseJobUpdate(key).result.pulseJobUpdateResult.status == 1
        assert self._status() == "ROLLING_FORWARD"
        self._is_watched(key)
        assert self.pauseJobUpdate(key, "lunch").responseCode == OK
        assert self._status() == "ROLL_FORWARD_PAUSED"
        assert self.resumeJobUpdate(key, None).responseCode == OK
        assert self._status() == "ROLLING_FORWARD"
        assert self.rollbackJobUpdate(key, "back").responseCode == OK
        assert self._status() == "ROLLING_BACK"
        query = api("JobUpdateQuery", jobKey=self._key)
        (details,) = self.getJobUpdateDetails(None, query).result.getJobUpdateDetailsResult.detailsList
        assert details.update.instructions.settings.updateStrategy.queueStrategy.groupSize == 1
        assert details.updateEvents[0].message == "go"
        by_key = self.getJobUpdateDetails(key, None)
        found = by_key.result.getJobUpdateDetailsResult.details
        assert found.update.instructions == details.update.instructions
        assert "deprecated" in texts(by_key)[0]
        assert self.abortJobUpdate(key, "enough").responseCode == OK
        assert self._status() == "ABORTED"
        assert self.pulseJobUpdate(key).result.pulseJobUpdateResult.status == 2

    def _shrinks(self) -> None:
        killed = self.killTasks(self._key, {1, 2}, "too many")
        assert (killed.responseCode, texts(killed)) == (OK, [])
        none = self.killTasks(self._key, {99}, None)
        assert (none.responseCode, texts(none)) == (OK, ["No tasks to kill."])
        bad = self.killTasks(api("JobKey", role="a b", environment="c", name="d"), None, None)
        assert (bad.responseCode, texts(bad)) == (ERROR, [BAD_KEY])

    def _has_a_quota(self) -> None:
        amounts = {api("Resource", numCpus=2.5), api("Resource", ramMb=64), api("Resource", diskMb=0)}
        assert self.setQuota(self._role, api("ResourceAggregate", resources=amounts)).responseCode == OK
        assert self.setQuota(self._role, api("ResourceAggregate", resources=set())).responseCode == ERROR
        told = self.getQuota(self._role).result.getQuotaResult
        assert told.quota.resources == amounts
        taken = {api("Resource", numCpus=0.0), api("Resource", ramMb=0), api("Resource", diskMb=0)}
        assert told.prodSharedConsumption.resources == taken
        assert told.nonProdSharedConsumption.resources != taken

    def _is_copied(self) -> None:
        self._until_at_rest()
        assert self.snapshot().responseCode == OK
        assert self.performBackup().responseCode == OK
        backup = max(self.listBackups().result.listBackupsResult.backups)
        assert self.commitRecovery().responseCode == ERROR
        assert self.stageRecovery("another one").responseCode == ERROR
        assert self.stageRecovery(backup).responseCode == OK
        assert self.stageRecovery(backup).responseCode == ERROR
        query = api("TaskQuery", role=self._role, statuses=apache.constants().ACTIVE_STATES)
        staged = self.queryRecovery(query).result.queryRecoveryResult.tasks
        assert {task.assignedTask.taskId for task in staged} == {task.assignedTask.taskId for task in self._tasks()}
        assert self.deleteRecoveryTasks(query).responseCode == OK
        assert self.queryRecovery(query).result.queryRecoveryResult.tasks == set()
        assert self._tasks()
        assert self.unloadRecovery().responseCode == OK
        assert self.unloadRecovery().responseCode == OK
        assert self.queryRecovery(query).responseCode == ERROR

    def _runs_by_a_schedule(self) -> None:
        key = api("JobKey", role=self._role, environment="prod", name="nightly")
        config = self._config()
        config.job, config.isService = key, False
        template = api(
            "JobConfiguration",
            key=key,
            taskConfig=config,
            instanceCount=1,
            cronSchedule="30 2 * * MON-FRI",
            cronCollisionPolicy=1,
        )
        assert self.replaceCronTemplate(template).responseCode == INVALID_REQUEST
        assert self.scheduleCronJob(template).responseCode == OK
        template.cronSchedule = "30 2 * * 7"
        refused = self.replaceCronTemplate(template)
        assert (refused.responseCode, "the day of week" in texts(refused)[0]) == (INVALID_REQUEST, True)
        template.cronSchedule = "0 0 1 1 *"
        assert self.replaceCronTemplate(template).responseCode == OK
        (summary,) = (s for s in self.getJobSummary(self._role).result.jobSummaryResult.summaries if s.job.key == key)
        assert (summary.job.cronSchedule, summary.job.cronCollisionPolicy) == ("0 0 1 1 *", 1)
        assert summary.nextCronRunMs > 0
        assert key in {job.key for job in self.getJobs(self._role).result.getJobsResult.configs}
        started = self.startCronJob(key)
        assert (started.responseCode, texts(started)) == (OK, [])
        again = self.startCronJob(key)
        assert texts(again)[0].endswith("was not begun: 1 task active, CANCEL_NEW"), again
        shown = self.showCronJob(key)
        assert (shown.responseCode, shown.heldBackRuns, shown.nextRunMs) == (OK, 1, summary.nextCronRunMs)
        assert self.descheduleCronJob(key).responseCode == OK
        gone = self.descheduleCronJob(key)
        assert (gone.responseCode, "is not scheduled" in texts(gone)[0]) == (OK, True)
        assert self.startCronJob(key).responseCode == INVALID_REQUEST
        assert self.showCronJob(key).responseCode == ERROR
        assert self.killTasks(key, None, None).responseCode == OK

    def _is_administered(self) -> None:
        settings = api("ExplicitReconciliationSettings", batchSize=100)
        assert self.triggerExplicitTaskReconciliation(settings).responseCode == OK
        settings.batchSize = 0
        assert self.triggerExplicitTaskReconciliation(settings).responseCode == INVALID_REQUEST
        assert self.triggerExplicitTaskReconciliation(None).responseCode == ERROR
        assert self.triggerImplicitTaskReconciliation().responseCode == OK
        assert self.forceTaskState("nobody", 7).responseCode == OK
        task_id = min(task.assignedTask.taskId for task in self._tasks())
        assert self.forceTaskState(task_id, 7).responseCode == OK
        assert task_id not in {task.assignedTask.taskId for task in self._tasks()}
        assert self.pruneTasks(api("TaskQuery", role=self._role, statuses={2})).responseCode == ERROR
        assert self.pruneTasks(api("TaskQuery", role=self._role)).responseCode == OK
        left = self.getTasksStatus(api("TaskQuery", taskIds={task_id})).result.scheduleStatusResult.tasks
        assert left == []

    def _is_moved(self) -> None:
        self._until_at_rest()
        hosts = api("Hosts", hostNames={min(task.assignedTask.slaveHost for task in self._tasks()), "nowhere"})
        for ask, branch, mode in (
            (self.startMaintenance, "startMaintenanceResult", 2),
            (self.maintenanceStatus, "maintenanceStatusResult", 2),
            (self.drainHosts, "drainHostsResult", 3),
            (self.endMaintenance, "endMaintenanceResult", 1),
            (self.maintenanceStatus, "maintenanceStatusResult", 1),
        ):
            response = ask(hosts)
            statuses = getattr(response.result, branch).statuses
            assert (response.responseCode, [status.mode for status in statuses]) == (OK, [mode]), (response, hosts)
        policy = api("SlaPolicy", percentageSlaPolicy=api("PercentageSlaPolicy", percentage=95.0, durationSecs=1800))
        drained = self.slaDrainHosts(hosts, policy, 3600)
        assert [status.mode for status in drained.result.drainHostsResult.statuses] == [3]
        assert self.slaDrainHosts(hosts, policy, -1).responseCode == INVALID_REQUEST
        assert self.slaDrainHosts(hosts, None, 1).responseCode == ERROR
        assert self.startMaintenance(None).responseCode == ERROR
        assert self.endMaintenance(hosts).responseCode == OK


DATA = '{"task": {"name": "hello", "processes": [{"name": "hello", "cmdline": "echo %s; sleep 300"}]}}'
"""What clients tell the executor, in its barest form."""


def texts(response: Any) -> list[str]:
    return [detail.message for detail in response.details]
