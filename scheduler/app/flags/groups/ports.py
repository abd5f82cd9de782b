"""Where it listens, and what the ports do with too much."""

from __future__ import annotations

from scheduler.app.flags.kinds import Duration, Number, Size, Text
from scheduler.app.flags.places import Address
from scheduler.app.flags.rows import Flag, Group
from scheduler.settings import MAX_MESSAGE_BYTES

GROUP = Group(
    "Ports",
    (
        Flag(
            "http_port",
            Number(0, 65_535),
            "http_port",
            "HTTP: Thrift at /api, /health, /vars. 0: any free one.",
            "that of Aurora's development cluster",
            differs="Aurora's default is 0, any free one",
        ),
        Flag(
            "thrift_port",
            Number(0, 65_535),
            "thrift_port",
            "Raw Thrift, framed or unframed. 0: any free one.",
            "the next one",
        ),
        Flag(
            "ip",
            Address(),
            "ip",
            "The address to listen on.",
            "whoever reaches it can run processes here",
            differs="Aurora listens on all addresses by default",
        ),
        Flag(
            "enable_cors_for",
            Text(),
            "enable_cors_for",
            "The one web origin whose pages may call /api.",
            "no page may",
            differs="",
        ),
        Flag(
            "max_message_bytes",
            Size(1024, MAX_MESSAGE_BYTES, bare=True),
            "max_message_bytes",
            "Of one Thrift call; a longer one is refused.",
            "16 MB less a byte, the longest frame that is told from a call without one",
        ),
        Flag(
            "request_timeout_ms",
            Duration(1, bare=True),
            "request_timeout_ms",
            "In which a request must arrive, and a client must take something of its answer.",
            "a slow link makes it, a dead one does not stay",
        ),
        Flag(
            "max_connections",
            Number(1),
            "max_connections",
            "On both ports together.",
            "17 MB of memory when idle",
        ),
        Flag(
            "max_connections_per_address",
            Number(1),
            "max_connections_per_address",
            "The same, from one address.",
            "one client cannot take them all",
        ),
        Flag(
            "max_unfinished_message_bytes",
            Size(bare=True),
            "max_unfinished_message_bytes",
            "Of long messages that are not complete, on all connections; beyond it only those up to 32 KB get in.",
            "as much memory as slow senders may hold",
        ),
        Flag(
            "max_outstanding_answer_bytes",
            Size(bare=True),
            "max_outstanding_answer_bytes",
            "Of large answers on their way; beyond it a read is to be tried again.",
            "as much memory as slow readers may hold",
        ),
    ),
)
