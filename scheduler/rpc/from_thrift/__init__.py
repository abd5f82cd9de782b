"""One direction of the border: thriftpy2 structs become core records.

What clients send in different ways for the same thing becomes one thing here: unset and zero, unset and empty, an owner
without a user and no owner, a blank message and none. What cannot be a record (a union without a branch, a number that
is no value of its enum, a resource amount that is not a finite number) is refused with the field's name; everything
else is for the core to judge.
"""

from scheduler.rpc.from_thrift.jobs import job_configuration, quota_resources, sla_policy, task_config
from scheduler.rpc.from_thrift.keys import host_names, instance_ids, job_key, message, update_key
from scheduler.rpc.from_thrift.queries import task_query, update_query
from scheduler.rpc.from_thrift.updates import update_request

__all__ = [
    "host_names",
    "instance_ids",
    "job_configuration",
    "job_key",
    "message",
    "quota_resources",
    "sla_policy",
    "task_config",
    "task_query",
    "update_key",
    "update_query",
    "update_request",
]
