"""The log, snapshots and backups."""

from __future__ import annotations

from scheduler.app.flags.kinds import Duration, File, Number
from scheduler.app.flags.rows import Flag, Group, Unused

NO_LOG = "there is no Mesos log: the changelog is kept in --data-dir, or in ZooKeeper"

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
        Flag(
            "backup_dir",
            File(),
            "backup_dir",
            "Where backups are kept.",
            "there they are found, but better is another disk",
            differs="Aurora requires it",
            default="`backups` in --data-dir",
        ),
        Flag(
            "backup_interval",
            Duration(60_000),
            "backup_interval_ms",
            "The leader makes a backup so long after the newest one.",
            "as Aurora",
            differs="a timer of its own; Aurora's goes with the next snapshot. At least a minute",
        ),
        Flag(
            "max_saved_backups",
            Number(1),
            "max_saved_backups",
            "The oldest backups above this number are deleted.",
            "as Aurora",
            differs="",
        ),
    ),
)
