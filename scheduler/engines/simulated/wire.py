"""What client and server say to each other: frames of a 4-byte length and one JSON object.

Client: `hello`, `orders`, `snapshot`, `shutdown`. Server: `attached` or `refused`, `hosts` (those that are new or
changed, with the names of those that are `gone`), `reports`, `fenced`, `snapshot`. Frames of either side stay in order,
so a snapshot comes after the reports of what it contains.
"""

from __future__ import annotations

import asyncio
import json
import struct
from functools import lru_cache
from typing import Any, Final

from scheduler.contracts import Signal, TaskReport
from scheduler.core.records import Host, TaskStatus
from scheduler.engines.simulated.model import (
    Forget,
    HealHost,
    Launch,
    LoseHost,
    Order,
    RestoreHost,
    Send,
    SilenceHost,
)

MAX_FRAME_BYTES = 256 * 2**20
_LENGTH = struct.Struct(">I")
_HOST_ORDERS: Final[dict[type[LoseHost | RestoreHost | SilenceHost | HealHost], str]] = {
    LoseHost: "lose",
    RestoreHost: "restore",
    SilenceHost: "silence",
    HealHost: "heal",
}


def frame(message: dict[str, Any]) -> bytes:
    data = json.dumps(message, separators=(",", ":")).encode()
    return _LENGTH.pack(len(data)) + data


async def read_frame(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """None at the end of the stream. Raises ValueError for what is no frame."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        if length > MAX_FRAME_BYTES:
            raise ValueError(f"a frame of {length} bytes; at most {MAX_FRAME_BYTES} are taken")
        message = json.loads(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, OSError):  # also when a silent peer is given up
        return None
    if not isinstance(message, dict):
        raise ValueError("a frame holds one JSON object")
    return message


def order_to_json(order: Order) -> list[Any]:
    if isinstance(order, Launch):
        return ["launch", order.epoch, order.task_id, order.host, order.ports, order.told]
    if isinstance(order, Send):
        return ["send", order.epoch, order.task_id, order.signal.value, order.host]
    if isinstance(order, Forget):
        return ["forget", *order.task_ids]
    return [_HOST_ORDERS[type(order)], order.host]


def order_from_json(value: list[Any]) -> Order:
    """Raises ValueError."""
    match value:
        case ["launch", int(epoch), str(task_id), str(host), list(ports), told]:
            return Launch(epoch, task_id, host, tuple(ports), told)
        case ["send", int(epoch), str(task_id), str(signal), (str() | None) as host]:
            return Send(epoch, task_id, Signal(signal), host)
        case ["forget", *task_ids]:
            return Forget(tuple(task_ids))
        case [str(what), str(host)] if what in _HOST_ORDERS.values():
            kind = next(kind for kind, name in _HOST_ORDERS.items() if name == what)
            return kind(host)
    raise ValueError(f"not an order: {value!r}")


def report_to_json(report: TaskReport) -> list[Any]:
    return [report.task_id, report.status.value, report.message, report.timestamp_ms]


def report_from_json(value: list[Any]) -> TaskReport:
    return TaskReport(value[0], TaskStatus(value[1]), value[2], value[3])


def host_to_json(host: Host) -> dict[str, Any]:
    return {
        "name": host.name,
        "agent_id": host.agent_id,
        "cpus": host.cpus,
        "ram_mb": host.ram_mb,
        "disk_mb": host.disk_mb,
        "gpus": host.gpus,
        "ports": [host.ports[0], host.ports[-1]],
        "unavailable_from_ms": host.unavailable_from_ms,
        "attributes": [[name, list(values)] for name, values in host.attributes],
    }


def host_from_json(value: dict[str, Any]) -> Host:
    attributes = tuple((name, tuple(values)) for name, values in value["attributes"])
    return Host(**{**value, "ports": _ports(*value["ports"]), "attributes": attributes})


@lru_cache(maxsize=64)
def _ports(first: int, last: int) -> tuple[int, ...]:
    """One object for all hosts that hand out the same: ten thousand hosts with a thousand ports each are many."""
    return tuple(range(first, last + 1))
