"""One machine: its network, its disk, its wall's clock, and the scheduler process that runs there, again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scheduler.controller.controller import Controller
from scheduler.controller.gateway import Gateway
from scheduler.core.ops import FORMAT_LEVEL
from scheduler.testing.clock import VirtualClock
from scheduler.testing.simulation.chance import Chance
from scheduler.testing.simulation.several.disk import Disk
from scheduler.testing.simulation.several.process import Died, Process, at_failpoint
from scheduler.testing.simulation.zookeeper.wire import Network

if TYPE_CHECKING:
    from scheduler.testing.simulation.several.world import SeveralWorld

NOW: Final = "now"
WIPED: Final = "with its disk"
_LOSES = 401


class SkewedClock:
    """The wall's clock of one machine is a little off; the other one has the same pace everywhere."""

    def __init__(self, clock: VirtualClock, skew_ms: int) -> None:
        self._clock = clock
        self.skew_ms = skew_ms

    def wall_ms(self) -> int:
        return self._clock.wall_ms() + self.skew_ms

    def mono_ms(self) -> int:
        return self._clock.mono_ms()


class Machine:
    """See the module."""

    def __init__(self, number: int, world: SeveralWorld, chance: Chance) -> None:
        self.number = number
        self.name = f"scheduler-{number + 1}"
        self.world = world
        self._chance = chance
        self.network = Network(number, world.agenda, chance, world.ensemble)
        self.network.told_cut = lambda how: world.coverage.note("fault", f"commit cut, {how}")
        self.disk = Disk(world.folder_of(number), world.fold, self._adopted)
        self.clock = SkewedClock(world.clock, (0, 700, -1_500, 40, -90)[number % 5])
        self.level = FORMAT_LEVEL
        """The newest format level that the scheduler installed here reads."""
        self.process: Process | None = None
        self.life = 0
        self.graves: list[Process] = []
        """Kept until the run ends, so that nothing of them is cleaned up at a time that is not ours to say."""
        self.woke_ms = -1_000_000
        self.is_wiped = False
        self._freezes = 0

    # --- as its callers see it ---

    @property
    def up(self) -> bool:
        return self.process is not None

    @property
    def gateway(self) -> Gateway:
        assert self.process is not None
        return self.process.gateway

    @property
    def controller(self) -> Controller | None:
        return None if self.process is None else self.process.controller_now

    @property
    def is_frozen(self) -> bool:
        return self.network.is_frozen

    def _adopted(self) -> None:
        how = "a wiped machine" if self.is_wiped else "a machine that was away"
        self.is_wiped = False
        self.world.coverage.note("met", f"{how} begins with the snapshot")

    # --- what happens to it ---

    def boot(self) -> None:
        if self.process is None:
            self.life += 1
            self.process = Process(self)
            self.process.start()

    def kill(self, *, kept: bool, down_ms: int, place: str = NOW) -> None:
        """As kill -9 does it. `kept`: what it had sent arrives."""
        process = self.process
        if process is None:
            return
        self.thaw()
        self.process = None
        self.graves.append(process)
        self.world.process_died(process, place)
        process.kill()
        self.network.kill(kept=kept)
        self.network.next_cut = self.network.then = None
        self.disk.lose(self._chance.between(0, 3, _LOSES, self.number, self.life))
        self.world.agenda.after(down_ms, self.boot)

    def kill_at(self, place: str, nth: int, *, kept: bool, down_ms: int) -> None:
        process = self.process
        assert process is not None

        def die() -> None:
            self.kill(kept=kept, down_ms=down_ms, place=place)
            raise Died

        at_failpoint(process, place, nth, die)

    def freeze(self, for_ms: int, place: str = NOW) -> None:
        """SIGSTOP, and CONT later."""
        if self.process is None or self.is_frozen:
            return
        self._freezes += 1
        self.process.loop.freeze()
        self.network.freeze()
        self.world.process_froze(self.process, place, for_ms)
        self.world.agenda.after(for_ms, self._thaw, self._freezes)

    def freeze_at(self, place: str, nth: int, for_ms: int) -> None:
        assert self.process is not None
        at_failpoint(self.process, place, nth, lambda: self.freeze(for_ms, place))

    def _thaw(self, which: int) -> None:
        if which == self._freezes:
            self.thaw()

    def thaw(self) -> None:
        if self.is_frozen and self.process is not None:
            self._freezes += 1
            self.woke_ms = self.world.agenda.now_ms
            self.network.thaw()
            self.process.wake()
            self.process.loop.thaw()

    def stop(self, down_ms: int) -> None:
        """SIGTERM; it is started again some time after it has ended."""
        if self.process is not None and not self.is_frozen:
            self.process.stopping.set()
            self.world.agenda.after(down_ms, self.boot)

    def wipe(self, down_ms: int) -> None:
        """It is lost with everything on it, and another one takes its place."""
        self.kill(kept=True, down_ms=down_ms, place=WIPED)
        self.disk.wipe()
        self.is_wiped = True

    def install(self, level: int, down_ms: int) -> None:
        """A release that reads up to this format level: the scheduler is stopped, and begins as that."""
        self.level = level
        self.stop(down_ms)

    def exited(self, process: Process, why: str, again_ms: int = 1_000) -> None:
        """The process ended by itself; somebody starts it again."""
        if self.process is process:
            self.process = None
            self.graves.append(process)
            self.network.kill(kept=True)
            self.world.process_exited(process, why)
            self.world.agenda.after(again_ms, self.boot)
