"""Where several schedulers share a log and agree who leads."""

from __future__ import annotations

from typing import Final

from scheduler.app.flags.kinds import MS_OF_UNIT, Duration
from scheduler.app.flags.places import Credentials, HostPorts, ZkPath
from scheduler.app.flags.rows import Flag, Group, Unused

MAX_SESSION_MS: Final = 24 * MS_OF_UNIT["days"]
"""A request for a session has 31 bits for it. Servers grant twenty of their ticks at most, usually 40 s."""

GROUP = Group(
    "ZooKeeper",
    (
        Flag(
            "zk_endpoints",
            HostPorts(),
            "zk_endpoints",
            "Several schedulers share one log there, and one of them leads. Without it this one is alone.",
            "one scheduler needs no ZooKeeper",
            differs="not needed: without it the log is kept in --data-dir",
        ),
        Flag(
            "serverset_path",
            ZkPath(),
            "serverset_path",
            "Where clients look for the leader, and where schedulers stand for election.",
            "where clients look unless told otherwise",
            differs="has a default, the one that Aurora's documentation uses",
        ),
        Flag(
            "zk_log_path",
            ZkPath(),
            "zk_log_path",
            "Where the log is, one for each cluster.",
            "two clusters on one ensemble must not share a log",
            default="/thesan/NAME",
        ),
        Flag(
            "zk_session_timeout",
            Duration(1, MAX_SESSION_MS),
            "zk_session_timeout_ms",
            "How long a leader may be silent before another one is elected. ZooKeeper grants at least two of its ticks"
            " (tickTime, 2 s by default), and what it grants counts.",
            "the least that ZooKeeper grants as it comes: a dead leader is missed soon, and a pause of its machine of"
            " one or two seconds is forgiven",
            differs="4secs, not 15secs: a leader that is only slow is suspended and goes on, it need not restart",
        ),
        Flag(
            "zk_chroot_path",
            ZkPath(),
            "zk_chroot_path",
            "Stands before every path in ZooKeeper.",
            "none is needed on an ensemble of one's own",
            differs="",
        ),
        Flag(
            "zk_digest_credentials",
            Credentials(),
            "zk_digest_credentials",
            "Nodes made with them may be changed by nobody else, and read by everybody.",
            "an ensemble on a closed network needs none",
            differs="",
        ),
        Flag(
            "serve_stale_reads",
            Duration(),
            "serve_stale_reads_ms",
            "A standby answers reads from what it has read of the log, if that is no older. 0: it answers none. Below"
            " 2 s it has nothing young enough now and then, since it looks once a second.",
            "who is not told otherwise expects to read what was written a moment ago",
        ),
        Unused("zk_connection_timeout", "another server is tried after half a second, until the session is over"),
        Unused("serverset_endpoint_name", "it is http, or https with TLS: what clients take as the scheme"),
        Unused("zk_in_proc", "without ZooKeeper, the log is kept in --data-dir", switch=True, only=("FALSE",)),
    ),
)
