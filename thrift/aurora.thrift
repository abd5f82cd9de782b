/*
 * Apache Aurora's scheduler interface, written down for Thesan.
 *
 * The names, ids, types and defaults below are what Aurora's clients send and expect; they must match exactly and
 * are held to tests/wire/interface.tsv by a test. The comments are Thesan's own.
 *
 * Gaps between ids are ids that were retired: never fill them. "Deprecated" means: clients may still send or read
 * it. Almost nothing is `required`; a plain field is always written, an `optional` one only when it was set.
 *
 * Times are milliseconds since 1970 UTC unless the name says otherwise.
 */

namespace java org.apache.aurora.gen
namespace py gen.apache.aurora.api

// ---------------------------------------------------------------------------------------------- answers

/** How a call went. */
enum ResponseCode {
  /** The request is not valid, or not valid in the state things are in. */
  INVALID_REQUEST = 0,
  /** Done; also when there was nothing to do. */
  OK = 1,
  /** Something unforeseen; the details say what. */
  ERROR = 2,
  /** Part of the interface, not produced. */
  WARNING = 3,
  /** The caller is known and may not do this. */
  AUTH_FAILED = 4,
  /** The job is being updated, and this call may not run beside an update. */
  JOB_UPDATING_ERROR = 5,
  /** Surely nothing happened: the server is not ready. Clients try again. */
  ERROR_TRANSIENT = 6
}

/** The folder of the sandbox in which a task's file system image is mounted. */
const string TASK_FILESYSTEM_MOUNT_POINT = 'taskfs'

/** The executor name that stands for a Thermos task description in ExecutorConfig.data. */
const string AURORA_EXECUTOR_NAME = 'AuroraExecutor'

/** What a role, an environment or a job name may consist of, as Python and as Java write regular expressions. */
const string GOOD_IDENTIFIER_PATTERN = '^[\\w\\-\\.]+$'
const string GOOD_IDENTIFIER_PATTERN_JVM = GOOD_IDENTIFIER_PATTERN
const string GOOD_IDENTIFIER_PATTERN_PYTHON = GOOD_IDENTIFIER_PATTERN

/** An HTTP request that carries this header is answered by whoever gets it, leader or not. */
const string BYPASS_LEADER_REDIRECT_HEADER_NAME = 'Bypass-Leader-Redirect'

// ---------------------------------------------------------------------------------------------- keys, hosts

/** Who submitted something. Deprecated: the role of the job key counts. */
struct Identity {
  2: string user
}

/** A job's name in a cluster: role/environment/name. */
struct JobKey {
  /** Whose job it is: quota, permissions and the user its processes run as hang on it. */
  1: string role
  /** prod, devel, test, staging or stagingN. */
  2: string environment
  3: string name
}

/** One instance of a job. */
struct InstanceKey {
  1: JobKey jobKey
  2: i32 instanceId
}

/** Deprecated: jobs are no longer locked from outside. */
union LockKey {
  1: JobKey job
}

/** Deprecated, as LockKey. */
struct Lock {
  1: LockKey key
  2: string token
  3: string user
  4: i64 timestampMs
  5: optional string message
}

/** A closed range of instance ids: both ends belong to it. */
struct Range {
  1: i32 first
  2: i32 last
}

/** A free key and value attached to a job, a task or an update. */
struct Metadata {
  1: string key
  2: string value
}

/** A left-over nobody uses. */
struct Package {
  1: string role
  2: string name
  3: i32 version
}

/** A host attribute, such as "rack", and its values. */
struct Attribute {
  1: string name
  2: set<string> values
}

/** How far a host is on its way out of service. */
enum MaintenanceMode {
  /** In service. */
  NONE = 1,
  /** Will be drained: new tasks go elsewhere where possible. */
  SCHEDULED = 2,
  /** Tasks are being moved away. */
  DRAINING = 3,
  /** No active task is left. */
  DRAINED = 4
}

struct HostAttributes {
  1: string host
  2: set<Attribute> attributes
  3: optional MaintenanceMode mode
  4: optional string slaveId
}

/** A host and its maintenance mode, as the maintenance calls return it. */
struct HostStatus {
  1: string host
  2: MaintenanceMode mode
}

struct Hosts {
  1: set<string> hostNames
}

