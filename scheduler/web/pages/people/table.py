"""Where the pages for people are. The addresses are those of Aurora's web UI, which its clients print."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from scheduler.core.records import JobKey
from scheduler.core.updates.records import UpdateKey
from scheduler.web.pages.bounded import Bounded
from scheduler.web.pages.page import Page
from scheduler.web.pages.people import job, roles, updates
from scheduler.web.pages.reading import Core, read, read_now
from scheduler.web.pages.writing import as_html

JOB: Final = "/scheduler/{role}/{env}/{job}"


def pages(core: Core, bounded: Bounded, cluster: str) -> Iterator[Page]:
    """`cluster` is what the first page is called."""

    async def shown(what: str, made: Callable[[], Awaitable[Any]]) -> Response:
        async def html() -> Response:
            parts = await made()
            if parts is None:
                raise HTTPException(404, f"There is no such {what}.\n")
            return as_html(parts)

        return await bounded.answer(html)

    async def all_roles(request: Request) -> Response:
        return await shown("page", lambda: read(core, roles.roles, cluster))

    async def of_role(request: Request) -> Response:
        given = request.path_params
        return await shown("role", lambda: read(core, roles.jobs_of, given["role"], given.get("env")))

    async def one_job(request: Request) -> Response:
        return await shown("job", lambda: read_now(core, job.job, _job(request)))

    async def one_instance(request: Request) -> Response:
        number = request.path_params["instance"]
        if not number.isdecimal() or len(number) > 9:
            raise HTTPException(404, "An instance is a number.\n")
        return await shown("instance", lambda: read(core, job.instance, _job(request), int(number)))

    async def one_task(request: Request) -> Response:
        return await shown("task", lambda: read(core, job.task, _job(request), request.path_params["id"]))

    async def all_updates(request: Request) -> Response:
        return await shown("page", lambda: read(core, updates.listed))

    async def one_update(request: Request) -> Response:
        key = UpdateKey(_job(request), request.path_params["id"])
        return await shown("update", lambda: read_now(core, updates.update, key))

    yield Page("/scheduler", all_roles)
    yield Page("/scheduler/{role}", of_role)
    yield Page("/scheduler/{role}/{env}", of_role)
    yield Page(JOB, one_job)
    yield Page(f"{JOB}/{{instance}}", one_instance)
    yield Page(f"{JOB}/task/{{id}}", one_task)
    yield Page(f"{JOB}/update/{{id}}", one_update)
    yield Page("/updates", all_updates)


def _job(request: Request) -> JobKey:
    given = request.path_params
    return JobKey(given["role"], given["env"], given["job"])
