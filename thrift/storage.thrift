/*
 * Records of the changelog, of a base and of snapshots: what is on disk, format levels 1 and 2.
 *
 * A log entry is a frame around one Body in Thrift's binary protocol. The frame is fixed, the same at every level, so
 * that an entry of any level can be named, chained and checked without reading its body (all big-endian):
 *
 *   4 bytes   "TSNl" for an entry of the log, "TSNb" for a chunk of a base
 *   u16       format level of the body: the lowest whose readers understand all of it
 *   u16       flags: 0
 *   u64       offset of the entry, from 1 without gaps; of a chunk: its position, from 0
 *   u64       epoch of the leader that wrote the entry; of a chunk: its generation
 *   i64       when, in milliseconds since 1970 UTC; of a chunk: 0
 *   u32       length of the body in bytes
 *   16 bytes  uuid of the transaction; of a chunk: zeros
 *   16 bytes  lineage: the history this belongs to; a restore begins a new one
 *   16 bytes  checksum of the frame before; of the first: a hash of the lineage
 *   ...       the body
 *   16 bytes  checksum: BLAKE2b of all bytes before it
 *
 * RULE: whoever changes anything below raises the level, also for a new optional field: a reader skips fields it does
 * not know, and would lose them in silence.
 *
 * What repeats inside a body stands once, in its tables, and is referred to by position. Absent numbers are 0, absent
 * lists are empty, absent flags are false. Statuses and actions are Aurora's numbers, as i32. Small shapes that
 * Aurora's interface fixes for ever are taken from there. Times are milliseconds since 1970 UTC.
 */

include "aurora.thrift"

namespace java org.thesan.storage
namespace py gen.thesan_storage

/** A position in Body.texts. Inside a list of them, -1 is no text. */
typedef i32 TextRef

/** A position in Body.updates. */
typedef i32 UpdateRef

/** A position in Body.configs. */
typedef i32 ConfigRef

// ---------------------------------------------------------------------------------------------- task configurations

struct TaskLink {
  1: string label
  2: string url
}

/** What one task is to run. Named by its digest everywhere else; lists keep their order. */
struct TaskConfig {
  1: aurora.JobKey job
  2: optional bool isService
  3: optional i32 priority
  4: optional i32 maxTaskFailures
  5: optional string ownerUser
  6: optional bool production
  7: optional string tier
  8: optional string contactEmail
  9: optional aurora.ExecutorConfig executor
  10: aurora.Container container
  11: optional list<aurora.Resource> resources
  12: optional list<aurora.Constraint> constraints
  13: optional list<aurora.Metadata> metadata
  14: optional list<aurora.MesosFetcherURI> fetcherUris
  15: optional list<TaskLink> taskLinks
  16: optional aurora.PartitionPolicy partitionPolicy
  17: optional aurora.SlaPolicy slaPolicy
}

/** A configuration, before its first use. */
struct SaveConfig {
  1: binary digest
  2: TaskConfig config
}

// ---------------------------------------------------------------------------------------------- tasks

struct Port {
  1: TextRef name
  2: i32 number
}

struct TaskEvent {
  1: i32 status
  2: i64 timestampMs
  3: optional TextRef message
  4: optional TextRef scheduler
}

/**
 * A task's history by columns of equal length: most of a base is histories, and a column of numbers is read many times
 * as fast as a list of structs. A column of texts may be absent when there are none.
 */
struct TaskHistory {
  1: list<i32> statuses
  2: list<i64> timestampsMs
  3: optional list<TextRef> messages
  4: optional list<TextRef> schedulers
}

/** A whole task. */
struct Task {
  1: string taskId
  2: i32 instance
  3: ConfigRef config
  4: i32 status
  5: optional TaskHistory history
  6: optional i32 failureCount
  7: optional string ancestorId
  8: optional i32 timesPartitioned
  9: optional TextRef host
  10: optional TextRef agent
  11: optional list<Port> ports
}

/** A task came to a status. The event's fields stand here flat: it is the commonest record. */
struct MoveTask {
  1: string taskId
  2: i32 status
  3: i64 timestampMs
  4: optional TextRef message
  5: optional TextRef scheduler
  6: optional i32 failureCount
  7: optional i32 timesPartitioned
  /** Drops the last two events first. */
  8: optional bool compact
}

struct AssignTask {
  1: string taskId
  2: TaskEvent event
  3: TextRef host
  4: TextRef agent
  5: optional list<Port> ports
}

struct RemoveTasks {
  1: list<string> taskIds
}

// ---------------------------------------------------------------------------------------------- updates

struct UpdateKey {
  1: aurora.JobKey job
  2: string id
}

struct InstanceConfigs {
  1: ConfigRef config
  2: optional list<aurora.Range> instances
}

struct QueueStrategy {
  1: i32 groupSize
}

struct BatchStrategy {
  1: i32 groupSize
  2: optional bool autopauseAfterBatch
}

struct VariableBatchStrategy {
  1: list<i32> groupSizes
  2: optional bool autopauseAfterBatch
}

union Strategy {
  1: QueueStrategy queue
  2: BatchStrategy batch
  3: VariableBatchStrategy variableBatch
}

struct UpdateSettings {
  1: Strategy strategy
  2: optional i32 updateGroupSize
  3: optional bool waitForBatchCompletion
  4: optional i32 maxPerInstanceFailures
  5: optional i32 maxFailedInstances
  6: optional i32 minWaitInInstanceRunningMs
  7: optional bool rollbackOnFailure
  8: optional list<aurora.Range> updateOnlyTheseInstances
  9: optional i32 blockIfNoPulsesAfterMs
  10: optional bool slaAware
}

