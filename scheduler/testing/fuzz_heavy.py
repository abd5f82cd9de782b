"""The heaviest messages there can be: of each kind as much as the checks let pass, and as much as a message can hold.

Small changes of honest calls do not come near them, and what one of them costs the server nobody else can interrupt.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import combinations
from typing import Any, Final

from scheduler.interface import aurora, thesan
from scheduler.rpc.messages import (
    CALL,
    MAX_FIELDS,
    MAX_MESSAGE_BYTES,
    MAX_WEIGHT,
    STRING_WEIGHT,
    STRUCT_WEIGHT,
    Codec,
)
from scheduler.rpc.tjson import JSON

_STRUCTS: Final = MAX_WEIGHT // STRUCT_WEIGHT - 10
_STRINGS: Final = MAX_WEIGHT // STRING_WEIGHT - 100
_NUMBERS: Final = MAX_WEIGHT - 100
_FIELDS: Final = MAX_FIELDS - 10
_ROOM: Final = MAX_MESSAGE_BYTES - 100


def heavy(codec: Codec) -> dict[str, bytes]:
    """Messages by what they are full of."""
    return {**_allowed(codec), **(_json() if codec is JSON else _binary())}


def _allowed(codec: Codec) -> dict[str, bytes]:
    def call(method: str, **fields: Any) -> bytes:
        return codec.write(method, CALL, 1, getattr(thesan.Scheduler, f"{method}_args")(**fields))

    key = aurora.JobKey(role="www", environment="prod", name="hello")
    resources = [aurora.Resource(numCpus=1.0), aurora.Resource(ramMb=64), aurora.Resource(diskMb=64)]
    links = {f"{number:x}": "" for number in range(_STRINGS // 2)}
    return {
        "job keys": call("getTasksStatus", query=aurora.TaskQuery(jobKeys=[key] * _STRUCTS)),
        "task ids": call("getTasksStatus", query=aurora.TaskQuery(taskIds=["x"] * _STRINGS)),
        "instances": call("killTasks", job=key, instances=range(_NUMBERS)),
        "links": call("populateJobConfig", description=_job(key, taskLinks=links)),
        "metadata": call(
            "populateJobConfig",
            description=_job(key, metadata=[aurora.Metadata(key=f"{n}", value="") for n in range(_STRUCTS)]),
        ),
        **{
            name: call("populateJobConfig", description=_job(key, executorConfig=executor, resources=resources))
            for name, executor in _executors()
        },
    }


def _executors() -> Iterator[tuple[str, Any]]:
    """What tasks can be asked to run: much, or what could take long to understand."""
    process = {"name": "hello", "cmdline": "echo {{mesos.instance}}, [hello]\n", "max_failures": 1}
    most = [{**process, "name": f"{number}"} for number in range(500)]
    names = [step["name"] for step in reversed(most)]
    pairs = [{"order": [later, sooner]} for later, sooner in combinations(names[:100], 2)]
    tasks = {
        "an executor's data": {"processes": [process] * 90_000},
        "processes in order": {"processes": most, "constraints": [{"order": names}] * 20},
        "processes in many orders": {"processes": most, "constraints": pairs},
        "references": {"processes": [{**process, "cmdline": "{{mesos.instance}} " * 300_000}]},
        "references without an end": {"processes": [{**process, "cmdline": "{{thermos." * 600_000}]},
    }
    for name, task in tasks.items():
        yield name, aurora.ExecutorConfig(name="AuroraExecutor", data=json.dumps({"task": task}))


def _job(key: Any, **fields: Any) -> Any:
    return aurora.JobConfiguration(key=key, taskConfig=aurora.TaskConfig(job=key, **fields), instanceCount=1)


def _binary() -> dict[str, bytes]:
    def full_of(field: bytes, most: int) -> bytes:
        head = b"\x80\x01\x00\x01\x00\x00\x00\x0egetTierConfigs\0\0\0\1"
        return head + field * min(most, _ROOM // len(field)) + b"\0"

    fields = {
        "bools nobody knows": b"\x02\0\x63\0",
        "structs nobody knows": b"\x0c\0\x63\0",
        "lists nobody knows": b"\x0f\0\x63\x02\0\0\0\0",
    }
    found = {name: full_of(field, _ROOM) for name, field in fields.items()}
    found["bools that may pass"] = full_of(b"\x02\0\x63\0", _FIELDS)
    return found


def _json() -> dict[str, bytes]:
    def call(fields: str) -> bytes:
        return f'[1,"getJobs",1,1,{{{fields}}}]'.encode()

    def full_of(field: str, most: int) -> bytes:
        return call(",".join(field % (number % 32_000 + 100) for number in range(min(most, _ROOM // len(field) // 2))))

    def numbers(number: str, most: int = _NUMBERS) -> bytes:
        count = min(most, _ROOM // (len(number) + 1))
        return call(f'"77":{{"lst":["dbl",{count}{f",{number}" * count}]}}')

    return {
        "numbers nobody knows": full_of('"%d":{"i32":1}', _ROOM),
        "numbers that may pass": full_of('"%d":{"i32":1}', _FIELDS),
        "objects in objects": full_of('"%d":{"i32":{"a":{"b":1}}}', _ROOM),
        "long numbers": numbers("1" * 4299),
        "long fractions": numbers("1." + "1" * 20),
        "one endless fraction": numbers("1." + "1" * (_ROOM - 100)),
        "empty strings": call('"77":{"lst":["str",1' + ',""' * (_ROOM // 3 - 100) + "]}"),
        "escapes": call('"1":{"str":"' + r"\n" * (_ROOM // 2 - 100) + '"}'),
        "quotes, and brackets behind them": call(
            '"1":{"str":"' + r"\"" * (_ROOM // 2 - 1000) + '"},"77":{"lst":["rec",200' + ",{}" * 200 + "]}"
        ),
    }
