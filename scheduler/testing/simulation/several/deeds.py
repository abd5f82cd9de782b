"""What a script can do to several schedulers and their ZooKeeper. See also `simulation/deeds.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from kazoo.protocol.serialization import Delete

from scheduler.core.ops import FORMAT_LEVEL
from scheduler.testing.simulation.several.log import SERVERSET
from scheduler.testing.simulation.several.machine import NOW
from scheduler.testing.simulation.several.process import READING
from scheduler.testing.simulation.zookeeper.wire import CutMulti
from scheduler.zk.election import PREFIX as CANDIDATE

if TYPE_CHECKING:
    from scheduler.testing.simulation.several.world import SeveralWorld


NOBODY_NOTICES_MS: Final = 1_200


def kill(world: SeveralWorld, machine: int, place: str, nth: int, kept: bool, down_ms: int) -> None:
    """kill -9, at once or where the production code comes by for the nth time."""
    which = world.machines[machine]
    if not which.up:
        return
    if place == NOW:
        which.kill(kept=kept, down_ms=down_ms)
    else:
        which.kill_at(place, nth, kept=kept, down_ms=down_ms)


def freeze(world: SeveralWorld, machine: int, place: str, nth: int, for_ms: int) -> None:
    """SIGSTOP for so long."""
    which = world.machines[machine]
    if not which.up:
        return
    if place == NOW:
        which.freeze(for_ms)
    else:
        which.freeze_at(place, nth, for_ms)


def read_slowly(world: SeveralWorld, machine: int, for_ms: int, nth: int, times: int) -> None:
    """A standby is frozen, and then again and again in the middle of reading what it has missed."""
    if not world.machines[machine].is_frozen:
        freeze(world, machine, NOW, 1, for_ms)
        for turn in range(times):
            at_ms = for_ms + turn * (NOBODY_NOTICES_MS + 100)
            world.agenda.after(at_ms, freeze, world, machine, READING, 1 if turn else nth, NOBODY_NOTICES_MS)


def stop(world: SeveralWorld, machine: int, down_ms: int) -> None:
    """SIGTERM."""
    world.machines[machine].stop(down_ms)
    world.coverage.note("fault", "stopped")


def wipe(world: SeveralWorld, machine: int, down_ms: int) -> None:
    """A machine is lost with its disk; another one takes its place."""
    if world.machines[machine].up:
        world.machines[machine].wipe(down_ms)


def install(world: SeveralWorld, machine: int, level: int, down_ms: int) -> None:
    """A release of another age on one machine; never an older one on the last that is up to date."""
    others = (one for one in world.machines if one.number != machine)
    if level == FORMAT_LEVEL or any(one.level == FORMAT_LEVEL for one in others):
        world.machines[machine].install(level, down_ms)
        world.coverage.note("fault", "upgraded" if level == FORMAT_LEVEL else "an older release")


def cut(world: SeveralWorld, machine: int, ways: list[str], for_ms: int, commit: str = "") -> None:
    """Its network loses what it sends ("out"), what is sent to it ("back"), or both.

    `commit`: as soon as it commits something, and what becomes of that.
    """
    network = world.machines[machine].network

    def fall_silent() -> None:
        network.set_cut(set(ways))
        world.agenda.after(for_ms, network.set_cut, set())
        world.coverage.note("fault", f"machine cut, {' and '.join(ways)}")

    if commit:
        network.next_cut, network.then = commit, fall_silent
    else:
        fall_silent()


def cut_commit(world: SeveralWorld, machine: int, how: str) -> None:
    """Its connection breaks in the middle of its next commit."""
    world.machines[machine].network.next_cut = how


def expire(world: SeveralWorld, machine: int) -> None:
    """ZooKeeper ends its session, though it is well."""
    process = world.machines[machine].process
    session = world.ensemble.sessions.get(process.session_id) if process is not None else None
    if session is not None and not session.is_over:
        world.ensemble.expire(session)
        world.expired.add(session.id)
        world.coverage.note("fault", "session expired")


def unseat(world: SeveralWorld, machine: int, late: bool) -> None:
    """Somebody removes its candidate by hand, while it and its session are well: it has to give way.

    `late`: as soon as it commits something, and that commit arrives only when the next one may have claimed.
    """
    network = world.machines[machine].network
    if late:
        network.next_cut, network.then = CutMulti.LATE, lambda: _unseat(world, machine)
    else:
        _unseat(world, machine)


def _unseat(world: SeveralWorld, machine: int) -> None:
    process, leader = world.machines[machine].process, world.ensemble.leader
    if process is None or leader is None or not process.session_id:
        return
    tree = leader.tree
    for name in tree.children(SERVERSET):
        path = f"{SERVERSET}/{name}"
        if name.startswith(CANDIDATE) and tree.stat(path).ephemeralOwner == process.session_id:
            world.expired.add(process.session_id)
            world.ensemble.do(Delete(path, -1))
            world.coverage.note("fault", "candidate removed")


def server(world: SeveralWorld, server: int, what: str, for_ms: int) -> None:
    """A ZooKeeper server is killed, cut off from the others, or falls behind. -1: the one that leads."""
    ensemble = world.ensemble
    leads = ensemble.leader is not None and (server < 0 or ensemble.servers[server] is ensemble.leader)
    which = ensemble.leader if server < 0 else ensemble.servers[server]
    if which is None or not which.is_linked:
        return
    if what == "lags":
        which.lag_ms = for_ms // 4
        world.agenda.after(for_ms, setattr, which, "lag_ms", 0)
    else:
        (ensemble.kill if what == "killed" else ensemble.cut)(which)
        world.agenda.after(for_ms, ensemble.heal, which)
    world.coverage.note("fault", f"ZooKeeper's {'leader' if leads else 'follower'} {what}")


def skew(world: SeveralWorld, machine: int, by_ms: int) -> None:
    """The wall's clock of one machine is set."""
    world.machines[machine].clock.skew_ms += by_ms
    world.coverage.note("fault", "one clock set back" if by_ms < 0 else "one clock set forward")


SEVERAL: Final[dict[str, Callable[..., None]]] = {
    "kill_scheduler": kill,
    "freeze": freeze,
    "read_slowly": read_slowly,
    "stop": stop,
    "wipe": wipe,
    "install": install,
    "cut": cut,
    "cut_commit": cut_commit,
    "expire": expire,
    "unseat": unseat,
    "server": server,
    "skew": skew,
}