struct Instructions {
  1: optional list<InstanceConfigs> initial
  2: optional InstanceConfigs desired
  3: UpdateSettings settings
}

struct UpdateEvent {
  1: i32 status
  2: i64 timestampMs
  3: optional TextRef user
  4: optional TextRef message
}

/** An update's instance events, by columns as in TaskHistory. */
struct InstanceHistory {
  1: list<i32> instances
  2: list<i32> actions
  3: list<i64> timestampsMs
  4: optional list<TextRef> messages
}

/** Where one instance stands; never shown in Aurora's history. */
struct InstanceProgress {
  1: i32 instance
  2: optional i32 phase
  3: optional i32 failures
  4: optional i64 exitSeq
  5: optional i32 recorded
}

struct StartUpdate {
  1: UpdateRef update
  2: TextRef user
  3: optional list<aurora.Metadata> metadata
  4: Instructions instructions
  5: UpdateEvent event
}

struct MoveUpdate {
  1: UpdateRef update
  2: UpdateEvent event
}

struct RecordInstance {
  1: UpdateRef update
  2: i32 instance
  3: i32 action
  4: i64 timestampMs
  5: optional TextRef message
}

struct MoveInstance {
  1: UpdateRef update
  2: i32 instance
  3: optional i32 phase
  4: optional i32 failures
  5: optional i64 exitSeq
  6: optional i32 recorded
}

/** A monitor said WAIT. */
struct Hold {
  1: TextRef reason
  2: TextRef link
  3: TextRef source
  4: i64 sinceMs
  5: i64 recordedMs
}

/** Until then the heartbeat does not gate the update. */
struct Override {
  1: i64 untilMs
  2: TextRef user
  3: TextRef reason
}

/** What the history cannot say of a hard pause. */
struct Pause {
  1: optional i64 untilMs
  2: TextRef user
  3: TextRef reason
  4: i64 sinceMs
}

/** What is said about an update beside its history; never shown in Aurora's. */
struct Notes {
  1: optional Hold hold
  2: optional Override gateOverride
  3: optional Pause pause
  4: optional i64 progressUsedMs
  5: optional i64 progressFromMs
}

/** Takes the place of all notes before. */
struct AnnotateUpdate {
  1: UpdateRef update
  2: Notes notes
}

/** Something was done to an update that left its status as it was. */
struct RecordRemark {
  1: UpdateRef update
  2: i64 timestampMs
  3: optional TextRef user
  4: TextRef message
}

struct RemoveUpdates {
  1: list<UpdateRef> updates
}

/** A whole update with its histories. Stands in a base, never in the log. */
struct Update {
  1: UpdateRef update
  2: TextRef user
  3: optional list<aurora.Metadata> metadata
  4: Instructions instructions
  5: optional list<UpdateEvent> events
  6: optional InstanceHistory instanceHistory
  7: optional list<InstanceProgress> progress
  8: optional Notes notes
}

// ---------------------------------------------------------------------------------------------- quota

/** What the production jobs of a role may take. Takes the place of the one before. */
struct SaveQuota {
  1: string role
  2: optional double cpus
  3: optional i64 ramMb
  4: optional i64 diskMb
}

// ---------------------------------------------------------------------------------------------- cron

/** Where the runs of a cron job stand. Instants: 0 is never. */
struct CronRuns {
  1: i64 followedToMs
  2: optional i64 lastRunMs
  3: optional i64 waitingMs
  4: optional i64 missed
  5: optional i64 lastMissedMs
  6: optional i64 heldBack
}

/** A whole cron job: new, changed, or in a base. */
struct CronJob {
  1: aurora.JobKey key
  2: ConfigRef config
  3: i32 instanceCount
  4: string schedule
  5: optional i32 collisionPolicy
  6: optional string ownerUser
  7: CronRuns runs
}

/** Why: a sentence. */
struct MoveCronJob {
  1: aurora.JobKey key
  2: CronRuns runs
  3: optional string why
}

struct RemoveCronJob {
  1: aurora.JobKey key
}

// ---------------------------------------------------------------------------------------------- maintenance

/** A host's maintenance mode, and while it drains what was asked. Mode NONE: nothing is kept of it. */
struct Maintenance {
  1: string host
  2: i32 mode
  3: optional aurora.SlaPolicy policy
  4: optional i64 timeoutSecs
  5: optional i64 createdMs
}

// ---------------------------------------------------------------------------------------------- the body

/** Everything before this op is forgotten; those behind it in its entry build what a backup held. */
struct Restored {
  1: string backupId
}

/** A scheduler took over. */
struct EpochBegun {
  1: i64 epoch
  2: string scheduler
}

/** One change of state. A reader that finds none of these branches set is too old for what it reads, and stops. */
union Op {
  1: EpochBegun epochBegun
  2: SaveConfig saveConfig
  3: Task saveTask
  4: MoveTask moveTask
  5: AssignTask assignTask
  6: RemoveTasks removeTasks
  7: StartUpdate startUpdate
  8: MoveUpdate moveUpdate
  9: RecordInstance recordInstance
  10: MoveInstance moveInstance
  11: RemoveUpdates removeUpdates
  12: Update saveUpdate
  13: AnnotateUpdate annotateUpdate
  14: SaveQuota saveQuota
  15: RecordRemark recordRemark
  16: CronJob saveCronJob
  17: MoveCronJob moveCronJob
  18: RemoveCronJob removeCronJob
  19: Maintenance saveMaintenance
  20: Restored restored
}

struct Body {
  1: list<Op> ops
  2: optional list<string> texts
  3: optional list<UpdateKey> updates
  /** Digests. Each was saved before, in this body or an earlier one. */
  4: optional list<binary> configs
}
