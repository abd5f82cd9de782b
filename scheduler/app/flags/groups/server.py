"""What this server is and what it keeps."""

from __future__ import annotations

from scheduler.app.flags.kinds import Choice, File, Name, Text
from scheduler.app.flags.rows import Flag, Group, Unused

GROUP = Group(
    "This server",
    (
        Flag(
            "cluster_name",
            Name(),
            "cluster_name",
            "The cluster's name; stands in every answer.",
            "one machine is a cluster of its own",
            differs="Aurora requires it",
        ),
        Flag(
            "hostname",
            Text(),
            "hostname",
            "The name of this host as clients know it.",
            "as the system says",
            differs="",
            default="this machine's name",
        ),
        Flag(
            "data_dir",
            File(),
            "data_dir",
            "Where the changelog and the local engine keep everything.",
            "needs no rights",
            default="$XDG_STATE_HOME/thesan",
        ),
        Flag(
            "log_level",
            Choice("debug", "info", "warning", "error"),
            "log_level",
            "What is logged.",
            "a line a decision",
        ),
        Flag(
            "viz_job_url_prefix",
            Text(),
            "stats_url_prefix",
            "Stands in every answer as statsUrlPrefix: where a person finds the graphs of a job.",
            "nobody knows your graphs",
            differs="",
        ),
        Unused("stat_sampling_interval", "figures are read when they are asked for; a monitor keeps their past"),
        Unused("stat_retention_period", "figures are read when they are asked for; a monitor keeps their past"),
        Unused("async_worker_threads", "one thread decides everything"),
        Unused("max_status_update_batch_size", "what waits together is committed together, however much it is"),
        Unused("max_task_event_batch_size", "what waits together is committed together, however much it is"),
        Unused("thrift_method_interceptor_modules", "Java classes cannot be loaded"),
        Unused("max_registration_delay", "there is no framework to register"),
        Unused("max_leading_duration", "a leader leads as long as it can; Aurora ends it once a day against leaks"),
    ),
)
