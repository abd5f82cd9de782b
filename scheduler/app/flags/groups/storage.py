"""The log, snapshots and backups."""

from __future__ import annotations

from scheduler.app.flags.rows import Group, Unused

NO_LOG = "there is no Mesos log: the changelog is kept in --data-dir, or in ZooKeeper"
NO_BACKUP = "backups are not served yet"

GROUP = Group(
    "Storage",
    (
        Unused("native_log_file_path", NO_LOG),
        Unused("native_log_zk_group_path", NO_LOG),
        Unused("native_log_quorum_size", NO_LOG),
        Unused("native_log_election_timeout", NO_LOG),
        Unused("native_log_election_retries", NO_LOG),
        Unused("native_log_read_timeout", NO_LOG),
        Unused("native_log_write_timeout", NO_LOG),
        Unused(
            "dlog_snapshot_interval", "a checkpoint is made at every commit; its base is written when the log has grown"
        ),
        Unused("dlog_max_entry_size", "entries are of any size in --data-dir, and split by themselves in ZooKeeper"),
        Unused("backup_dir", NO_BACKUP),
        Unused("backup_interval", NO_BACKUP),
        Unused("max_saved_backups", NO_BACKUP),
    ),
)
