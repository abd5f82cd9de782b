/*
 * What Aurora's interface cannot say: Thesan's own calls. A client of Aurora's never needs them.
 *
 * Times are milliseconds since 1970 UTC. Every answer begins with a response code and details, as Aurora's do.
 */

include "aurora.thrift"

namespace java org.thesan.gen
namespace py gen.thesan

/** A server as it sees itself. */
struct ServerState {
  1: string version
  2: string clusterName
  3: i64 startedTimestampMs
  /** Everything up to this offset of the changelog is durable; a standby has read so far. */
  4: i64 committedOffset
  /** Counts take-overs: a higher epoch shuts out a lower one. 0 where nobody leads. */
  5: i64 epoch
  /** Names the history the offsets belong to; a recovery into an empty store begins a new one. */
  6: string lineage
  7: i64 activeUpdates
  8: i64 activeTasks
  /** Names this scheduler, as long as it keeps its data directory. */
  9: optional string instanceId
}

/** What a monitor says of an update. */
enum HeartbeatVerdict {
  /** All is well: Aurora's pulse. */
  PROCEED = 1
  /** "I cannot say yet": a soft pause, lifted by the next PROCEED. */
  WAIT = 2
  /** "Something is wrong": a hard pause, lifted by a person only. */
  PAUSE = 3
  ROLL_BACK = 4
  ABORT = 5
}

/** What a monitor is to make of the answer. */
enum HeartbeatOutcome {
  /** The update may act. Go on. */
  OK = 1
  /** A person must lift it: `pausedBy`, `pausedWhy`. Go on, or stop until then. */
  PAUSED = 2
  /** It has ended, or is not known. Stop. */
  FINISHED = 3
  /** Softly paused: `waitsFor`. Go on. */
  WAITING = 4
}

struct Heartbeat {
  1: aurora.JobUpdateKey key
  2: HeartbeatVerdict verdict
  /** Stored with the event that the verdict causes, 512 characters of it. */
  3: string reason
  /** Where a person sees more; 256 characters. */
  4: string link
  /** Who says so; 128 characters. */
  5: string source
}

struct HeartbeatAnswer {
  1: aurora.ResponseCode responseCode
  2: list<string> details
  3: HeartbeatOutcome outcome
  /** Unset: the update is not known. */
  4: aurora.JobUpdateStatus status
  /** The next heartbeat is wanted within so many milliseconds; 0: none is. */
  5: i64 nextWithinMs
  6: string waitsFor
  7: string pausedBy
  8: string pausedWhy
}

struct HeartbeatAnswers {
  1: aurora.ResponseCode responseCode
  2: list<string> details
  /** One for each heartbeat, in their order. */
  3: list<HeartbeatAnswer> answers
}

/** Who or what keeps an update from moving. */
enum HeldBy {
  NOBODY = 0
  /** No heartbeat since it was started. */
  NEVER_HEARD = 1
  OVERDUE = 2
  /** None since this scheduler took over. */
  FAILOVER = 3
  MONITOR_WAITS = 4
  PERSON = 5
  AUTO_PAUSE = 6
  INSTANCES = 7
  ENGINE = 8
  /** No scheduler could answer: the store cannot be written, or nobody leads. */
  STORE = 9
  ENDED = 10
  /** It says PROCEED again, but not often enough in a row: metadata thesan.proceeds_to_resume. */
  STREAK = 11
}

/** An instance in progress. */
struct WaitingInstance {
  1: i32 instanceId
  /** Unset: it has no task now. */
  2: aurora.ScheduleStatus status
  3: i64 sinceTimestampMs
  4: string reason
}

/** Something that was done to an update and that Aurora's history has no event for, such as an override. */
struct Remark {
  1: i64 timestampMs
  /** Unset: nobody did it, it came about. */
  2: string user
  3: string message
}

struct Explanation {
  1: aurora.ResponseCode responseCode
  2: list<string> details
  3: aurora.JobUpdateKey key
  4: aurora.JobUpdateStatus status
  /** All of the rest in words. */
  5: string sentence
  6: HeldBy heldBy
  7: string who
  8: string why
  9: i64 sinceTimestampMs
  /** 0: it does not end by itself, or nobody knows when. */
  10: i64 untilTimestampMs
  /** What comes next, and what it takes. */
  11: string whatNext
  /** -1: the scheduler that leads now has heard none. */
  12: i64 heartbeatAgeMs
  13: string heartbeatSource
  14: string heartbeatLink
  /** Metadata thesan.monitor_url. */
  15: string monitorUrl
  16: list<WaitingInstance> waitingInstances
  /** The newest 200, the oldest of them first. */
  17: list<Remark> remarks
}

/** What was done to an update. */
struct UpdateAnswer {
  1: aurora.ResponseCode responseCode
  2: list<string> details
  3: aurora.JobUpdateStatus status
  /** When that ends by itself; 0: it does not. */
  4: i64 untilTimestampMs
}

struct PlannedGroup {
  1: list<aurora.Range> instances
  /** What becomes of which. */
  2: string sentence
}

/** What an update would do. */
struct Simulation {
  1: aurora.ResponseCode responseCode
  /** As startJobUpdate would answer. */
  2: list<string> details
  /** In their order. Of a queue: all that may be in progress at one time. */
  3: list<PlannedGroup> groups
  4: list<string> sentences
  5: string ifPulsesStopped
}