// ---------------------------------------------------------------------------------------------- constraints, policies

/** The host's attribute must (or, negated, must not) have one of these values. */
struct ValueConstraint {
  1: bool negated
  2: set<string> values
}

/** At most so many tasks of the job on hosts that share a value of the attribute. */
struct LimitConstraint {
  1: i32 limit
}

union TaskConstraint {
  1: ValueConstraint value
  2: LimitConstraint limit
}

/** A condition on an attribute of the host. */
struct Constraint {
  /** The attribute's name; "host" is the host itself. */
  1: string name
  2: TaskConstraint constraint
}

/** An amount of one kind of resource. */
union Resource {
  1: double numCpus
  2: i64 ramMb
  3: i64 diskMb
  /** A port the task asks for by name; the scheduler chooses its number. */
  4: string namedPort
  5: i64 numGpus
}

/** A sum of resources: a quota, or what is consumed of one. */
struct ResourceAggregate {
  4: set<Resource> resources
}

/** What to do with a task whose host cannot be reached. */
struct PartitionPolicy {
  /** Whether to start it elsewhere. */
  1: bool reschedule
  /** How long to wait before that, in seconds. */
  2: optional i64 delaySecs
}

/** At least this share of the instances must have been running for that long. */
struct PercentageSlaPolicy {
  /** 0 to 100. */
  1: double percentage
  2: i64 durationSecs
}

/** At least this many instances must have been running for that long. */
struct CountSlaPolicy {
  1: i64 count
  2: i64 durationSecs
}

/** Somebody outside is asked before an instance is taken away. */
struct CoordinatorSlaPolicy {
  1: string coordinatorUrl
  /** The name of the boolean in the coordinator's JSON answer. */
  2: string statusKey
}

/** What must hold before maintenance or an update may take an instance away. */
union SlaPolicy {
  1: PercentageSlaPolicy percentageSlaPolicy
  2: CountSlaPolicy countSlaPolicy
  3: CoordinatorSlaPolicy coordinatorSlaPolicy
}

/** A drain that was asked for and goes on until the host is empty. */
struct HostMaintenanceRequest {
  1: string host
  /** For tasks that bring no policy of their own. */
  2: SlaPolicy defaultSlaPolicy
  /** Measured from the request: after that, tasks are moved whatever their policy says. */
  3: i64 timeoutSecs
  4: i64 createdTimestampMs
}

// ---------------------------------------------------------------------------------------------- containers, executor

/** A file to fetch into the sandbox before the task starts. */
struct MesosFetcherURI {
  1: string value
  2: optional bool extract
  3: optional bool cache
  4: optional string outputFile
}

/** How a task is run: the executor's name and what it is told, byte for byte. */
struct ExecutorConfig {
  1: string name
  2: string data
}

/** Whether a volume can be written to. */
enum Mode {
  RW = 1,
  RO = 2
}

/** A folder of the host that is shown inside the container. */
struct Volume {
  1: string containerPath
  2: string hostPath
  3: Mode mode
}

struct DockerImage {
  1: string name
  2: string tag
}

struct AppcImage {
  1: string name
  2: string imageId
}

union Image {
  1: DockerImage docker
  2: AppcImage appc
}

/** The engine's own container; empty means: none in particular. */
struct MesosContainer {
  1: optional Image image
  2: optional list<Volume> volumes
}

struct DockerParameter {
  1: string name
  2: string value
}

struct DockerContainer {
  1: string image
  2: optional list<DockerParameter> parameters
}

union Container {
  1: MesosContainer mesos
  2: DockerContainer docker
}

// ---------------------------------------------------------------------------------------------- tasks and jobs

/** What an instance shall be. Two instances are alike exactly when these are equal. */
struct TaskConfig {
  28: JobKey job
  /** Deprecated: the role of `job` counts. */
  17: Identity owner
  /** A service is started again whenever it ends. */
  7: bool isService
  32: set<Resource> resources
  /** Among tasks of one role: who may push whom aside. */
  11: i32 priority
  /** Failures after which a task that is no service is left FAILED; -1 is never. */
  13: i32 maxTaskFailures
  /** Deprecated: the tier decides. */
  18: optional bool production
  /** Filled with the cluster's default where unset. */
  30: optional string tier
  20: set<Constraint> constraints
  /** Name to URL, shown beside the task; %port:NAME%, %host%, %task_id% and the like are filled in. */
  22: optional map<string, string> taskLinks
  23: optional string contactEmail
  25: optional ExecutorConfig executorConfig
  27: optional set<Metadata> metadata
  33: optional set<MesosFetcherURI> mesosFetcherUris
  34: optional PartitionPolicy partitionPolicy
  35: optional SlaPolicy slaPolicy
  29: Container container = { "mesos": {} }
}

