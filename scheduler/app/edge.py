"""The ports of one server: HTTP and raw Thrift, open as long as the process lives, whoever leads."""

from __future__ import annotations

import getpass
import logging
from types import TracebackType

from scheduler.app.ports import refusal
from scheduler.app.status import Status
from scheduler.controller.gateway import Gateway
from scheduler.rpc import to_thrift
from scheduler.rpc.handler import Handler
from scheduler.rpc.http import Api
from scheduler.rpc.processor import Processor
from scheduler.rpc.socket import RawServer
from scheduler.settings import Settings
from scheduler.web import server as web
from scheduler.web.app import application

LOG = logging.getLogger("thesan")


class Edge:
    """Use as an async context: inside, the ports answer."""

    def __init__(self, settings: Settings, gateway: Gateway, status: Status) -> None:
        self._settings = settings
        handler = Handler(gateway, to_thrift.ServerInfo(settings.cluster_name), status.server_state)
        processor = Processor(handler, observe=status.observe)
        self._raw = RawServer(processor)
        cors = settings.enable_cors_for
        self._web_app = application(
            Api(processor, enable_cors_for=cors),
            status.metrics,
            hostnames=(settings.hostname,),
            enable_cors_for=cors,
        )
        self._web: web.WebServer | None = None

    async def __aenter__(self) -> Edge:
        settings = self._settings
        ip = settings.ip
        try:
            self._web = await web.start(self._web_app, ip, settings.http_port)
        except OSError as error:
            raise refusal("--http-port", ip, settings.http_port, error) from error
        try:
            thrift_port = await self._raw.start(ip, settings.thrift_port)
        except OSError as error:
            await self._web.stop()
            raise refusal("--thrift-port", ip, settings.thrift_port, error) from error
        LOG.info("HTTP on http://%s:%d (Thrift at /api), raw Thrift on %s:%d", ip, self._web.port, ip, thrift_port)
        LOG.warning("whoever reaches these ports can run processes here as user %s", _user())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._raw.stop()
        assert self._web is not None
        await self._web.stop()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
