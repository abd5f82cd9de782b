"""The simulated engine as schedulers see it: the `Engine` port over a connection to its server."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from scheduler.contracts import EngineError, EngineListener, EngineSnapshot, LaunchOrder, Signal
from scheduler.core.records import Host
from scheduler.engines.simulated.model import (
    Forget,
    HealHost,
    Launch,
    LoseHost,
    Order,
    RestoreHost,
    Send,
    SilenceHost,
)
from scheduler.engines.simulated.where import UnixSocket, Where
from scheduler.engines.simulated.wire import frame, host_from_json, order_to_json, read_frame, report_from_json

log = logging.getLogger(__name__)

ANSWER_SECS = 10.0
RECONNECT_SECS = 0.2


class SimulatedEngine:
    """Implements `contracts.Engine`. While the server is away, orders wait; they are idempotent, so sending one twice
    does no harm. After a reconnection everything the server knows is reported once more."""

    def __init__(self, where: Path | Where, *, cluster: str, on_fenced: Callable[[int], None] | None = None) -> None:
        """`where`: a path is that of the server's unix socket. `on_fenced` is called with the newer epoch when an order
        was refused because another scheduler leads."""
        self._where = UnixSocket(where.absolute()) if isinstance(where, Path) else where
        self._cluster = cluster
        self._on_fenced = on_fenced
        self._writer: asyncio.StreamWriter | None = None
        self._orders: list[Order] = []
        self._hosts: dict[str, Host] = {}
        self._snapshots: dict[int, asyncio.Future[tuple[list[str], list[Any]]]] = {}
        self._numbers = itertools.count(1)
        self._work: asyncio.Task[None] | None = None

    async def start(self, listener: EngineListener, *, epoch: int, lineage: str) -> None:
        """Attach. Raises EngineError when the server cannot be reached or refuses."""
        self._listener = listener
        self._hello = {"cluster": self._cluster, "lineage": lineage, "epoch": epoch}
        reader = await self._connect()
        self._work = asyncio.get_running_loop().create_task(self._stay(reader))

    async def stop(self) -> None:
        """Detach. The server and its tasks go on."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)
            self._work = None
        writer = self._writer
        self._disconnected()
        if writer is not None:
            with suppress(OSError):
                await writer.wait_closed()

    def launch(self, order: LaunchOrder) -> None:
        self._order(Launch.of(order))

    def signal(self, task_id: str, signal: Signal, *, epoch: int, host: str | None = None) -> None:
        self._order(Send(epoch, task_id, signal, host))

    def forget(self, task_ids: Sequence[str]) -> None:
        self._order(Forget(tuple(task_ids)))

    def logs(self, task_id: str) -> Sequence[str]:
        """None: nothing really runs."""
        return ()

    def lose_host(self, host: str) -> None:
        """For tests and drills: the host goes away with everything on it."""
        self._order(LoseHost(host))

    def restore_host(self, host: str) -> None:
        self._order(RestoreHost(host))

    def silence_host(self, host: str) -> None:
        """For tests and drills: nothing is heard of the host until it is healed; what runs there runs on."""
        self._order(SilenceHost(host))

    def heal_host(self, host: str) -> None:
        self._order(HealHost(host))

    async def reconcile(self) -> EngineSnapshot:
        if self._writer is None:
            raise EngineError(f"the simulated engine at {self._where} cannot be reached")
        self._flush()
        number = next(self._numbers)
        answer: asyncio.Future[tuple[list[str], list[Any]]] = asyncio.get_running_loop().create_future()
        self._snapshots[number] = answer
        self._writer.write(frame({"snapshot": number}))
        try:
            hosts, tasks = await asyncio.wait_for(answer, ANSWER_SECS)
        except TimeoutError:
            raise EngineError(f"the simulated engine at {self._where} did not answer in {ANSWER_SECS:g} s") from None
        finally:
            self._snapshots.pop(number, None)
        return EngineSnapshot(frozenset(hosts), tuple(map(report_from_json, tasks)))

    # --- orders ------------------------------------------------------------------------------------------------------

    def _order(self, order: Order) -> None:
        """Orders of one turn of the loop travel together."""
        if self._work is None:
            raise EngineError("the engine is not attached")
        if not self._orders:
            asyncio.get_running_loop().call_soon(self._flush)
        self._orders.append(order)

    def _flush(self) -> None:
        if self._orders and self._writer is not None:
            self._writer.write(frame({"orders": [order_to_json(order) for order in self._orders]}))
            self._orders = []

    # --- the connection ----------------------------------------------------------------------------------------------

    async def _connect(self) -> asyncio.StreamReader:
        try:
            reader, writer = await self._where.open()
        except OSError as e:
            raise EngineError(f"the simulated engine at {self._where} cannot be reached: {e.strerror or e}") from e
        writer.write(frame({"hello": self._hello}))
        try:
            answer = await asyncio.wait_for(read_frame(reader), ANSWER_SECS)
        except (TimeoutError, ValueError) as e:
            writer.close()
            raise EngineError(f"the simulated engine at {self._where} did not answer: {e}") from e
        if not answer or "attached" not in answer:
            writer.close()
            raise EngineError((answer or {}).get("refused", f"the simulated engine at {self._where} hung up"))
        self._writer = writer
        self._hosts.clear()  # all of them are told anew
        self._flush()
        return reader

    async def _stay(self, reader: asyncio.StreamReader) -> None:
        """Take in what the server says; when it goes away, wait for it and take up everything anew."""
        while True:
            try:
                while (message := await read_frame(reader)) is not None:
                    self._heard(message)
            except (ValueError, KeyError, TypeError) as e:  # of another version, for instance
                log.error("the simulated engine spoke nonsense: %r", e)
            self._disconnected()
            log.warning("the simulated engine at %s is gone; waiting for it", self._where)
            reader = await self._reconnect()

    async def _reconnect(self) -> asyncio.StreamReader:
        said = ""
        while True:
            await asyncio.sleep(RECONNECT_SECS)
            try:
                reader = await self._connect()
            except EngineError as e:
                if str(e) != said:
                    said = str(e)
                    log.warning("%s", said)
                continue
            assert self._writer is not None
            self._writer.write(frame({"snapshot": 0}))
            return reader

    def _heard(self, message: dict[str, Any]) -> None:
        if "reports" in message:
            self._listener.reported([report_from_json(each) for each in message["reports"]])
        elif "hosts" in message:
            self._hosts |= {each["name"]: host_from_json(each) for each in message["hosts"]}
            for gone in message["gone"]:
                self._hosts.pop(gone, None)
            self._listener.hosts_changed(list(self._hosts.values()))
        elif "snapshot" in message:
            hosts, tasks = message["of"], message["tasks"]
            waiting = self._snapshots.pop(message["snapshot"], None)
            if waiting is None:
                self._listener.reported([report_from_json(each) for each in tasks])
            elif not waiting.done():
                waiting.set_result((hosts, tasks))
        elif "fenced" in message:
            log.error("engine: order refused: epoch %s leads", message["fenced"])
            if self._on_fenced:
                self._on_fenced(message["fenced"])

    def _disconnected(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for answer in self._snapshots.values():
            if not answer.done():
                answer.set_exception(EngineError(f"the simulated engine at {self._where} hung up"))
        self._snapshots.clear()
