"""Clients at work: each creates, kills and rolls jobs of its own, and all of them move a few shared updates about.

What a client does next is drawn from the seed; what the others and the killer do meanwhile is not.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, Final

from attrs import define, field

from scheduler.interface import aurora
from scheduler.testing import asking
from scheduler.testing.asking import UPDATE_ID, job_key
from scheduler.testing.cluster import BROKEN
from scheduler.testing.crash.doors import Door
from scheduler.testing.history.recorder import Recorder, Said, blank
from scheduler.testing.history.records import Heard, Kind, in_words

__all__ = ["Load", "Marks"]

JOBS_EACH: Final = 4
"""So many jobs a client keeps alive at once; each has one to three tasks."""
UPDATES_PER_JOB: Final = 8
"""The server keeps ten ended updates of a job; of those that are pruned nothing could be checked."""
PAUSE_S: Final = (0.002, 0.03)
RECONNECT_S: Final = 0.03
PULSE_TIMEOUT_MS: Final = 60_000


@define
class Marks:
    """Where tasks write down what they do: one file for each task id, one line for each time."""

    folder: Path
    starts: Path = field(init=False)
    ends: Path = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.starts, self.ends = self.folder / "starts", self.folder / "ends"
        for path in (self.starts, self.ends):
            path.mkdir(parents=True, exist_ok=True)

    def command(self, *, ends_after_s: float | None = None) -> str:
        begin = f"echo $$ >> {self.starts}/{{{{thermos.task_id}}}}"
        if ends_after_s is None:
            return f"{begin}; exec sleep 3600"
        return f"{begin}; sleep {ends_after_s}; echo $$ >> {self.ends}/{{{{thermos.task_id}}}}"

    @staticmethod
    def lines(folder: Path) -> dict[str, tuple[int, ...]]:
        """The pids that were written, by task id."""
        return {path.name: tuple(map(int, path.read_text().split())) for path in folder.iterdir()}


@define
class _Job:
    """A job as its client remembers it."""

    name: str
    instances: int
    service: bool
    updates: int = 0


@define
class Target:
    """An update as its client remembers it."""

    job: str
    id: str
    token: str
    coordinated: bool


class Board:
    """Updates that everybody may move: coordinated ones that never get a heartbeat, so that nothing else moves them."""

    def __init__(self) -> None:
        self.updates: list[Target] = []


class Client:
    """One thread, one connection at a time, its own jobs."""

    def __init__(self, number: int, door: Door, recorder: Recorder, marks: Marks, board: Board, random: Random) -> None:
        self.number = number
        self._door = door
        self._recorder = recorder
        self._marks = marks
        self._board = board
        self._random = random
        self._open = False
        self._jobs: list[_Job] = []
        self._updates: list[Target] = []
        self._made = 0
        self._habits: list[tuple[int, Callable[[], None]]] = [
            (4, self._create),
            (2, self._kill),
            (4, self._start_update),
            (10, self._pulse),
            (14, self._move_own),
            (20, self._move_shared),
            (15, self._look),
        ]

    def run(self, stop: threading.Event) -> None:
        weights = [weight for weight, _ in self._habits]
        while not stop.is_set():
            if self.connect():
                ((_, habit),) = self._random.choices(self._habits, weights)
                habit()
                time.sleep(self._random.uniform(*PAUSE_S))
            else:
                time.sleep(RECONNECT_S)
        self.close()

    def close(self) -> None:
        self._door.close()
        self._open = False

    def connect(self) -> bool:
        if self._open:
            return True
        try:
            self._door.open()
        except BROKEN:
            return False
        self._open = True
        return True

    def _ask(self, method: str, **arguments: Any) -> Any:
        try:
            return self._door.call(method, **arguments)
        except BROKEN:
            self.close()
            raise

    def change(self, kind: Kind, name: str, token: str, more: dict[str, Any], /, **arguments: Any) -> Said:
        """Ask for a change of the job `name`, through the recorder; `more` is what else is written down of the call."""
        call = blank(token, kind, f"www/prod/{name}", **more)
        return self._recorder.call(call, lambda: self._ask(kind.value, **arguments))

    def _token(self) -> str:
        return self._recorder.token(f"c{self.number}")

    # --- jobs ---

    def _create(self) -> None:
        if len(self._jobs) >= JOBS_EACH:
            self._kill()
            return
        service = self._random.random() < 0.75
        self.create(f"job-{self.number}-{self._made}", self._random.randint(1, 3), service=service)

    def create(self, name: str, instances: int, *, service: bool = True) -> None:
        self._made += 1
        token = self._token()
        command = self._marks.command(ends_after_s=None if service else self._random.choice((0.1, 0.4, 1.0)))
        wanted = asking.job(name, command, instances, token=token, service=service)
        more = {"instances": frozenset(range(instances)), "service": service}
        said = self.change(Kind.CREATE_JOB, name, token, more, description=wanted)
        if said.call.heard is Heard.UNKNOWN and self._random.random() < 0.5 and self.connect():
            said = self.change(Kind.CREATE_JOB, name, token, more, description=wanted)  # once more, as a person would
        # A job that may be there is left alone: a later kill or update could hide that only a part of it is.
        if said.call.heard is Heard.ACKNOWLEDGED:
            self._jobs.append(_Job(name, instances, service))

    def _kill(self) -> None:
        if not self._jobs:
            return
        job = self._random.choice(self._jobs)
        whole = self._random.random() < 0.7 or job.instances == 1
        some = frozenset() if whole else frozenset([self._random.randrange(job.instances)])
        token = self._token()
        said = self.change(
            Kind.KILL_TASKS,
            job.name,
            token,
            {"instances": some},
            job=job_key(job.name),
            instances=set(some) or None,
            message=in_words(token),
        )
        if whole and said.call.heard is not Heard.REFUSED:
            self._jobs.remove(job)

    # --- updates ---

    def _start_update(self) -> None:
        possible = [job for job in self._jobs if job.service and job.updates < UPDATES_PER_JOB]
        if possible:
            job = self._random.choice(possible)
            instances = max(1, min(3, job.instances + self._random.choice((-1, 0, 0, 1))))
            self.start_update(job.name, instances, coordinated=self._random.random() < 0.5)
            job.instances, job.updates = max(job.instances, instances), job.updates + 1

    def start_update(self, name: str, instances: int, *, coordinated: bool) -> Target | None:
        """Start one; if no answer comes, look whether it was started by starting it again with the same token."""
        token = self._token()
        timeout_ms = PULSE_TIMEOUT_MS if coordinated else 0
        request = asking.update_request(
            name, self._marks.command(), instances, token=token, pulse_timeout_ms=timeout_ms, group_size=2
        )
        more = {"instances": frozenset(range(instances))}
        id = None
        for _ in range(2):
            said = self.change(Kind.START_UPDATE, name, token, more, request=request, message=in_words(token))
            id = _started(said, token)
            if said.call.heard is not Heard.UNKNOWN or not self.connect():
                break
        if id is None:
            return None
        update = Target(name, id, token, coordinated)
        self._updates = [*self._updates[-5:], update]
        return update

    def _pulse(self) -> None:
        beating = [update for update in self._updates if update.coordinated]
        if beating:
            update = self._random.choice(beating)
            with suppress(*BROKEN):  # a heartbeat changes nothing that is kept
                self._ask("pulseJobUpdate", key=_key(update))

    def _move_own(self) -> None:
        if self._updates:
            kinds = (
                Kind.PAUSE_UPDATE,
                Kind.RESUME_UPDATE,
                Kind.RESUME_UPDATE,
                Kind.ABORT_UPDATE,
                Kind.ROLL_BACK_UPDATE,
            )
            self.move(self._random.choices(kinds, (4, 4, 4, 1, 1))[0], self._random.choice(self._updates))

    def _move_shared(self) -> None:
        if self._board.updates:
            kind = self._random.choice((Kind.PAUSE_UPDATE, Kind.RESUME_UPDATE))
            self.move(kind, self._random.choice(self._board.updates))

    def move(self, kind: Kind, update: Target) -> Said:
        token = self._token()
        return self.change(kind, update.job, token, {"update": update.id}, key=_key(update), message=in_words(token))

    def _look(self) -> None:
        if self._updates:
            update = self._random.choice(self._updates)
            query = asking.update_query(key=_key(update))

            def look() -> bool:
                response = self._ask("getJobUpdateSummaries", jobUpdateQuery=query)
                if response.result is None:
                    raise ConnectionError(f"answered with {response.responseCode}")
                found = response.result.getJobUpdateSummariesResult.updateSummaries or ()
                return any(summary.key.id == update.id for summary in found)

            self._recorder.looked(update.token, look)


def _key(update: Target) -> Any:
    return aurora.JobUpdateKey(job=job_key(update.job), id=update.id)


def _started(said: Said, token: str) -> str | None:
    """The id of the update this token belongs to, if the answer tells; a refusal may name it, too."""
    result = (
        None if said.response is None or said.response.result is None else said.response.result.startJobUpdateResult
    )
    if result is None or result.key is None:
        return None
    metadata = result.updateSummary.metadata if result.updateSummary else ()
    ours = any(one.key == UPDATE_ID and one.value == token for one in metadata or ())
    return str(result.key.id) if ours or said.call.heard is Heard.ACKNOWLEDGED else None


class Load:
    """All clients. `door_of` gives each the way it calls by, from its number."""

    def __init__(
        self, door_of: Callable[[int], Door], recorder: Recorder, marks: Marks, *, seed: int, clients: int = 4
    ) -> None:
        self.board = Board()
        self._stop = threading.Event()
        self._clients = [
            Client(
                number,
                door_of(number),
                recorder,
                marks,
                self.board,
                Random(f"{seed}/client/{number}"),
            )
            for number in range(clients + 1)
        ]
        self._threads: list[threading.Thread] = []

    def start(self, *, shared: int = 2) -> None:
        """Set up the shared updates, by the first client, then let the others loose."""
        first, *others = self._clients
        first.connect()
        for number in range(shared):
            first.create(f"board-{number}", 1)
            update = first.start_update(f"board-{number}", 1, coordinated=True)
            if update is None:
                raise RuntimeError(f"the shared update {number} was not started")
            self.board.updates.append(update)
        first.close()
        for client in others:
            thread = threading.Thread(
                target=client.run, args=(self._stop,), name=f"client-{client.number}", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Until every client has finished its last call."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            if thread.is_alive():
                raise RuntimeError(f"{thread.name} does not come back from its call")

    def abort(self, name: str, id: str) -> None:
        """For whoever tidies up in the end, when the clients are silent: end an update, by the first client."""
        first = self._clients[0]
        if first.connect():
            first.move(Kind.ABORT_UPDATE, Target(name, id, "", coordinated=False))
            first.close()
