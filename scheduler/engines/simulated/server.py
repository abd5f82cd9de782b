"""The simulated cluster as a process: `thesan simulated-engine --listen HOST:PORT [--hosts N ...]`.

It outlives the schedulers that use it, and several may: reports go to those whose epoch is the newest, the others are
told that they are fenced. Schedulers of one machine start one for themselves, with `--socket PATH`: one server per
socket; a second one leaves without a word.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import define

from scheduler.engines.simulated.hosts import HostPlan, WrongHosts, read_hosts
from scheduler.engines.simulated.model import Begin, Model, Refused, Step
from scheduler.engines.simulated.options import Options, parse_arguments
from scheduler.engines.simulated.where import Address, listen_at, notice_silence
from scheduler.engines.simulated.wire import frame, host_to_json, order_from_json, read_frame, report_to_json
from scheduler.engines.unix_path import short_path

LOG = logging.getLogger(__name__)

MAX_UNREAD_BYTES = 64 * 2**20
MIN_SLEEP_SECS = 0.002
"""What happens closer together than this is reported together."""


@define(eq=False)
class _Client:
    writer: asyncio.StreamWriter
    epoch: int = -1
    """-1: has not said hello."""

    def tell(self, message: dict[str, Any]) -> None:
        if self.writer.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self.writer.close()  # it stands still; when it comes back it is told everything anew
        if not self.writer.is_closing():
            self.writer.write(frame(message))


class Server:
    """One model, its clients and its clock."""

    def __init__(
        self, options: Options, hosts: Sequence[HostPlan] | None = None, *, idle_exit_secs: float | None = None
    ) -> None:
        self._model = Model(options, hosts)
        self._told = self._model.hosts()
        self._clients: set[_Client] = set()
        self._idle_exit_secs = idle_exit_secs
        self._idle: asyncio.TimerHandle | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._stopped = asyncio.Event()
        self._offset_ms = time.time() * 1000 - time.monotonic() * 1000

    def _now_ms(self) -> float:
        """Reads like the wall clock, but never goes back."""
        return self._offset_ms + time.monotonic() * 1000

    async def run(self, listening: socket.socket) -> None:
        """Until somebody asks it to stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopped.set)
        is_local = listening.family == socket.AF_UNIX
        server = await (asyncio.start_unix_server if is_local else asyncio.start_server)(self._serve, sock=listening)
        self._watch_idle()
        self._go_on()
        await self._stopped.wait()
        server.close()
        for client in self._clients:
            client.writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = _Client(writer)
        connection = writer.get_extra_info("socket")
        if connection.family != socket.AF_UNIX:
            notice_silence(connection)
        self._clients.add(client)
        self._watch_idle()
        try:
            while (message := await read_frame(reader)) is not None:
                self._take(client, message)
                await writer.drain()
        except (ValueError, KeyError, TypeError, OSError) as e:
            client.tell({"refused": f"not understood: {e}"})
        finally:
            self._clients.discard(client)
            self._watch_idle()
            writer.close()

    def _take(self, client: _Client, message: dict[str, Any]) -> None:
        if "hello" in message:
            self._greet(client, Begin(**message["hello"]))
        elif "shutdown" in message:
            self._stopped.set()
        elif client.epoch < 0:
            raise ValueError("the first frame is hello")
        elif "orders" in message:
            orders = [order_from_json(each) for each in message["orders"]]
            self._publish(self._model.step(self._now_ms(), orders), client)
        elif "snapshot" in message:
            self._go_on()
            tasks = [report_to_json(report) for report in self._model.tasks()]
            client.tell({"snapshot": message["snapshot"], "of": self._model.all_hosts(), "tasks": tasks})
        self._set_alarm()

    def _greet(self, client: _Client, leader: Begin) -> None:
        try:
            self._model.begin(leader)
        except Refused as e:
            client.tell({"refused": str(e)})
            return
        client.epoch = leader.epoch
        client.tell({"attached": leader.epoch})
        client.tell({"hosts": [host_to_json(host) for host in self._told], "gone": []})

    def _publish(self, step: Step, sender: _Client | None = None) -> None:
        if sender is not None and step.fenced is not None:
            sender.tell({"fenced": step.fenced})
        messages: list[dict[str, Any]] = []
        if step.hosts_changed:
            messages.append(self._hosts_message())
        if step.reports:
            messages.append({"reports": [report_to_json(report) for report in step.reports]})
        for client in self._clients:
            if client.epoch == self._model.epoch:
                for message in messages:
                    client.tell(message)

    def _hosts_message(self) -> dict[str, Any]:
        """What changed of the hosts since everybody was told last: all of ten thousand would be 3 MB each time."""
        before, self._told = {host.name: host for host in self._told}, self._model.hosts()
        changed = [host_to_json(host) for host in self._told if before.pop(host.name, None) is not host]
        return {"hosts": changed, "gone": list(before)}

    def _go_on(self) -> None:
        self._publish(self._model.step(self._now_ms()))
        self._set_alarm()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        due_ms = self._model.next_ms()
        if due_ms is not None:
            wait_secs = max(MIN_SLEEP_SECS, (due_ms - self._now_ms()) / 1000)
            self._alarm = asyncio.get_running_loop().call_later(wait_secs, self._go_on)

    def _watch_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._idle_exit_secs is not None and not self._clients:
            self._idle = asyncio.get_running_loop().call_later(self._idle_exit_secs, self._stopped.set)


def listen(path: Path) -> socket.socket | None:
    """A socket at this path; None when another server has it. The lock beside it is held until the process ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with short_path(path) as address:
        listening.bind(address)
    path.chmod(0o600)
    listening.listen(16)
    return listening


def main(words: list[str] | None = None) -> int:
    """Serve until told to stop. Returns the exit code: 1 when the address cannot be had, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="thesan simulated-engine", description="A pretended cluster.")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--socket", type=Path, help="the unix socket to serve")
    place.add_argument(
        "--listen", type=_address, metavar="HOST:PORT", help="the address to serve; port 0: any free one"
    )
    parser.add_argument("--idle-exit-secs", type=float, help="leave when nobody was connected for so long (never)")
    options, arguments = parse_arguments(words, parser)
    try:
        hosts = read_hosts(Path(options.hosts_file), options) if options.hosts_file else None
    except WrongHosts as wrong:
        parser.error(f"--hosts-file: {wrong}")
    try:
        listening = listen(arguments.socket) if arguments.listen is None else listen_at(arguments.listen)
    except OSError as wrong:
        parser.exit(1, f"{parser.prog}: {arguments.listen or arguments.socket}: {wrong.strerror}\n")
    if listening is None:
        return 0
    if arguments.listen is not None:
        logging.basicConfig(format="%(asctime)s %(levelname)-7s %(message)s", level=logging.INFO)
        LOG.info("a pretended cluster on %s", Address(arguments.listen.host, listening.getsockname()[1]))
    try:
        asyncio.run(Server(options, hosts, idle_exit_secs=arguments.idle_exit_secs).run(listening))
    finally:
        if arguments.socket is not None:
            arguments.socket.unlink(missing_ok=True)
    return 0


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except ValueError as wrong:
        raise argparse.ArgumentTypeError(str(wrong)) from None


if __name__ == "__main__":
    sys.exit(main())