struct ReplayStep {
  1: i64 timestampMs
  2: string sentence
}

/** A history, gone through once more by the tables. */
struct Replay {
  1: aurora.ResponseCode responseCode
  2: list<string> details
  /** The newest 2000. */
  3: list<ReplayStep> steps
  /** Where the history leads. */
  4: aurora.JobUpdateStatus endsAs
  /** Does it end where the record ends? If not, `differences` say why. */
  5: bool matches
  6: list<string> differences
}

/** What an event is about, and which fields it has besides cursor, index, kind and timestampMs. */
enum EventKind {
  /** A scheduler took over: epoch; message is its name. */
  LEADER = 1
  /** A task came to taskStatus: taskId, message, host once it has one. A new task: job and instanceId too. */
  TASK = 2
  /** The record of an ended task was dropped: taskId. */
  TASK_REMOVED = 3
  /** An update came to updateStatus: job, updateId, user, message. */
  UPDATE = 4
  /** An update did something to one instance: job, updateId, instanceId, action, message. */
  INSTANCE = 5
  /** The record of an ended update was dropped: job, updateId. */
  UPDATE_REMOVED = 6
  /** Something was done to an update that left its status as it was: job, updateId, user, message. */
  REMARK = 7
  /** A run of a cron job began, waits, was held back or was missed: job, message. */
  CRON = 8
}

/** One durable change. */
struct Event {
  /** Offset of its entry. All events of an entry have the same and are delivered together. */
  1: i64 cursor
  /** Its place among the events of that entry, from 0. */
  2: i32 index
  3: EventKind kind
  4: i64 timestampMs
  5: aurora.JobKey job
  6: i32 instanceId
  7: string taskId
  8: aurora.ScheduleStatus taskStatus
  9: string host
  10: string updateId
  11: aurora.JobUpdateStatus updateStatus
  12: aurora.JobUpdateAction action
  13: string user
  14: string message
  15: i64 epoch
}

struct EventBatch {
  1: aurora.ResponseCode responseCode
  2: list<string> details
  3: list<Event> events
  /** Ask with this next. Everything up to it was delivered, whether there were events in it or not. */
  4: i64 nextCursor
  /** Set when the cursor is older than what is kept: read the state anew, then ask with this. */
  5: i64 beginCursor
  /** Names the history that cursors belong to; a recovery into an empty store begins a new one. */
  6: string lineage
}

/** A cron job and where its runs stand. Instants: milliseconds since 1970 UTC, unset is never. */
struct CronJobAnswer {
  1: aurora.ResponseCode responseCode
  2: list<string> details
  /** Its template. */
  3: aurora.JobConfiguration job
  4: i64 nextRunMs
  5: i64 lastRunMs
  /** Since when a run waits for the tasks of the one before it to end. */
  6: i64 waitingSinceMs
  /** Times at which a run was due and no scheduler led, or the leader could not act. */
  7: i64 missedRuns
  8: i64 lastMissedMs
  /** Runs that were not begun because another one was alive or waiting. */
  9: i64 heldBackRuns
}

/** All of Aurora's interface, and ours. */
service Scheduler extends aurora.AuroraAdmin {
  ServerState getServerState()
  /** Valid in every status; how the update stands afterwards is in the answer. */
  HeartbeatAnswer heartbeat(1: Heartbeat heartbeat)
  /**
   * At most 1000, each for itself: what is wrong with one takes nothing from the others. Only of whoever may not say this
   * about one of the jobs, nothing is taken.
   */
  HeartbeatAnswers heartbeatMany(1: list<Heartbeat> heartbeats)
  /** Why is it not moving? */
  Explanation explainUpdate(1: aurora.JobUpdateKey key)
  /** A hard pause that ends by itself. Asked again, it moves its end. */
  UpdateAnswer pauseJobUpdateFor(1: aurora.JobUpdateKey key, 2: i64 durationMs, 3: string message)
  /** The update acts without its monitor for so long; 0 ends that. Caller and reason are kept. */
  UpdateAnswer overrideHeartbeat(1: aurora.JobUpdateKey key, 2: i64 durationMs, 3: string reason)
  /** Instances that failed, or were left out, have their turn again. All of them or none. */
  UpdateAnswer retryInstances(1: aurora.JobUpdateKey key, 2: set<i32> instances, 3: string reason)
  /** Instances are left as they are, and count as done and not as failed. All of them or none. */
  UpdateAnswer skipInstances(1: aurora.JobUpdateKey key, 2: set<i32> instances, 3: string reason)
  /** What startJobUpdate would do now. Nothing happens. */
  Simulation simulateUpdate(1: aurora.JobUpdateRequest request)
  Replay replayUpdate(1: aurora.JobUpdateKey key)
  /** ERROR for a job that has no cron template. */
  CronJobAnswer showCronJob(1: aurora.JobKey job)
  /**
   * What happened after `cursor`, in order. Unset: begin now. `limit` is how many events are enough (500; at most 2000),
   * but entries are never split. When there is nothing, the answer waits for up to `waitMs`, at most 30 seconds; what
   * is asked on the same raw connection meanwhile is answered after it.
   */
  EventBatch watchEvents(1: i64 cursor, 2: i32 limit, 3: i32 waitMs)
}
