"""The pages, one row each: where, by which methods, who answers. `docs/compatibility.md` has a line for each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from scheduler.core.records import JobConfiguration, JobKey, Task, TaskConfig
from scheduler.web import metrics as figures
from scheduler.web.pages import cluster, consumption, people, process, single
from scheduler.web.pages.bounded import Bounded
from scheduler.web.pages.page import Page
from scheduler.web.pages.reading import Core, read
from scheduler.web.pages.writing import SAFE, Parts, as_html, as_json, preformatted, usage

FOR_LEADER: Final = (
    "/agents",
    "/api",
    "/cron",
    "/maintenance",
    "/mname",
    "/offers",
    "/pendingtasks",
    "/quotas",
    "/scheduler",
    "/slaves",
    "/state",
    "/tiers",
    "/updates",
    "/utilization",
)
"""Paths that begin so are for the leader; whoever does not lead sends the client on. As in Aurora, /apibeta too."""


def is_for_leader(path: str) -> bool:
    return path.startswith(FOR_LEADER)


class Writers(Protocol):
    """Records as JSON, fields by name: the wire knows how."""

    def config(self, config: TaskConfig) -> str: ...

    def task(self, task: Task) -> str: ...

    def job(self, job: JobConfiguration) -> str: ...


def pages(
    core: Core,
    write: Writers,
    metrics: figures.Metrics,
    ending: process.Ending | None = None,
    *,
    cluster_name: str = "",
) -> Iterator[Page]:
    """All pages. Without `ending`, none that ends the process."""
    yield Page("/", _first)
    yield Page("/index.html", _first)
    yield Page("/health", _health)
    yield Page("/vars", lambda request: figures.vars_text(metrics))
    yield Page("/vars.json", lambda request: figures.vars_json(metrics, request))
    yield Page("/metrics", lambda request: figures.prometheus(metrics))
    yield Page("/threads", process.threads)
    yield Page("/logconfig", process.log_levels, ("GET", "POST"))
    bounded = Bounded()
    yield from _of_state(core, write, bounded)
    yield from _utilization(core, bounded)
    yield from _of_one(core, write)
    yield from people.pages(core, bounded, cluster_name)
    if ending is not None:
        yield Page("/quitquitquit", process.ends(ending.quit, "Stopping.\n"), ("POST",))
        yield Page("/abortabortabort", process.ends(ending.abort, "Halting.\n"), ("POST",))


def _first(request: Request) -> Response:
    return RedirectResponse(people.HOME, 302, headers=SAFE)


def _health(request: Request) -> Response:
    return PlainTextResponse("OK\n")


def _of_state(core: Core, write: Writers, bounded: Bounded) -> Iterator[Page]:
    async def html(view: Any, *args: Any) -> Response:
        return await bounded.answer(lambda: _then(as_html, core, view, *args))

    async def parts(view: Any, *args: Any) -> Response:
        return await bounded.answer(lambda: _then(as_json, core, view, *args))

    async def small(view: Any, *args: Any) -> Response:
        return JSONResponse(await read(core, view, *args), headers=SAFE)

    yield Page("/agents", lambda request: html(cluster.agents))
    yield Page("/slaves", lambda request: html(cluster.agents))
    yield Page("/offers", lambda request: parts(cluster.offers))
    yield Page("/pendingtasks", lambda request: parts(cluster.pending_tasks))
    yield Page("/state", lambda request: parts(cluster.whole_state, write.config))
    yield Page("/maintenance", lambda request: parts(cluster.maintenance))
    yield Page("/quotas", lambda request: small(cluster.quotas, request.query_params.get("role")))
    yield Page("/cron", lambda request: small(cluster.cron))
    yield Page("/tiers", lambda request: small(cluster.tiers))


async def _then(write: Callable[[Parts], Response], core: Core, view: Any, *args: Any) -> Response:
    return write(await read(core, view, *args))


def _utilization(core: Core, bounded: Bounded) -> Iterator[Page]:
    async def html(view: Any, *args: Any) -> Response:
        return await bounded.answer(lambda: _then(as_html, core, view, *args))

    async def overview(request: Request) -> Response:
        return await html(consumption.overview)

    async def detail(request: Request) -> Response:
        metric, role = request.path_params["metric"], request.path_params.get("role")
        if metric not in consumption.METRICS:
            return usage(f"{metric!r} is no metric; there are {', '.join(consumption.METRICS)}")
        if role is None:
            return await html(consumption.by_role, metric)
        return await html(consumption.by_job, metric, role)

    yield Page("/utilization", overview)
    yield Page("/utilization/{metric}", detail)
    yield Page("/utilization/{metric}/{role}", detail)


def _of_one(core: Core, write: Writers) -> Iterator[Page]:
    async def dump_task(request: Request) -> Response:
        found = await read(core, single.task, request.path_params["id"])
        if found is None:
            raise HTTPException(404, "There is no such task.\n")
        return as_html(preformatted(found.task_id, json.dumps(json.loads(write.task(found)), indent=2)))

    async def dump_cron(request: Request) -> Response:
        given = request.path_params
        found = await read(core, single.cron_job, JobKey(given["role"], given["env"], given["job"]))
        if found is None:
            raise HTTPException(404, "There is no such cron job.\n")
        return as_html(preformatted(cluster.path_of(found.key), json.dumps(json.loads(write.job(found)), indent=2)))

    async def to_task(request: Request) -> Response:
        given = request.path_params
        if not given["instance"].isdecimal() or len(given["instance"]) > 9:
            return usage("Usage: /mname/{role}/{env}/{job}/{instance}, the instance a number")
        job = JobKey(given["role"], given["env"], given["job"])
        address = await read(core, single.address, job, int(given["instance"]))
        if address is None:
            raise HTTPException(404, "That instance does not run, or has no port that is meant for people.\n")
        rest = request.scope["raw_path"].decode("latin-1").split("/", 6)[6:]
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{address}/{''.join(rest)}{query}", 307, headers=SAFE)

    def mname_usage(request: Request) -> Response:
        return usage("Usage: /mname/{role}/{env}/{job}/{instance}")

    def dump_usage(request: Request) -> Response:
        return usage("Usage: /structdump/task/{task id} or /structdump/cron/{role}/{env}/{job}")

    yield Page("/structdump", dump_usage)
    yield Page("/structdump/task/{id}", dump_task)
    yield Page("/structdump/cron/{role}/{env}/{job}", dump_cron)
    yield Page("/mname", mname_usage)
    yield Page("/mname/{role}/{env}/{job}/{instance}", to_task, ("GET", "PUT", "POST", "DELETE"))
    yield Page("/mname/{role}/{env}/{job}/{instance}/{rest:path}", to_task, ("GET", "PUT", "POST", "DELETE"))