/** What a cron job does when it is due and its last run still goes on. */
enum CronCollisionPolicy {
  KILL_EXISTING = 0,
  CANCEL_NEW = 1,
  /** Deprecated: refused in new jobs. */
  RUN_OVERLAP = 2
}

/** A job as it is submitted. */
struct JobConfiguration {
  9: JobKey key
  /** Deprecated: the role of `key` counts. */
  7: Identity owner
  /** Set for cron jobs only. */
  4: optional string cronSchedule
  5: CronCollisionPolicy cronCollisionPolicy
  6: TaskConfig taskConfig
  /** Instances get the ids 0 to instanceCount - 1. */
  8: i32 instanceCount
}

/** How many tasks of a job are in which kind of state. */
struct JobStats {
  1: i32 activeTaskCount
  2: i32 finishedTaskCount
  3: i32 failedTaskCount
  4: i32 pendingTaskCount
}

struct JobSummary {
  1: JobConfiguration job
  2: JobStats stats
  /** For cron jobs whose next run can be told. */
  3: optional i64 nextCronRunMs
}

/** Instances that share a configuration. */
struct ConfigGroup {
  1: TaskConfig config
  3: set<Range> instances
}

struct ConfigSummary {
  1: JobKey key
  2: set<ConfigGroup> groups
}

/** Where a task stands. */
enum ScheduleStatus {
  /** Waits for a host. */
  PENDING = 0,
  /** The executor has it and is starting it. */
  STARTING = 1,
  RUNNING = 2,
  /** Ended by itself, well. */
  FINISHED = 3,
  /** Ended by itself, badly. */
  FAILED = 4,
  /** Ended because it was told to. */
  KILLED = 5,
  /** Told to end, not yet gone. */
  KILLING = 6,
  /** Gone without a word. */
  LOST = 7,
  /** A host was chosen and told. */
  ASSIGNED = 9,
  /** Not yet anything. */
  INIT = 11,
  /** Being ended because somebody asked for a restart. */
  RESTARTING = 12,
  /** Being ended to make room. */
  PREEMPTING = 13,
  /** Waits out a penalty because it fails too often. */
  THROTTLED = 16,
  /** Being ended because its host goes out of service. */
  DRAINING = 17,
  /** Its host cannot be reached. */
  PARTITIONED = 18
}

/** States of tasks that count as part of their job. */
const set<ScheduleStatus> ACTIVE_STATES = [
  ScheduleStatus.ASSIGNED,
  ScheduleStatus.DRAINING,
  ScheduleStatus.KILLING,
  ScheduleStatus.PARTITIONED,
  ScheduleStatus.PENDING,
  ScheduleStatus.PREEMPTING,
  ScheduleStatus.RESTARTING,
  ScheduleStatus.RUNNING,
  ScheduleStatus.STARTING,
  ScheduleStatus.THROTTLED
]

/** States of tasks that have a host. */
const set<ScheduleStatus> SLAVE_ASSIGNED_STATES = [
  ScheduleStatus.ASSIGNED,
  ScheduleStatus.DRAINING,
  ScheduleStatus.KILLING,
  ScheduleStatus.PARTITIONED,
  ScheduleStatus.PREEMPTING,
  ScheduleStatus.RESTARTING,
  ScheduleStatus.RUNNING,
  ScheduleStatus.STARTING
]

/** States of tasks whose process is up. */
const set<ScheduleStatus> LIVE_STATES = [
  ScheduleStatus.DRAINING,
  ScheduleStatus.KILLING,
  ScheduleStatus.PARTITIONED,
  ScheduleStatus.PREEMPTING,
  ScheduleStatus.RESTARTING,
  ScheduleStatus.RUNNING
]

