/*
 * Records of the changelog and of snapshots.
 */

include "aurora.thrift"

namespace java org.thesan.storage
namespace py gen.thesan_storage
