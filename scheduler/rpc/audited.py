"""Which calls are audited, and what of their arguments stands in the audit trail.

Heartbeats are not, as long as they only say that all is well or ask to wait: there are thousands a second, and what one
of them changes stands in the update's history.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import evolve

from scheduler.core.answers import Answer
from scheduler.core.queries import StartedUpdate
from scheduler.interface import aurora, thesan
from scheduler.rpc.access import JOBS, READS
from scheduler.rpc.callers import Caller
from scheduler.security.audit import Deed, request_id

_ONLY_READ: Final = frozenset({"listBackups", "queryRecovery", "maintenanceStatus"})
_QUIET: Final = (thesan.HeartbeatVerdict.PROCEED, thesan.HeartbeatVerdict.WAIT)
_TARGETS: Final = ("ownerRole", "taskId", "backupId")
_KEYS: Final = (aurora.JobKey, aurora.JobUpdateKey)
"""Stand in the target."""
_LONG: Final = (aurora.TaskConfig,)

UNKNOWN: Final = "UNKNOWN"
"""The result of what may have happened, and may not."""

MAX_STRING: Final = 200
MAX_ITEMS: Final = 20
MAX_DEPTH: Final = 4


def is_audited(method: str, args: Any) -> bool:
    """Does the call change something, if it is carried out?"""
    if method in READS or method in _ONLY_READ or method == "pulseJobUpdate":
        return False
    if method == "heartbeat":
        return args.heartbeat is not None and args.heartbeat.verdict not in _QUIET
    if method == "heartbeatMany":
        return any(beat.verdict not in _QUIET for beat in args.heartbeats or ())
    return True


def target(method: str, args: Any) -> str:
    """The jobs as role/environment/name, with the update's id behind it; or whatever else the call is about."""
    if method in JOBS:
        jobs = dict.fromkeys(_path(key) for key in _first(JOBS[method](args)) if key is not None)
        update = getattr(getattr(args, "key", None) or getattr(args, "heartbeat", None), "id", None)
        return ", ".join(jobs) + (f"/{update}" if update else "")
    for name in _TARGETS:
        if (found := getattr(args, name, None)) is not None:
            return str(found)[:MAX_STRING]
    hosts = getattr(args, "hosts", None)
    return ", ".join(sorted(hosts.hostNames or ())[:MAX_ITEMS]) if hosts is not None else ""


def arguments(args: Any) -> Mapping[str, Any]:
    """What is set of the rest, cut to a size that nobody can swell: long texts, lists and configurations."""
    found = _plain(args, 0)
    assert isinstance(found, dict)
    return found


def deed(method: str, args: Any, caller: Caller, answer: Answer) -> Deed:
    """One line of the trail. An update that was started is named by the id it got."""
    started = f"/{answer.result.key.id}" if isinstance(answer.result, StartedUpdate) and answer.ok else ""
    return Deed(
        user=caller.user,
        address=caller.address,
        call=method,
        target=target(method, args) + started,
        arguments=arguments(args),
        result=answer.code.name,
        details=_in_one(answer.details),
        request_id=request_id(caller.request_id),
    )


def ended(begun: Deed, answer: Answer | None) -> Deed:
    """The line of what took its time, once it is over. Without an answer nobody knows what became of it."""
    if answer is None:
        return evolve(begun, result=UNKNOWN, details="")
    return evolve(begun, result=answer.code.name, details=_in_one(answer.details))


def _in_one(details: Iterable[str | None]) -> str:
    return ", ".join(detail for detail in details if detail)


def _plain(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= MAX_STRING else f"{value[:MAX_STRING]}... ({len(value)} characters)"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, list | tuple | set | frozenset):
        plain = {type(item) for item in value} in ({int}, {str})
        items = sorted(value) if plain else list(value)
        shown = [_plain(item, depth + 1) for item in items[:MAX_ITEMS]]
        return shown if len(items) <= MAX_ITEMS else [*shown, f"and {len(items) - MAX_ITEMS} more"]
    spec = getattr(value, "thrift_spec", None)
    if spec is None:
        return value
    if depth >= MAX_DEPTH:
        return "..."
    entries = (entry for entry in spec.values() if depth or entry[1] not in _TARGETS)
    fields = ((entry[1], _named(entry, getattr(value, entry[1]))) for entry in entries)
    return {name: _plain(one, depth + 1) for name, one in fields if not _is_left_out(one)}


def _named(entry: tuple[Any, ...], value: Any) -> Any:
    """The names of an enum's values, where the field is one or holds some."""
    if isinstance(value, int):
        names = getattr(entry[2], "_VALUES_TO_NAMES", None)
        return value if names is None else names.get(value, value)
    if isinstance(value, list | set | frozenset) and isinstance(entry[2], tuple):
        names = getattr(entry[2][1], "_VALUES_TO_NAMES", None)
        return value if names is None else {names.get(one, one) for one in value}
    return value


def _is_left_out(value: Any) -> bool:
    return value is None or value in ([], "", {}) or isinstance(value, (*_KEYS, *_LONG))


def _first(keys: Iterable[Any]) -> list[Any]:
    return [key for key, _ in zip(keys, range(MAX_ITEMS), strict=False)]


def _path(key: Any) -> str:
    return f"{key.role}/{key.environment}/{key.name}"[: 3 * MAX_STRING]
