"""The other direction of the border: core records become thriftpy2 structs.

One function per record, so that pieces of an answer can be kept. As Aurora does, plain numbers and flags and all
containers are always written, the optional containers too; strings and structs that are unset stay absent.
"""

from scheduler.rpc.to_thrift.jobs import job_configuration, task_config
from scheduler.rpc.to_thrift.responses import ServerInfo, ServerState, response, result, server_state
from scheduler.rpc.to_thrift.tasks import scheduled_task
from scheduler.rpc.to_thrift.updates import update_details, update_summary

__all__ = [
    "ServerInfo",
    "ServerState",
    "job_configuration",
    "response",
    "result",
    "scheduled_task",
    "server_state",
    "task_config",
    "update_details",
    "update_summary",
]
