"""Calls as bytes, replies as structs, with thriftpy2 doing the work."""

import struct
from typing import Any

from thriftpy2.protocol import TCyBinaryProtocol
from thriftpy2.transport import TCyBufferedTransport, TCyMemoryBuffer

from scheduler.interface import aurora, thesan
from scheduler.rpc.binary import BytesIn
from scheduler.rpc.tjson import JSON

JOB = aurora.JobKey(role="www", environment="prod", name="hello")
UPDATE = aurora.JobUpdateKey(job=JOB, id="u-1")


def args_of(method: str, **fields: Any) -> Any:
    args = getattr(thesan.Scheduler, f"{method}_args")()
    for name, value in fields.items():
        assert hasattr(args, name), name
        setattr(args, name, value)
    return args


def binary_call(method: str, seqid: int = 1, *, strict: bool = True, **fields: Any) -> bytes:
    out = TCyMemoryBuffer()
    protocol = TCyBinaryProtocol(out, strict_write=strict)
    protocol.write_message_begin(method, 1, seqid)
    protocol.write_struct(args_of(method, **fields))
    value: bytes = out.getvalue()
    return value


def json_call(method: str, seqid: int = 1, **fields: Any) -> bytes:
    return JSON.write(method, 1, seqid, args_of(method, **fields))


def raw_call(method: str, args: bytes, seqid: int = 1) -> bytes:
    """A strict header and whatever bytes stand for the arguments."""
    name = method.encode()
    return struct.pack(">Ii", 0x80010001, len(name)) + name + struct.pack(">i", seqid) + args


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(4, "big") + message


def read_reply(payload: bytes) -> tuple[str, int, int, Any]:
    """Method, kind, seqid and what the method returned (or the exception) of a TBinary reply."""
    from thriftpy2.thrift import TApplicationException

    protocol = TCyBinaryProtocol(TCyBufferedTransport(BytesIn(payload), max(1024, len(payload))))
    method, kind, seqid = protocol.read_message_begin()
    if kind == 3:
        exception = TApplicationException()
        protocol.read_struct(exception)
        return method, kind, seqid, exception
    result = getattr(thesan.Scheduler, f"{method}_result")()
    protocol.read_struct(result)
    return method, kind, seqid, result.success


def task_config(**changes: Any) -> Any:
    """A service's configuration that passes all checks of the core."""
    fields: dict[str, Any] = {
        "job": JOB,
        "isService": True,
        "resources": [aurora.Resource(numCpus=1.0), aurora.Resource(ramMb=64), aurora.Resource(diskMb=64)],
        "executorConfig": aurora.ExecutorConfig(name="AuroraExecutor", data='{"v": 1}'),
    }
    return aurora.TaskConfig(**{**fields, **changes})


def job(count: int = 1, **changes: Any) -> Any:
    config = task_config(**changes)
    return aurora.JobConfiguration(key=config.job, taskConfig=config, instanceCount=count)


def update_request(count: int = 1, data: str = '{"v": 2}', **settings: Any) -> Any:
    fields = {"updateGroupSize": 1, "maxFailedInstances": 0, "minWaitInInstanceRunningMs": 0}
    config = task_config(executorConfig=aurora.ExecutorConfig(name="AuroraExecutor", data=data))
    return aurora.JobUpdateRequest(
        taskConfig=config, instanceCount=count, settings=aurora.JobUpdateSettings(**{**fields, **settings})
    )