/** States nothing follows. */
const set<ScheduleStatus> TERMINAL_STATES = [
  ScheduleStatus.FAILED,
  ScheduleStatus.FINISHED,
  ScheduleStatus.KILLED,
  ScheduleStatus.LOST
]

/** A change of a task's state, kept in its history. */
struct TaskEvent {
  1: i64 timestamp
  2: ScheduleStatus status
  /** Why. */
  3: optional string message
  /** The host name of the scheduler that wrote it. */
  4: optional string scheduler
}

/** A task and where it was put. */
struct AssignedTask {
  1: string taskId
  /** The host's id and name; unset while the task has no host. */
  2: string slaveId
  3: string slaveHost
  4: TaskConfig task
  /** Port name to port number. */
  5: map<string, i32> assignedPorts
  6: i32 instanceId
}

/** A task with its state and history. */
struct ScheduledTask {
  1: AssignedTask assignedTask
  2: ScheduleStatus status
  /** How often this instance has failed, its predecessors included. */
  3: i32 failureCount
  /** Oldest first. */
  4: list<TaskEvent> taskEvents
  /** The task this one took over from. */
  5: string ancestorId
  6: i32 timesPartitioned
}

/** Which tasks are meant: all criteria that are set must hold, an empty set is no criterion. */
struct TaskQuery {
  14: optional string role
  9: optional string environment
  2: optional string jobName
  4: optional set<string> taskIds
  5: optional set<ScheduleStatus> statuses
  7: optional set<i32> instanceIds
  10: optional set<string> slaveHosts
  11: optional set<JobKey> jobKeys
  12: optional i32 offset
  13: optional i32 limit
}

/** Why a task still waits for a host. */
struct PendingReason {
  1: string taskId
  2: string reason
}

/** How many jobs a role has. */
struct RoleSummary {
  1: string role
  2: i32 jobCount
  3: i32 cronJobCount
}

/** A tier and what it means: "preemptible" and "revocable", each "true" or "false". */
struct TierConfig {
  1: string name
  2: map<string, string> settings
}

// ---------------------------------------------------------------------------------------------- updates

/** Where an update stands. */
enum JobUpdateStatus {
  /** On its way to the new configuration. */
  ROLLING_FORWARD = 0,
  /** On its way back. */
  ROLLING_BACK = 1,
  /** Paused by somebody, on the way forward. */
  ROLL_FORWARD_PAUSED = 2,
  /** Paused by somebody, on the way back. */
  ROLL_BACK_PAUSED = 3,
  /** Arrived. */
  ROLLED_FORWARD = 4,
  /** Back where it came from. */
  ROLLED_BACK = 5,
  /** Given up by somebody; the instances stay as they are. */
  ABORTED = 6,
  /** The scheduler could not go on with it. */
  ERROR = 7,
  /** Too many instances failed, and there is no way back. */
  FAILED = 8,
  /** Waits for a pulse, on the way forward. */
  ROLL_FORWARD_AWAITING_PULSE = 9,
  /** Waits for a pulse, on the way back. */
  ROLL_BACK_AWAITING_PULSE = 10
}

/** Statuses of updates that are not over. */
const set<JobUpdateStatus> ACTIVE_JOB_UPDATE_STATES = [
  JobUpdateStatus.ROLLING_FORWARD,
  JobUpdateStatus.ROLLING_BACK,
  JobUpdateStatus.ROLL_FORWARD_PAUSED,
  JobUpdateStatus.ROLL_BACK_PAUSED,
  JobUpdateStatus.ROLL_FORWARD_AWAITING_PULSE,
  JobUpdateStatus.ROLL_BACK_AWAITING_PULSE
]

/** Statuses of updates that wait for a pulse. (The name lacks a letter, and clients know it so.) */
const set<JobUpdateStatus> AWAITNG_PULSE_JOB_UPDATE_STATES = [
  JobUpdateStatus.ROLL_FORWARD_AWAITING_PULSE,
  JobUpdateStatus.ROLL_BACK_AWAITING_PULSE
]

/** What an update did with an instance. */
enum JobUpdateAction {
  INSTANCE_UPDATED = 1,
  INSTANCE_ROLLED_BACK = 2,
  INSTANCE_UPDATING = 3,
  INSTANCE_ROLLING_BACK = 4,
  INSTANCE_UPDATE_FAILED = 5,
  INSTANCE_ROLLBACK_FAILED = 6
}

