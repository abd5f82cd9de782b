"""An update in the middle of its roll, and its monitor, whose network can be cut."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Any, Final

from scheduler.core.updates.records import UpdateStatus
from scheduler.interface import aurora
from scheduler.testing import asking
from scheduler.testing.cluster import BROKEN
from scheduler.testing.drills.doors import Answers, LeaderDoor
from scheduler.testing.drills.place import Node
from scheduler.testing.drills.watch import Watch
from scheduler.testing.history.recorder import Recorder, Said, blank
from scheduler.testing.history.records import Heard, Kind, in_words
from scheduler.testing.proxy import Proxy

__all__ = ["PULSE_TIMEOUT_MS", "Rolling"]

JOB: Final = "rolling"
INSTANCES: Final = 8
WATCH_MS: Final = 600
PULSE_TIMEOUT_MS: Final = 1_000
BEAT_EVERY_S: Final = 0.25


class Rolling:
    """Use as a context. The monitor reaches each scheduler through a proxy; nobody else does."""

    def __init__(self, nodes: Sequence[Node], watch: Watch, recorder: Recorder, answers: Answers) -> None:
        self._stack = ExitStack()
        self._proxies = {node.name: self._stack.enter_context(Proxy(node.thrift_port, node.host)) for node in nodes}
        ways = {name: ("127.0.0.1", proxy.port) for name, proxy in self._proxies.items()}
        self._monitors_door = LeaderDoor(watch, ways=ways)
        self._door = LeaderDoor(watch, answers)
        self._recorder = recorder
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="monitor", daemon=True)
        self.key: Any = None
        self.beats = 0
        """That were answered."""

    def __enter__(self) -> Rolling:
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self.heal()
        if self._thread.is_alive():
            self._thread.join()
        self._monitors_door.close()
        self._door.close()
        self._stack.close()

    def start(self) -> None:
        """The job, the update, the first heartbeat. Raises RuntimeError for a refusal."""
        everybody = frozenset(range(INSTANCES))
        token = self._recorder.token("rolling")
        self._ask(token, Kind.CREATE_JOB, everybody, description=asking.job(JOB, "sleep 600", INSTANCES, token=token))
        token = self._recorder.token("rolling")
        request = asking.update_request(
            JOB, "sleep 601", INSTANCES, token=token, pulse_timeout_ms=PULSE_TIMEOUT_MS, watch_ms=WATCH_MS
        )
        said = self._ask(token, Kind.START_UPDATE, everybody, request=request, message=in_words(token))
        self.key = said.response.result.startJobUpdateResult.key
        self._thread.start()

    def _ask(self, token: str, kind: Kind, instances: frozenset[int], **arguments: Any) -> Said:
        call = blank(token, kind, f"www/prod/{JOB}", instances=instances)
        said = self._recorder.call(call, lambda: self._door.call(kind.value, **arguments))
        if said.call.heard is not Heard.ACKNOWLEDGED:
            raise RuntimeError(f"{kind.value} of the drill's own job: {said.call.answer}")
        return said

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_EVERY_S):
            try:
                self._monitors_door.call("pulseJobUpdate", key=self.key)
                self.beats += 1
            except BROKEN:
                self._monitors_door.close()

    def cut(self) -> None:
        """Connections stay open, and nothing comes through: a cable that was pulled."""
        for proxy in self._proxies.values():
            proxy.lose()

    def heal(self) -> None:
        for proxy in self._proxies.values():
            proxy.heal()

    def status(self) -> UpdateStatus | None:
        """As the leader says; None while nobody does."""
        with suppress(*BROKEN):
            query = asking.update_query(key=self.key)
            response = self._door.call("getJobUpdateSummaries", jobUpdateQuery=query)
            if response.result is not None:
                (summary,) = response.result.getJobUpdateSummariesResult.updateSummaries
                return UpdateStatus(summary.state.status)
            return None
        self._door.close()
        return None

    def instances_begun_ms(self) -> list[int]:
        """When the update began with an instance, each of them, by the wall's clock."""
        self._door.close()
        query = asking.update_query(key=self.key)
        response = self._door.call("getJobUpdateDetails", key=None, query=query)
        (found,) = response.result.getJobUpdateDetailsResult.detailsList
        updating = aurora.JobUpdateAction.INSTANCE_UPDATING
        return [event.timestampMs for event in found.instanceEvents if event.action == updating]
