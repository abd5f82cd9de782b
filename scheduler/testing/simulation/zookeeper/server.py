"""One server of the ensemble, and the connections that clients have with it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from attrs import define, field
from kazoo.exceptions import NoNodeError, ZookeeperError
from kazoo.protocol.serialization import Exists, GetChildren, GetData

from scheduler.testing.simulation.agenda import Agenda
from scheduler.testing.simulation.zookeeper.tree import Touched, Tree

__all__ = ["Asked", "Link", "Peer", "Server", "Session", "Watch", "Way"]

READS: Final = (GetData, Exists, GetChildren)


@define(eq=False)
class Session:
    """As the ensemble's leader knows it."""

    id: int
    timeout_ms: int
    heard_ms: int
    is_over: bool = False


class Way:
    """One direction of a connection: in order, each message a little later than it was sent.

    While there is a reason to hold it (`hold`, `release`), what arrives waits, as TCP would send it again and again.
    """

    def __init__(self, agenda: Agenda, delay_ms: Callable[[], int]) -> None:
        self._agenda = agenda
        self._delay_ms = delay_ms
        self._until_ms = 0
        self._sent: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._arrived = 0
        self._why_held: set[str] = set()
        self.is_gone = False

    def send(self, deed: Callable[..., object], *args: Any) -> None:
        self._sent.append((deed, args))
        self._until_ms = max(self._agenda.now_ms + self._delay_ms(), self._until_ms)
        self._agenda.at(self._until_ms, self._arrive)

    def _arrive(self) -> None:
        if self.is_gone:
            return
        if self._why_held:
            self._arrived += 1
            return
        deed, args = self._sent.popleft()
        deed(*args)

    def hold(self, why: str) -> None:
        self._why_held.add(why)

    def release(self, why: str) -> None:
        self._why_held.discard(why)
        if not self._why_held:
            arrived, self._arrived = self._arrived, 0
            for _ in range(arrived):
                self._agenda.after(0, self._arrive)

    def delay(self, by_ms: int) -> None:
        """What is on its way takes so much longer."""
        self.hold("delayed")
        self._agenda.after(by_ms, self.release, "delayed")

    def drop(self) -> None:
        """Nothing more comes out of it."""
        self.is_gone = True
        self._sent.clear()


class Peer(Protocol):
    """The client's side of a connection, told things in the order in which they arrive there."""

    def answered(self, asked: Asked) -> None: ...

    def happened(self, watch: Watch) -> None: ...

    def opened(self, link: Link, session: Session | None) -> None:
        """None: the session it came with is over."""

    def hung_up(self, link: Link) -> None:
        """By the server."""


@define(eq=False)
class Asked:
    """One request. `call` is whom to tell, `result` what, an exception for a refusal."""

    request: Any
    call: Any
    result: Any = None
    is_done: bool = False
    seen: int = 0
    """So many transactions the server had applied when it answered."""

    @property
    def is_read(self) -> bool:
        return isinstance(self.request, READS)


@define(eq=False)
class Watch:
    """One-shot: told at most once, over the connection it was set on."""

    link: Link
    call: Callable[[Any], object]
    is_armed: bool = True


@define(eq=False)
class Link:
    """One connection of a client with a server."""

    peer: Peer
    server: Server
    out: Way
    """To the server."""
    back: Way
    session: Session | None = None
    is_open: bool = True
    """On the server's side."""
    queue: deque[Asked] = field(factory=deque)
    watches: list[Watch] = field(factory=list)
    """As the client knows them."""

    def close(self) -> None:
        """The server hangs up, or notices that the client did."""
        if self.is_open:
            self.is_open = False
            self.server.links.remove(self)
            self.queue.clear()
            self.back.send(self.peer.hung_up, self)


class Server:
    """A member of the ensemble: a tree that follows the log, and whoever is connected."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.tree = Tree()
        self.applied = 0
        """So many transactions of the log."""
        self.is_down = False
        self.is_cut = False
        """From the other members; clients still reach it."""
        self.is_serving = True
        self.lag_ms = 0
        self.told_until_ms = 0
        self.links: list[Link] = []
        self.stuck: list[tuple[Link, Asked]] = []
        """Writes that it could not pass on to the leader."""
        self.waiting: deque[tuple[int, Link, Asked]] = deque()
        """Writes that are committed, to be answered when they are applied here."""
        self._data_watches: dict[str, list[Watch]] = {}
        self._child_watches: dict[str, list[Watch]] = {}

    @property
    def is_linked(self) -> bool:
        return not self.is_down and not self.is_cut

    # --- the log ---

    def apply(self, zxid: int, session: int, request: Any) -> Any:
        """The next transaction. Watches are told before answers leave."""
        result, touched = self.tree.write(zxid, session, request)
        self.applied = zxid
        self._tell(touched)
        return result

    def answer_applied(self) -> None:
        while self.waiting and self.waiting[0][0] <= self.applied:
            _, link, asked = self.waiting.popleft()
            asked.is_done = True
            self.pump(link)

    def _tell(self, touched: Touched) -> None:
        for watches, paths in ((self._data_watches, touched.data), (self._child_watches, touched.children)):
            for path in paths:
                for watch in watches.pop(path, ()):
                    if watch.link.is_open:
                        watch.link.back.send(watch.link.peer.happened, watch)

    # --- clients ---

    def pump(self, link: Link) -> None:
        """Answer in the order of asking; a read waits for the writes before it."""
        queue = link.queue
        while link.is_open and queue and (queue[0].is_done or queue[0].is_read):
            asked = queue.popleft()
            if asked.is_read:
                asked.result = self._read(link, asked.request)
            asked.seen = self.applied
            link.back.send(link.peer.answered, asked)

    def _read(self, link: Link, request: Any) -> Any:
        try:
            found: Any
            if isinstance(request, GetData):
                found = self.tree.get(request.path)
            elif isinstance(request, Exists):
                found = self.tree.stat(request.path)
            else:
                found = self.tree.children(request.path)
        except NoNodeError as refused:
            if not isinstance(request, Exists):
                return refused
            found = None
        except ZookeeperError as refused:
            return refused
        if request.watcher is not None:
            watches = self._child_watches if isinstance(request, GetChildren) else self._data_watches
            watch = Watch(link, request.watcher)
            watches.setdefault(request.path, []).append(watch)
            link.watches.append(watch)
        return found

    def hang_up(self) -> None:
        """All connections end; what they asked is not answered any more."""
        for link in list(self.links):
            link.close()
        self.stuck.clear()
        self.waiting.clear()
        self._data_watches.clear()
        self._child_watches.clear()
