"""Variables of the environment: what a flag is called there, and which names are nobody's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from scheduler.app.flags.aurora import unknown
from scheduler.app.flags.rows import Row

PREFIX: Final = "THESAN_"
COMMANDS: Final = (
    *("SERVER", "ZK", "CLUSTER", "SERVERSET_PATH", "LOGIN", "PASSWORD", "PASSWORD_FILE"),
    *("CA_FILE", "CLIENT_CERTIFICATE", "CLIENT_KEY"),
)
"""Where the commands find a server and who they are."""
TASKS: Final = ("TASK_ID", "SANDBOX", "CLUSTER", "ROLE", "ENVIRONMENT", "JOB", "INSTANCE", "HOST")
"""What a task is told: a scheduler may run as one."""
PORTS: Final = "PORT_"
"""And the ports of a task, each with its name behind that."""
OURS: Final = ("FAILPOINT", "SETUP_LOCKED")
"""Of tests and scripts."""

_NO_FLAGS: Final = frozenset((*COMMANDS, *TASKS, *OURS, "CONFIG"))


def variable(name: str) -> str:
    """The environment's name of a flag: `THESAN_HTTP_PORT`."""
    return PREFIX + name.upper()


def strangers(environment: Iterable[str], rows: Mapping[str, Row]) -> list[str]:
    """A sentence for each variable that looks like a flag and is none: one that is mistyped would go unheard."""
    known = _NO_FLAGS | {name.upper() for name in rows}
    found = sorted(name.removeprefix(PREFIX) for name in environment if name.startswith(PREFIX))
    return [
        unknown(f"{PREFIX}{name} in the environment is no flag of this server", name.lower(), rows)
        for name in found
        if name not in known and not name.startswith(PORTS)
    ]
