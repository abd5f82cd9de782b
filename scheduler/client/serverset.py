"""The leader as ZooKeeper has it: the one `member_` node under the serverset path (docs/zookeeper.md).

Read anew whenever it is asked for, in a session that lives as long as the look: a command is short, and a session that
is kept has to be kept alive.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any, Final

from scheduler.client.errors import Unreachable

PREFIX: Final = "member_"
SCHEMES: Final = ("https", "http")
"""By which endpoint a scheduler is called, the first that is there, as Aurora's own client does."""

CONNECT_S: Final = 4.0
ANSWER_S: Final = 2.0
SESSION_S: Final = 2.0
"""kazoo tries each server for as long as it wants the session to be."""


def read_leader(hosts: str, path: str) -> str:
    """The URL of the leader, without a path. Raises Unreachable: nothing was sent to any scheduler."""
    from kazoo.client import KazooClient  # only who looks in ZooKeeper waits for the import
    from kazoo.exceptions import KazooException, NoNodeError
    from kazoo.handlers.threading import KazooTimeoutError

    client = KazooClient(hosts, timeout=SESSION_S, logger=_silent())
    try:
        client.start(timeout=CONNECT_S)
        members = _members(client, path)
    except NoNodeError:
        raise Unreachable(f"ZooKeeper at {hosts} has no {path}: no scheduler was ever there", sent=False) from None
    except (KazooException, KazooTimeoutError) as failure:
        why = "no answer in time" if isinstance(failure, KazooTimeoutError) else type(failure).__name__
        raise Unreachable(f"cannot ask ZooKeeper at {hosts} who leads: {why}", sent=False) from failure
    finally:
        client.stop()
        client.close()
    if len(members) != 1:
        many = f"{len(members)} leaders" if members else "no leader"
        why = "a failover is under way" if members else "a failover is under way, or no scheduler runs"
        raise Unreachable(f"ZooKeeper at {hosts} has {many} under {path}: {why}", sent=False)
    return _url(members[0], f"ZooKeeper at {hosts} under {path}")


def _members(client: Any, path: str) -> Sequence[bytes]:
    from kazoo.exceptions import NoNodeError

    found = []
    for name in client.get_children_async(path).get(timeout=ANSWER_S):
        if name.startswith(PREFIX):
            try:
                found.append(client.get_async(f"{path}/{name}").get(timeout=ANSWER_S)[0])
            except NoNodeError:
                continue  # it went between the two
    return found


def _url(data: bytes, where: str) -> str:
    try:
        endpoints = json.loads(data)["additionalEndpoints"]
        scheme = next(one for one in SCHEMES if one in endpoints)
        host, port = str(endpoints[scheme]["host"]), int(endpoints[scheme]["port"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError, StopIteration):
        raise Unreachable(f"{where}: the leader's entry names no http or https endpoint", sent=False) from None
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _silent() -> logging.Logger:
    """kazoo warns of each server it cannot reach; a command says one sentence in the end."""
    logger = logging.getLogger(f"{__name__}.kazoo")
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
    return logger
