"""Where several schedulers agree who leads."""

from __future__ import annotations

from scheduler.app.flags.rows import Group, Unused

NOT_YET = "this server keeps its log in --data-dir and stands alone"

GROUP = Group(
    "ZooKeeper",
    (
        Unused("zk_endpoints", NOT_YET),
        Unused("serverset_path", NOT_YET),
        Unused("zk_session_timeout", NOT_YET),
        Unused("zk_connection_timeout", NOT_YET),
        Unused("zk_chroot_path", NOT_YET),
        Unused("zk_digest_credentials", NOT_YET),
        Unused("serverset_endpoint_name", NOT_YET),
        Unused("zk_in_proc", "without ZooKeeper, the log is kept in --data-dir", switch=True, only=("FALSE",)),
    ),
)