/** What a pulse is answered with. */
enum JobUpdatePulseStatus {
  /** Heard; the update is not over. */
  OK = 1,
  /** The update is over or unknown: no need to send more. */
  FINISHED = 2
}

struct JobUpdateKey {
  1: JobKey job
  2: string id
}

/** Keep up to groupSize instances in work at all times. */
struct QueueJobUpdateStrategy {
  1: i32 groupSize
}

/** Take groupSize instances, and the next groupSize when all of them are done. */
struct BatchJobUpdateStrategy {
  1: i32 groupSize
  /** Pause after each batch, as if somebody had asked for it. */
  2: bool autopauseAfterBatch
}

/** Batches of these sizes, the last size repeating. */
struct VariableBatchJobUpdateStrategy {
  1: list<i32> groupSizes
  /** Pause after each batch, as if somebody had asked for it. */
  2: bool autopauseAfterBatch
}

union JobUpdateStrategy {
  1: QueueJobUpdateStrategy queueStrategy
  2: BatchJobUpdateStrategy batchStrategy
  3: VariableBatchJobUpdateStrategy varBatchStrategy
}

/** How an update is to proceed. */
struct JobUpdateSettings {
  /** Deprecated by updateStrategy. */
  1: i32 updateGroupSize
  /** So many failures of one instance are forgiven. */
  2: i32 maxPerInstanceFailures
  /** So many failed instances are forgiven. */
  3: i32 maxFailedInstances
  /** How long an instance must stay RUNNING to count as updated. */
  5: i32 minWaitInInstanceRunningMs
  /** Go back when too many instances failed. */
  6: bool rollbackOnFailure
  /** Empty means all. */
  7: set<Range> updateOnlyTheseInstances
  /** Deprecated by updateStrategy. */
  8: bool waitForBatchCompletion
  /** Set and above 0: the update goes on only while pulses arrive at least this often. */
  9: optional i32 blockIfNoPulsesAfterMs
  /** Ask the tasks' SLA policy before taking an instance away. */
  10: optional bool slaAware
  11: optional JobUpdateStrategy updateStrategy
}

/** A change of an update's status. */
struct JobUpdateEvent {
  1: JobUpdateStatus status
  2: i64 timestampMs
  3: optional string user
  4: optional string message
}

/** Something an update did with an instance. */
struct JobInstanceUpdateEvent {
  1: i32 instanceId
  2: i64 timestampMs
  3: JobUpdateAction action
  4: optional string message
}

/** A configuration and the instances that have, or shall have, it. */
struct InstanceTaskConfig {
  1: TaskConfig task
  2: set<Range> instances
}

/** Where an update stands, and since when it exists and last moved. */
struct JobUpdateState {
  1: JobUpdateStatus status
  2: i64 createdTimestampMs
  3: i64 lastModifiedTimestampMs
}

struct JobUpdateSummary {
  5: JobUpdateKey key
  3: string user
  4: JobUpdateState state
  6: optional set<Metadata> metadata
}

/** From where to where, and how. */
struct JobUpdateInstructions {
  1: set<InstanceTaskConfig> initialState
  /** Unset when the update only removes instances. */
  2: InstanceTaskConfig desiredState
  3: JobUpdateSettings settings
}

struct JobUpdate {
  1: JobUpdateSummary summary
  2: JobUpdateInstructions instructions
}

/** An update with its history, oldest events first. */
struct JobUpdateDetails {
  1: JobUpdate update
  2: list<JobUpdateEvent> updateEvents
  3: list<JobInstanceUpdateEvent> instanceEvents
}

/** An update as it is asked for. */
struct JobUpdateRequest {
  1: TaskConfig taskConfig
  /** How many instances the job shall have. */
  2: i32 instanceCount
  3: JobUpdateSettings settings
  4: optional set<Metadata> metadata
}

/** Which updates are meant: all criteria that are set must hold, an empty set is no criterion. */
struct JobUpdateQuery {
  8: JobUpdateKey key
  2: string role
  3: JobKey jobKey
  4: string user
  5: set<JobUpdateStatus> updateStatuses
  6: i32 offset
  7: i32 limit
}

// ---------------------------------------------------------------------------------------------- results

