"""The single writer, without I/O: the event loop and the simulator drive it the same way.

A decision changes memory at once and joins the entry that is being gathered. `next_entry` hands that entry over to be
appended, one at a time; what is decided meanwhile gathers for the next one. Every answer and every effect carries the
offset of the state it was made from and waits until that offset is durable:

    write / read / tick  ->  next_entry  ->  (append)  ->  committed  ->  effects, waiting answers
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from scheduler.contracts import Clock, Entry, Outcome, Ticket
from scheduler.controller.deadlines import Deadlines
from scheduler.controller.moments import Moments
from scheduler.core import deadlines as core_deadlines, ops
from scheduler.core.answers import OK, Answer
from scheduler.core.decide import decide
from scheduler.core.effects import Effect
from scheduler.core.placement.assign import place
from scheduler.core.records import TaskStatus
from scheduler.core.state import State
from scheduler.core.transaction import Transaction, World
from scheduler.core.updates import requests
from scheduler.core.updates.records import UpdateKey

_FREES_OR_NEEDS_A_HOST = (ops.SaveTask, ops.MoveTask, ops.RemoveTasks)


class Controller:
    """Decides for one epoch. When leadership ends it is thrown away, with its memory and its deadlines."""

    deadlines_per_tick: ClassVar[int] = 50
    """So that a burst of deadlines is decided in slices; the next tick follows at once."""
    ops_per_entry: ClassVar[int] = 500
    """An entry that has this many takes no further decision: encoding it must not hold up the loop for long."""

    def __init__(self, state: State, world: World, clock: Clock, *, epoch: int, offset: int) -> None:
        self.state = state
        self.world = world
        self.clock = clock
        self.epoch = epoch
        self.deadlines = Deadlines()
        self._moments = Moments(clock, state)
        self.failures: list[tuple[str, BaseException]] = []
        """Decisions nobody asked for, and parts of decisions, that raised; the driver logs them."""
        self.ready: Callable[[], None] = lambda: None
        """Called when there is something to append, to do or to wait for."""
        self._durable = offset
        self._gathering = offset + 1
        self._ops: list[ops.Op] = []
        self._full: deque[tuple[ops.Op, ...]] = deque()
        """Entries that take no further decision and wait for their turn."""
        self._in_flight: Entry | None = None
        self._effects: deque[tuple[int, Effect]] = deque()
        self._waiters: dict[int, list[Callable[[Outcome], None]]] = {}
        self._placement_wanted = False
        self._ended: Outcome | None = None
        self._beating = Ticket(-1, requests.BEATING)

    # --- deciding ---

    def write(self, decision: Callable[..., Answer | None], *args: Any) -> Ticket:
        """Run `decision(tx, *args)`; all of it or nothing. Exceptions other than Refused come through."""
        tx = Transaction(self.state, self.world, self._moments.take())
        answer = decide(tx, decision, *args)
        self.failures += tx.failures
        if tx.ops:
            self._ops += tx.ops
            if not self._placement_wanted:
                self._placement_wanted = any(isinstance(op, _FREES_OR_NEEDS_A_HOST) for op in tx.ops)
        self._placement_wanted |= tx.wants_placement
        for deadline, at_mono_ms in tx.armed:
            self.deadlines.arm(deadline, at_mono_ms)
        offset = self.decided_offset
        if len(self._ops) >= self.ops_per_entry:
            self._full.append(self._take_gathered())
        self._effects.extend((offset, effect) for effect in tx.effects)
        if tx.ops or tx.effects or tx.armed or tx.wants_placement or tx.failures:
            self.ready()
        return Ticket(offset, answer)

    def read(self, view: Callable[..., Answer], *args: Any) -> Ticket:
        """Run `view(state, policy, *args)`, which changes nothing."""
        return Ticket(self.decided_offset, view(self.state, self.world.policy, *args))

    def read_now(self, view: Callable[..., Answer], *args: Any) -> Ticket:
        """Run `view(state, policy, clocks, *args)`: for answers that say how long ago something was."""
        clocks = self._moments.take()
        return Ticket(self.decided_offset, view(self.state, self.world.policy, clocks, *args))

    def pulse(self, key: UpdateKey) -> Ticket:
        """A heartbeat. Nearly all change nothing but when it was heard: they need no transaction."""
        answer = requests.beat(self.state, key, self.clock.mono_ms())
        if answer is None:
            return self.write(requests.pulse, key)
        offset = self.decided_offset
        if offset != self._beating.offset:
            self._beating = Ticket(offset, answer)
        return self._beating

    def canonical(self, key: UpdateKey) -> UpdateKey | None:
        """The object the state has for this key: looking that one up needs no comparison."""
        update = self.state.updates.get(key)
        return None if update is None else update.key

    def tick(self) -> bool:
        """Act on deadlines that are reached and on tasks that wait for a host. Returns whether more is due now."""
        for _ in range(self.deadlines_per_tick):
            deadline = self.deadlines.due(self.clock.mono_ms())
            if deadline is None:
                break
            self.attempt(core_deadlines.reached, deadline)
        else:
            return True
        return self._place()

    def _place(self) -> bool:
        if not self._placement_wanted:
            return False
        self._placement_wanted = False
        if not self.state.tasks.by_status[TaskStatus.PENDING] or not self.state.hosts:
            return False
        more = False

        def pass_once(tx: Transaction) -> None:
            nonlocal more
            more = place(tx)

        self.attempt(pass_once)
        self._placement_wanted |= more  # an update that saw a task placed may have created another one
        return self._placement_wanted

    def want_placement(self) -> None:
        """Hosts changed: what waits may fit now."""
        self._placement_wanted = True
        self.ready()

    def attempt(self, decision: Callable[..., Answer | None], *args: Any) -> Answer:
        """A decision nobody waits for: if it raises, that is noted and nothing changes."""
        try:
            return self.write(decision, *args).answer
        except Exception as failure:
            self.failures.append((getattr(decision, "__name__", repr(decision)), failure))
            self.ready()
            return OK

    # --- committing ---

    @property
    def durable_offset(self) -> int:
        return self._durable

    @property
    def decided_offset(self) -> int:
        """The offset of the state as memory has it now."""
        return self._gathering if self._ops else self._gathering - 1

    def next_entry(self, uuid: bytes) -> Entry | None:
        """What is to be appended now, unless an entry is in flight or there is nothing."""
        if self._in_flight is not None or self._ended is not None:
            return None
        if not self._full:
            if not self._ops:
                return None
            self._full.append(self._take_gathered())
        now_ms = self._moments.take().now_ms
        self._in_flight = Entry(self._durable + 1, self.epoch, uuid, now_ms, self._full.popleft())
        return self._in_flight

    def _take_gathered(self) -> tuple[ops.Op, ...]:
        gathered = tuple(self._ops)
        self._ops.clear()
        self._gathering += 1
        return gathered

    def committed(self, offset: int) -> None:
        """The entry in flight is durable: answers that waited for it leave."""
        assert self._in_flight is not None
        assert self._in_flight.offset == offset
        self._in_flight = None
        self._durable = offset
        for waiter in self._waiters.pop(offset, ()):
            waiter(Outcome.DURABLE)

    def take_effects(self) -> list[Effect]:
        """Effects whose decision is durable, in order. Each is handed out once."""
        taken: list[Effect] = []
        while self._effects and self._effects[0][0] <= self._durable:
            taken.append(self._effects.popleft()[1])
        return taken

    def when_durable(self, offset: int, callback: Callable[[Outcome], None]) -> None:
        """Call back when `offset` is durable: at once if it is, and with what became of it if it never will be."""
        if offset <= self._durable:
            callback(Outcome.DURABLE)
        elif self._ended is not None:
            callback(self._ended)
        else:
            self._waiters.setdefault(offset, []).append(callback)

    def end(self, in_flight: Outcome) -> None:
        """This controller decides no more. `in_flight`: what is known of the entry that was being appended.

        What was only gathered surely never happened.
        """
        self._ended = Outcome.REFUSED
        self._effects.clear()
        waiters, self._waiters = self._waiters, {}
        for offset, callbacks in sorted(waiters.items()):
            appending = self._in_flight is not None and offset == self._in_flight.offset
            for callback in callbacks:
                callback(in_flight if appending else Outcome.REFUSED)
