"""Records as JSON, fields by name, for pages: the same fields as on the wire."""

from __future__ import annotations

from scheduler.core.records import JobConfiguration, Task, TaskConfig
from scheduler.rpc import to_thrift
from scheduler.rpc.plain_json import PLAIN


class Writers:
    """See `web/pages/table.py`."""

    def config(self, config: TaskConfig) -> str:
        return PLAIN.write_struct(to_thrift.task_config(config))

    def job(self, job: JobConfiguration) -> str:
        return PLAIN.write_struct(to_thrift.job_configuration(job))

    def task(self, task: Task) -> str:
        return PLAIN.write_struct(to_thrift.scheduled_task(task, with_data=True))
