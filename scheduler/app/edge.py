"""The ports of one server: HTTP and raw Thrift, open as long as the process lives, whoever leads."""

from __future__ import annotations

import getpass
import logging
import resource
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Final

from scheduler.app.archive import Archive
from scheduler.app.ports import refusal
from scheduler.app.security import Security
from scheduler.app.status import Status
from scheduler.controller.gateway import Gateway
from scheduler.rpc import to_thrift
from scheduler.rpc.apibeta import ApiBeta
from scheduler.rpc.arriving import Arriving
from scheduler.rpc.doors import Doors
from scheduler.rpc.handler import Handler
from scheduler.rpc.http import Api
from scheduler.rpc.processor import Processor
from scheduler.rpc.socket import RawServer
from scheduler.rpc.writers import Writers
from scheduler.settings import Settings
from scheduler.stream.reader import Stream
from scheduler.web import server as web
from scheduler.web.app import application
from scheduler.web.events import EventSource
from scheduler.web.pages.process import Ending
from scheduler.web.pages.table import pages
from scheduler.web.protocol import Limits
from scheduler.web.redirect import Leader

RESERVED_DESCRIPTORS: Final = 256
"""For files, engines and tasks."""

LOG = logging.getLogger("thesan")


class Edge:
    """Use as an async context: inside, the ports answer."""

    def __init__(
        self,
        settings: Settings,
        gateway: Gateway,
        status: Status,
        stream: Stream,
        archive: Archive,
        leader: Callable[[], Leader],
        ending: Ending | None = None,
    ) -> None:
        self._settings = settings
        about = to_thrift.ServerInfo(settings.cluster_name, settings.stats_url_prefix)
        handler = Handler(gateway, about, status.server_state, stream, archive)
        self._security = Security(settings)
        processor = Processor(
            handler,
            observe=status.observe,
            max_outstanding_bytes=settings.max_outstanding_answer_bytes,
            access=self._security.access,
            limits=self._security.limits,
            audit=self._security.audit,
        )
        self._doors = _doors(settings)
        arriving = Arriving(settings.max_unfinished_message_bytes)
        self._raw = RawServer(
            processor,
            message_timeout_s=settings.request_timeout_ms / 1000,
            max_message_bytes=settings.max_message_bytes,
            doors=self._doors,
            arriving=arriving,
            tls=self._security.tls,
        )
        status.add(lambda: {**_of_doors(self._doors), **_of_replies(processor), **_of_stream(stream)})
        status.add(lambda: _of_arriving(arriving))
        status.add(self._security.metrics)
        status.add(archive.metrics)
        events = EventSource(stream)
        status.add(lambda: {"events_listeners": events.listeners})
        cors = settings.enable_cors_for
        self._web_app = application(
            Api(processor, enable_cors_for=cors, max_message_bytes=settings.max_message_bytes, arriving=arriving),
            pages(gateway, Writers(), status.metrics, ending, cluster_name=settings.cluster_name),
            leader,
            apibeta=ApiBeta(processor, max_message_bytes=settings.max_message_bytes, arriving=arriving),
            events=events,
            hostnames=(settings.hostname,),
            enable_cors_for=cors,
            realm=self._security.realm,
            limits=self._security.limits,
            audit=self._security.audit,
        )
        self._web: web.WebServer | None = None
        self._responses: Counter[bytes] = Counter()
        status.add(lambda: _of_responses(self._responses))

    @property
    def http_port(self) -> int:
        """The real one, once inside."""
        assert self._web is not None
        return self._web.port

    def hang_up(self) -> None:
        """This server leads no longer: whoever is connected shall look for the leader again. Answers that are due
        leave first.
        """
        self._raw.hang_up()
        if self._web is not None:
            self._web.hang_up()

    async def __aenter__(self) -> Edge:
        settings = self._settings
        ip = settings.ip
        try:
            limits = Limits(request_s=settings.request_timeout_ms / 1000)
            self._web = await web.start(
                self._web_app,
                ip,
                settings.http_port,
                limits=limits,
                doors=self._doors,
                tls=self._security.tls,
                responses=self._responses,
            )
        except OSError as error:
            raise refusal("--http-port", ip, settings.http_port, error) from error
        try:
            thrift_port = await self._raw.start(ip, settings.thrift_port)
        except OSError as error:
            await self._web.stop()
            raise refusal("--thrift-port", ip, settings.thrift_port, error) from error
        scheme, raw = ("http", "raw Thrift") if self._security.tls is None else ("https", "raw Thrift in TLS")
        LOG.info("HTTP on %s://%s:%d (Thrift at /api), %s on %s:%d", scheme, ip, self._web.port, raw, ip, thrift_port)
        self._security.start()
        if self._security.realm is None:
            LOG.warning("whoever reaches these ports can run processes here as user %s", _user())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._security.stop()
        await self._raw.stop()
        assert self._web is not None
        await self._web.stop()


def _doors(settings: Settings) -> Doors:
    """As many connections as are allowed, and as there are file descriptors for."""
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    most = max(1, descriptors - RESERVED_DESCRIPTORS)
    if descriptors != resource.RLIM_INFINITY and most < settings.max_connections:
        LOG.warning(
            "there are %d file descriptors: at most %d connections are let in, not %d (raise ulimit -n)",
            descriptors,
            most,
            settings.max_connections,
        )
    else:
        most = settings.max_connections
    return Doors(max_connections=most, max_connections_per_address=settings.max_connections_per_address)


def _of_doors(doors: Doors) -> dict[str, int]:
    return {"rpc_connections": doors.connections, "rpc_connections_refused": doors.refused}


def _of_arriving(arriving: Arriving) -> dict[str, int]:
    return {"rpc_unfinished_message_bytes": arriving.bytes, "rpc_unfinished_messages_refused": arriving.refused}


def _of_replies(processor: Processor) -> dict[str, int]:
    processor.pulses.tell()
    outstanding = processor.replies.outstanding
    kept = {f"rpc_pieces_{name}": count for name, count in processor.replies.held().items()}
    return {
        "rpc_large_answers": outstanding.answers,
        "rpc_large_answer_bytes": outstanding.bytes,
        "rpc_pulses_recognised": len(processor.pulses),
        **kept,
    }


def _of_stream(stream: Stream) -> dict[str, int]:
    events, size = stream.held
    return {
        "events_held": events,
        "events_held_bytes": size,
        "events_readers_waiting": stream.waiting,
        "events_tail_reads": stream.tail_reads,
    }


def _of_responses(responses: Counter[bytes]) -> dict[str, int]:
    """By status; 500 is there before there is one, since operators wait for it."""
    return {f"http_{int(status)}_responses_events": count for status, count in ({b"500": 0} | responses).items()}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
