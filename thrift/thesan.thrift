/*
 * What Aurora's interface cannot say: Thesan's own calls. A client of Aurora's never needs them.
 *
 * Times are milliseconds since 1970 UTC.
 */

include "aurora.thrift"

namespace java org.thesan.gen
namespace py gen.thesan

/** A server as it sees itself. */
struct ServerState {
  1: string version
  2: string clusterName
  3: i64 startedTimestampMs
  /** Everything up to this offset of the changelog is durable. */
  4: i64 committedOffset
  /** Counts take-overs: a higher epoch shuts out a lower one. */
  5: i64 epoch
  /** Names the history the offsets belong to; a restore begins a new one. */
  6: string lineage
  7: i64 activeUpdates
  8: i64 activeTasks
}

/** All of Aurora's interface, and ours. */
service Scheduler extends aurora.AuroraAdmin {
  ServerState getServerState()
}