struct PopulateJobResult {
  2: TaskConfig taskConfig
}

struct ScheduleStatusResult {
  1: list<ScheduledTask> tasks
}

struct GetJobsResult {
  1: set<JobConfiguration> configs
}

/** A role's quota and what is used: shared hosts or dedicated ones, production tasks or others. */
struct GetQuotaResult {
  1: ResourceAggregate quota
  2: optional ResourceAggregate prodSharedConsumption
  3: optional ResourceAggregate nonProdSharedConsumption
  4: optional ResourceAggregate prodDedicatedConsumption
  5: optional ResourceAggregate nonProdDedicatedConsumption
}

struct ListBackupsResult {
  1: set<string> backups
}

struct StartMaintenanceResult {
  1: set<HostStatus> statuses
}

struct DrainHostsResult {
  1: set<HostStatus> statuses
}

struct QueryRecoveryResult {
  1: set<ScheduledTask> tasks
}

struct MaintenanceStatusResult {
  1: set<HostStatus> statuses
}

struct EndMaintenanceResult {
  1: set<HostStatus> statuses
}

struct RoleSummaryResult {
  1: set<RoleSummary> summaries
}

struct JobSummaryResult {
  1: set<JobSummary> summaries
}

struct ConfigSummaryResult {
  1: ConfigSummary summary
}

struct GetPendingReasonResult {
  1: set<PendingReason> reasons
}

struct StartJobUpdateResult {
  1: JobUpdateKey key
  2: optional JobUpdateSummary updateSummary
}

struct GetJobUpdateSummariesResult {
  /** Last changed first. */
  1: list<JobUpdateSummary> updateSummaries
}

struct GetJobUpdateDetailsResult {
  /** Deprecated: the answer to a call with a key and no query. */
  1: JobUpdateDetails details
  2: list<JobUpdateDetails> detailsList
}

struct PulseJobUpdateResult {
  1: JobUpdatePulseStatus status
}

/** What an update would do. */
struct GetJobUpdateDiffResult {
  /** With the new configuration. */
  1: set<ConfigGroup> add
  /** With their present configuration, as the two that follow. */
  2: set<ConfigGroup> remove
  3: set<ConfigGroup> update
  4: set<ConfigGroup> unchanged
}

struct GetTierConfigResult {
  1: string defaultTierName
  2: set<TierConfig> tiers
}

/** How to ask the engine about every task it should have. */
struct ExplicitReconciliationSettings {
  1: optional i32 batchSize
}

/** Who answers. */
struct ServerInfo {
  1: string clusterName
  /** Start of links to statistics of a job; may be empty. */
  3: string statsUrlPrefix
}

/** What a call returns besides its code; each method has its own branch. */
union Result {
  1: PopulateJobResult populateJobResult
  3: ScheduleStatusResult scheduleStatusResult
  4: GetJobsResult getJobsResult
  5: GetQuotaResult getQuotaResult
  6: ListBackupsResult listBackupsResult
  7: StartMaintenanceResult startMaintenanceResult
  8: DrainHostsResult drainHostsResult
  9: QueryRecoveryResult queryRecoveryResult
  10: MaintenanceStatusResult maintenanceStatusResult
  11: EndMaintenanceResult endMaintenanceResult
  17: RoleSummaryResult roleSummaryResult
  18: JobSummaryResult jobSummaryResult
  20: ConfigSummaryResult configSummaryResult
  21: GetPendingReasonResult getPendingReasonResult
  22: StartJobUpdateResult startJobUpdateResult
  23: GetJobUpdateSummariesResult getJobUpdateSummariesResult
  24: GetJobUpdateDetailsResult getJobUpdateDetailsResult
  25: PulseJobUpdateResult pulseJobUpdateResult
  26: GetJobUpdateDiffResult getJobUpdateDiffResult
  27: GetTierConfigResult getTierConfigResult
}

/** One sentence about how a call went. */
struct ResponseDetail {
  1: string message
}

/** What every method returns. */
struct Response {
  1: ResponseCode responseCode
  5: ServerInfo serverInfo
  /** With OK; and with INVALID_REQUEST where startJobUpdate names the update that is in its way. */
  3: optional Result result
  /** Always a list, often empty. */
  6: list<ResponseDetail> details
}

