"""A client's connection with the pretended ensemble, as `scheduler.zk.wire.Wire` is one with a real one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from kazoo.exceptions import ConnectionLoss, SessionExpiredError
from kazoo.protocol.serialization import SetData, Transaction
from kazoo.protocol.states import KeeperState

from scheduler.testing.simulation.agenda import Agenda
from scheduler.testing.simulation.chance import Chance
from scheduler.testing.simulation.zookeeper.ensemble import Ensemble
from scheduler.testing.simulation.zookeeper.server import Asked, Link, Server, Session, Watch, Way
from scheduler.zk.wire import Answer

__all__ = ["CutMulti", "Network", "SimulatedWire"]

CONNECT_MS: Final = 500
HANDSHAKE_MS: Final = 1_000
_LATE_MS: Final = (8, 16, 30, 60, 300, 2_000)
_DELAY, _SERVER, _LATE, _BACK_OFF = 301, 302, 303, 304


class CutMulti:
    """What becomes of the next commit whose connection breaks in the middle."""

    LOST = "lost"
    KEPT = "kept"
    LATE = "late"
    ALL = (LOST, KEPT, LATE)


class Network:
    """Between one process and the ensemble: cut in one direction or both, and a process that may be frozen or dead."""

    def __init__(self, number: int, agenda: Agenda, chance: Chance, ensemble: Ensemble) -> None:
        self.number = number
        self.agenda = agenda
        self.ensemble = ensemble
        self._chance = chance
        self._draws = 0
        self.cut: set[str] = set()
        """Of "out" and "back"."""
        self.is_frozen = False
        self.wires: list[SimulatedWire] = []
        self.left: list[Link] = []
        """Connections that were given up while something was still on its way: it may yet arrive."""
        self.next_cut: str | None = None
        """How the connection breaks at the next commit."""
        self.told_cut: Callable[[str], None] = lambda how: None
        self.then: Callable[[], None] | None = None
        """What happens as soon as it has."""

    def draw(self, low: int, high: int, what: int) -> int:
        self._draws += 1
        return self._chance.between(low, high, what, self.number, self._draws)

    def set_cut(self, directions: set[str]) -> None:
        self.cut = directions
        self._hold()

    def freeze(self) -> None:
        self.is_frozen = True
        self._hold()

    def thaw(self) -> None:
        self.is_frozen = False
        self._hold()
        for wire in self.wires:
            wire.thawed()

    def _hold(self) -> None:
        self.left = [link for link in self.left if link.is_open]
        for link in (*self.left, *(wire.link for wire in self.wires)):
            if link is not None:
                self.hold_link(link)

    def hold_link(self, link: Link) -> None:
        for way, is_held, why in (
            (link.out, "out" in self.cut, "cut"),
            (link.back, "back" in self.cut, "cut"),
            (link.back, self.is_frozen, "frozen"),
        ):
            if is_held:
                way.hold(why)
            else:
                way.release(why)

    def kill(self, *, kept: bool) -> None:
        """The process ends. What it had sent arrives, or does not."""
        for wire in self.wires:
            wire.kill(kept=kept)
        self.wires.clear()

    def wire(
        self, hosts: str, session_timeout_ms: int, credentials: str | None, changed: Callable[[str], None]
    ) -> SimulatedWire:
        """As `scheduler.zk.client.Client` calls it."""
        made = SimulatedWire(self, session_timeout_ms, changed)
        self.wires.append(made)
        return made


class SimulatedWire:
    """One session. Answers and changes are told at once, in the order in which they arrive."""

    def __init__(self, network: Network, session_timeout_ms: int, changed: Callable[[str], None]) -> None:
        self.generation = 0
        self.negotiated_ms = session_timeout_ms
        self._network = network
        self._agenda = network.agenda
        self._ensemble = network.ensemble
        self._changed = changed
        self._asked_ms = session_timeout_ms
        self._session: Session | None = None
        self._seen = 0
        """The newest transaction that an answer came from."""
        self.link: Link | None = None
        self._state = "closed"
        self._is_over = False
        self._pending: deque[tuple[Asked, Answer]] = deque()
        self._is_ping_out = False
        self._frozen: list[tuple[Callable[..., object], tuple[Any, ...]]] = []

    @property
    def session_id(self) -> int:
        return self._session.id if self._session is not None else 0

    @property
    def session_password(self) -> bytes:
        return b""

    def peer(self) -> tuple[str, int] | None:
        return None if self.link is None else (f"zk{self.link.server.number}", 2181)

    # --- a process that can be frozen ---

    def _later(self, wait_ms: int, deed: Callable[..., object], *args: Any) -> None:
        self._agenda.after(wait_ms, self._mine, deed, args)

    def _mine(self, deed: Callable[..., object], args: tuple[Any, ...]) -> None:
        if self._is_over:
            return
        if self._network.is_frozen:
            self._frozen.append((deed, args))
        else:
            deed(*args)

    def thawed(self) -> None:
        frozen, self._frozen = self._frozen, []
        for deed, args in frozen:
            self._agenda.after(0, self._mine, deed, args)

    def kill(self, *, kept: bool) -> None:
        self._is_over = True
        if self.link is not None:
            self._leave(self.link, kept=kept, late_ms=0)

    # --- connecting ---

    def start_async(self) -> None:
        self._state = KeeperState.CONNECTING
        self._later(0, self._try)

    def _try(self) -> None:
        if self.link is not None:
            return
        servers = self._ensemble.servers
        server = servers[self._network.draw(0, len(servers) - 1, _SERVER)]
        if self._network.cut:
            self._later(CONNECT_MS, self._try_again)
        elif not server.is_serving:
            self._later(10, self._try_again)
        else:
            self._connect(server)

    def _try_again(self) -> None:
        self._later(self._network.draw(100, 500, _BACK_OFF), self._try)

    def _connect(self, server: Server) -> None:
        def delay_ms() -> int:
            return self._network.draw(0, 2, _DELAY)

        link = Link(self, server, Way(self._agenda, delay_ms), Way(self._agenda, delay_ms))
        self.link = link
        server.links.append(link)
        self._network.hold_link(link)
        link.out.send(self._ensemble.open, link, self.session_id, self._asked_ms, self._seen)
        self._later(HANDSHAKE_MS, self._handshake_over, link)

    def _handshake_over(self, link: Link) -> None:
        if self.link is link and self._state != KeeperState.CONNECTED:
            self.break_connection()

    def opened(self, link: Link, session: Session | None) -> None:
        if self._is_over or link is not self.link:
            return
        if session is None:
            self._end(KeeperState.EXPIRED_SESSION, SessionExpiredError)
            return
        self._session, self.negotiated_ms = session, session.timeout_ms
        self._state = KeeperState.CONNECTED
        self.generation += 1
        self._is_ping_out = False
        self._changed(KeeperState.CONNECTED)
        self._later(self.negotiated_ms // 3, self._ping, link)

    def _ping(self, link: Link) -> None:
        if link is not self.link or self._state != KeeperState.CONNECTED:
            return
        if self._is_ping_out:
            self.break_connection()
            return
        self._is_ping_out = True
        link.out.send(self._pinged, link)
        self._later(self.negotiated_ms // 3, self._ping, link)

    def _pinged(self, link: Link) -> None:
        """At the server: it answers whether or not it reaches the others."""
        if link.is_open:
            self._ensemble.heard(link)
            link.back.send(self._ping_answered, link)

    def _ping_answered(self, link: Link) -> None:
        if link is self.link:
            self._is_ping_out = False

    # --- requests ---

    def request(self, request: Any, answer: Answer, generation: int) -> None:
        link = self.link
        if self._is_over or link is None or self._state != KeeperState.CONNECTED or generation != self.generation:
            answer.refuse()
            return
        asked = Asked(request, answer)
        self._pending.append((asked, answer))
        link.out.send(self._ensemble.ask, link, asked)
        how = self._network.next_cut
        if how is not None and _is_commit(request):
            self._network.next_cut = None
            self._network.told_cut(how)
            late_ms = _LATE_MS[self._network.draw(0, len(_LATE_MS) - 1, _LATE)] if how == CutMulti.LATE else 0
            self._lose(link, kept=how != CutMulti.LOST, late_ms=late_ms)
            then, self._network.then = self._network.then, None
            if then is not None:
                then()

    def answered(self, asked: Asked) -> None:
        if self._is_over or not self._pending or self._pending[0][0] is not asked:
            return  # of a connection that is no more
        _, answer = self._pending.popleft()
        self._seen = max(self._seen, asked.seen)
        if isinstance(asked.result, Exception):
            answer.set_exception(asked.result)
        else:
            answer.set(asked.result)

    def happened(self, watch: Watch) -> None:
        if watch.link is self.link and watch.is_armed and not self._is_over:
            watch.is_armed = False
            watch.link.watches.remove(watch)
            watch.call(None)

    # --- the end of a connection ---

    def hung_up(self, link: Link) -> None:
        if link is self.link and not self._is_over:
            self._lose(link, kept=True, late_ms=0)

    def break_connection(self) -> None:
        if self.link is not None and not self._is_over:
            self._lose(self.link, kept=self._network.draw(0, 1, _LATE) == 0, late_ms=0)

    def _lose(self, link: Link, *, kept: bool, late_ms: int) -> None:
        self._leave(link, kept=kept, late_ms=late_ms)
        was_connected, self._state = self._state == KeeperState.CONNECTED, KeeperState.CONNECTING
        if was_connected:
            self._changed(KeeperState.CONNECTING)
            self._fail(ConnectionLoss)
        _fire(link)
        self._later(10, self._try)

    def _leave(self, link: Link, *, kept: bool, late_ms: int) -> None:
        """What is on its way to the server arrives before the end of the connection does, or never."""
        self.link = None
        link.back.drop()
        if not kept:
            link.out.drop()
            self._agenda.after(1, link.close)
            return
        if late_ms:
            link.out.delay(late_ms)
        link.out.send(link.close)
        self._network.left.append(link)

    def _fail(self, kind: type[Exception]) -> None:
        pending, self._pending = self._pending, deque()
        for _, answer in pending:
            answer.set_exception(kind())

    def _end(self, state: str, kind: type[Exception]) -> None:
        self._is_over = True
        self._state = state
        link, self.link = self.link, None
        self._changed(state)
        self._fail(kind)
        if link is not None:
            link.back.drop()
            _fire(link)

    def give_up(self) -> None:
        self._is_over = True
        if self.link is not None:
            self._leave(self.link, kept=True, late_ms=0)

    def shut(self, *, politely: bool) -> None:
        """Politely: the session is closed by the server, when that can be reached."""
        if self._is_over:
            return
        self._is_over = True
        link = self.link
        self._changed(KeeperState.CLOSED)
        self._fail(ConnectionLoss)
        if link is not None:
            if politely and self._session is not None:
                link.out.send(self._ensemble.expire, self._session)
            self._leave(link, kept=True, late_ms=0)
            _fire(link)


def _fire(link: Link) -> None:
    """The connection is over: whoever watches by it is told."""
    for watch in link.watches:
        if watch.is_armed:
            watch.is_armed = False
            watch.call(None)


def _is_commit(request: Any) -> bool:
    return isinstance(request, Transaction) and any(isinstance(op, SetData) for op in request.operations)
