"""Several servers that agree: a leader, a log, sessions; servers that are lost, cut off, or far behind.

What holds, as on real servers: a write that was answered is in the log for good, and the log is one. A server answers
reads from what it has applied, however old. A server that is cut off from the others goes on answering pings and reads
until it notices. What a leader had not yet committed when it was lost is kept up to some point, or lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from attrs import define
from kazoo.protocol.serialization import Sync

from scheduler.testing.simulation.agenda import Agenda
from scheduler.testing.simulation.chance import Chance
from scheduler.testing.simulation.zookeeper.server import Asked, Link, Server, Session
from scheduler.testing.simulation.zookeeper.tree import CloseSession

__all__ = ["SYNC_LIMIT_MS", "TICK_MS", "Ensemble"]

TICK_MS: Final = 500
SYNC_LIMIT_MS: Final = 1_500
"""After so long a server gives up the others, or the others it; until then it answers its clients."""
REJOIN_MS: Final = 200

_FORWARD, _COMMIT, _DELIVER, _ELECT, _KEEP = 201, 202, 203, 204, 205


@define(eq=False)
class _Proposal:
    link: Link | None
    asked: Asked
    session: Session


class Ensemble:
    """See the module. `committed` is told each transaction of the log: its zxid, and what was written."""

    def __init__(
        self,
        agenda: Agenda,
        chance: Chance,
        committed: Callable[[int, int, Any, Any], None] = lambda zxid, session, request, result: None,
        *,
        size: int = 3,
    ) -> None:
        self._agenda = agenda
        self._chance = chance
        self._committed = committed
        self.servers = [Server(number) for number in range(size)]
        self.leader: Server | None = self.servers[0]
        self.log: list[tuple[int, Any]] = []
        self.sessions: dict[int, Session] = {}
        self._proposals: deque[_Proposal] = deque()
        self._commit_until_ms = 0
        self._forward_until_ms = [0] * size
        self._draws = 0
        self.elections = 0
        agenda.after(TICK_MS, self._tick)

    def _draw(self, low: int, high: int, what: int) -> int:
        self._draws += 1
        return self._chance.between(low, high, what, self._draws)

    # --- sessions ---

    def open(self, link: Link, known: int, timeout_ms: int, seen: int) -> None:
        """A client wants a session, or its own again. A server that cannot reach a leader does not answer.

        `seen`: what the client was told last; a server that is not as far sends it away.
        """
        if not link.is_open or not self._has_quorum() or not link.server.is_linked:
            return
        if link.server.applied < seen:
            link.close()
            return
        session = self.sessions.get(known)
        if known and (session is None or session.is_over):
            link.back.send(link.peer.opened, link, None)
            link.close()
            return
        if session is None:
            number = len(self.sessions) + 1
            session = Session(0x1000_0000 + number, max(2 * TICK_MS, timeout_ms), 0)
            self.sessions[session.id] = session
        session.heard_ms = self._agenda.now_ms
        link.session = session
        link.back.send(link.peer.opened, link, session)

    def heard(self, link: Link) -> None:
        """Something came from a client; the leader hears of it only through a server that is not cut off."""
        if link.session is not None and self._has_quorum() and link.server.is_linked:
            link.session.heard_ms = self._agenda.now_ms

    def _tick(self) -> None:
        self._agenda.after(TICK_MS, self._tick)
        if not self._has_quorum():
            return
        for session in list(self.sessions.values()):
            if not session.is_over and self._agenda.now_ms - session.heard_ms >= session.timeout_ms:
                self.expire(session)

    def expire(self, session: Session) -> None:
        """End it, as if it had not been heard of for too long; by a write like any other."""
        self._propose(_Proposal(None, Asked(CloseSession(), None), session))

    def do(self, request: Any) -> None:
        """A write by somebody who is none of the clients."""
        self._propose(_Proposal(None, Asked(request, None), Session(0, 0, 0)))

    # --- requests ---

    def ask(self, link: Link, asked: Asked) -> None:
        """It has arrived at the link's server."""
        if not link.is_open or link.session is None:
            return
        self.heard(link)
        link.queue.append(asked)
        if not asked.is_read:
            self._forward(link, asked)
        link.server.pump(link)

    def _forward(self, link: Link, asked: Asked) -> None:
        server = link.server
        if self.leader is None or not server.is_linked or not self.leader.is_linked:
            server.stuck.append((link, asked))
            return
        wait_ms = 0 if server is self.leader else self._draw(0, 2, _FORWARD)
        at_ms = max(self._agenda.now_ms + wait_ms, self._forward_until_ms[server.number])
        self._forward_until_ms[server.number] = at_ms
        assert link.session is not None
        self._agenda.at(at_ms, self._propose, _Proposal(link, asked, link.session))

    def _propose(self, proposal: _Proposal) -> None:
        if self.leader is None:
            return
        self._proposals.append(proposal)
        at_ms = max(self._agenda.now_ms + self._draw(0, 3, _COMMIT), self._commit_until_ms)
        self._commit_until_ms = at_ms
        self._agenda.at(at_ms, self._commit_next)

    def _commit_next(self) -> None:
        if self._proposals and self._has_quorum():
            self._commit(self._proposals.popleft())

    def _commit(self, proposal: _Proposal) -> None:
        """Agreed. From here on it is in the log, whoever is lost."""
        link, asked, session = proposal.link, proposal.asked, proposal.session
        if session.is_over:
            return
        if isinstance(asked.request, Sync):
            asked.result = asked.request.path
        else:
            self._append(asked, session)
        if link is not None and link.is_open:
            link.server.waiting.append((len(self.log), link, asked))
            link.server.answer_applied()

    def _append(self, asked: Asked, session: Session) -> None:
        assert self.leader is not None
        self.log.append((session.id, asked.request))
        zxid = len(self.log)
        if isinstance(asked.request, CloseSession):
            session.is_over = True
        asked.result = self.leader.apply(zxid, session.id, asked.request)
        self._committed(zxid, session.id, asked.request, asked.result)
        self.leader.answer_applied()
        for server in self.servers:
            if server is not self.leader and server.is_linked and server.is_serving:
                at_ms = max(self._agenda.now_ms + self._draw(0, 2, _DELIVER) + server.lag_ms, server.told_until_ms)
                server.told_until_ms = at_ms
                self._agenda.at(at_ms, self._deliver, server, zxid)
        if session.is_over:
            for server in self.servers:
                for link in [link for link in server.links if link.session is session]:
                    link.close()

    def _deliver(self, server: Server, upto: int) -> None:
        if server.is_linked and server.is_serving:
            self._catch_up(server, upto)

    def _catch_up(self, server: Server, upto: int) -> None:
        while server.applied < upto:
            session, request = self.log[server.applied]
            server.apply(server.applied + 1, session, request)
        server.answer_applied()

    # --- who is there ---

    def _linked(self) -> list[Server]:
        return [server for server in self.servers if server.is_linked]

    def _is_majority(self) -> bool:
        return len(self._linked()) * 2 > len(self.servers)

    def _has_quorum(self) -> bool:
        return self.leader is not None and self.leader.is_linked and self._is_majority()

    def kill(self, server: Server) -> None:
        """Its connections break at once, and if it was the leader everybody else's too."""
        server.is_down = True
        self._stop_serving(server)
        if server is self.leader:
            self._lose_leader()
        elif not self._is_majority():
            self._agenda.after(SYNC_LIMIT_MS, self._look)

    def cut(self, server: Server) -> None:
        """It loses the other members, silently."""
        server.is_cut = True
        self._agenda.after(SYNC_LIMIT_MS, self._look)

    def heal(self, server: Server) -> None:
        """It is back, and reaches everybody."""
        was_away = not server.is_serving
        server.is_down = server.is_cut = False
        if self.leader is None:
            self._call_election()
        elif was_away:
            self._agenda.after(REJOIN_MS, self._rejoin, server)
        for other in self.servers:
            if other.is_linked and other.is_serving:
                self._take_up(other)
        for _ in range(len(self._proposals)):
            self._agenda.after(1, self._commit_next)

    def _look(self) -> None:
        """The sync limit is over for somebody."""
        for server in self.servers:
            if server.is_cut and server.is_serving and server is not self.leader:
                self._stop_serving(server)
        if self.leader is not None and not self._has_quorum():
            self._lose_leader()

    def _stop_serving(self, server: Server) -> None:
        server.is_serving = False
        server.hang_up()

    def _lose_leader(self) -> None:
        """Some of what was proposed reached a majority: so many, in order. The rest never was."""
        self.leader = None
        for server in self.servers:
            self._stop_serving(server)
        kept = self._draw(0, len(self._proposals), _KEEP)
        while len(self._proposals) > kept:
            self._proposals.pop()
        self._call_election()

    def _call_election(self) -> None:
        self._agenda.after(self._draw(100, 1_200, _ELECT), self._elect)

    def _elect(self) -> None:
        if self.leader is not None or not self._is_majority():
            return
        self.elections += 1
        present = self._linked()
        self.leader = max(present, key=lambda server: (server.applied, -server.number))
        for server in present:
            server.is_serving = True
            self._catch_up(server, len(self.log))
        for session in self.sessions.values():
            session.heard_ms = self._agenda.now_ms
        kept, self._proposals = self._proposals, deque()
        for proposal in kept:
            self._commit(proposal)

    def _rejoin(self, server: Server) -> None:
        if self.leader is not None and server.is_linked and not server.is_serving:
            server.is_serving = True
            self._take_up(server)

    def _take_up(self, server: Server) -> None:
        if not self._has_quorum():
            return
        self._catch_up(server, len(self.log))
        stuck, server.stuck = server.stuck, []
        for link, asked in stuck:
            if link.is_open:
                self._forward(link, asked)