// ---------------------------------------------------------------------------------------------- services

/** What anybody may ask. */
service ReadOnlyScheduler {
  /** How many jobs each role has. */
  Response getRoleSummary()

  /** The jobs of a role, or of all, counting ended tasks too. */
  Response getJobSummary(1: string role)

  Response getTasksStatus(1: TaskQuery query)

  /** As getTasksStatus, without ExecutorConfig.data. */
  Response getTasksWithoutConfigs(1: TaskQuery query)

  /** Why tasks wait for a host. */
  Response getPendingReason(1: TaskQuery query)

  /** The job's active tasks, grouped by configuration. */
  Response getConfigSummary(1: JobKey job)

  /** The jobs of a role, or of all, by their active tasks and cron schedules. */
  Response getJobs(1: string ownerRole)

  Response getQuota(1: string ownerRole)

  /** Check a job and return its task with all defaults filled in; nothing is created. */
  Response populateJobConfig(1: JobConfiguration description)

  Response getJobUpdateSummaries(1: JobUpdateQuery jobUpdateQuery)

  /** With `query`: all that match. With `key` alone (deprecated): that one. */
  Response getJobUpdateDetails(1: JobUpdateKey key, 2: JobUpdateQuery query)

  /** What startJobUpdate would do with this request. */
  Response getJobUpdateDiff(1: JobUpdateRequest request)

  Response getTierConfigs()
}

/** What owners do with their jobs. */
service AuroraSchedulerManager extends ReadOnlyScheduler {
  Response createJob(1: JobConfiguration description)

  /** Create a cron job, or replace the template of one. */
  Response scheduleCronJob(1: JobConfiguration description)

  Response descheduleCronJob(4: JobKey job)

  /** Run a cron job now. */
  Response startCronJob(4: JobKey job)

  /** End these instances and start them again. */
  Response restartShards(5: JobKey job, 3: set<i32> shardIds)

  /** End instances for good; no instances given means all. */
  Response killTasks(4: JobKey job, 5: set<i32> instances, 6: string message)

  /** Add `count` instances configured as the one named. */
  Response addInstances(3: InstanceKey key, 4: i32 count)

  Response replaceCronTemplate(1: JobConfiguration config)

  /** Bring a job to a new configuration, instance by instance. */
  Response startJobUpdate(1: JobUpdateRequest request, 3: string message)

  Response pauseJobUpdate(1: JobUpdateKey key, 3: string message)

  Response resumeJobUpdate(1: JobUpdateKey key, 3: string message)

  /** End an update; instances stay as they are. */
  Response abortJobUpdate(1: JobUpdateKey key, 3: string message)

  /** Turn an update around. */
  Response rollbackJobUpdate(1: JobUpdateKey key, 2: string message)

  /** Say that all is well: an update that asked for pulses may go on. */
  Response pulseJobUpdate(1: JobUpdateKey key)
}

/** What operators do with a cluster. */
service AuroraAdmin extends AuroraSchedulerManager {
  Response setQuota(1: string ownerRole, 2: ResourceAggregate quota)

  /** Move a task to a state by hand. */
  Response forceTaskState(1: string taskId, 2: ScheduleStatus status)

  Response performBackup()

  Response listBackups()

  /** Load a backup beside the running state, to look at and to prune. */
  Response stageRecovery(1: string backupId)

  Response queryRecovery(1: TaskQuery query)

  Response deleteRecoveryTasks(1: TaskQuery query)

  /** Put the staged backup in the place of the running state. */
  Response commitRecovery()

  Response unloadRecovery()

  Response startMaintenance(1: Hosts hosts)

  Response drainHosts(1: Hosts hosts)

  Response maintenanceStatus(1: Hosts hosts)

  Response endMaintenance(1: Hosts hosts)

  /** Drain hosts as fast as the tasks' SLA policies allow. */
  Response slaDrainHosts(1: Hosts hosts, 2: SlaPolicy defaultSlaPolicy, 3: i64 timeoutSecs)

  /** Write a snapshot of the state now. */
  Response snapshot()

  Response triggerExplicitTaskReconciliation(1: ExplicitReconciliationSettings settings)

  Response triggerImplicitTaskReconciliation()

  /** Delete ended tasks that match. */
  Response pruneTasks(1: TaskQuery query)
}
