"""What must be done after the commit of a decision, in the imperative. Nothing here happens before it is durable."""

from __future__ import annotations

from attrs import frozen

from scheduler.core.records import CoordinatorSlaPolicy, Task
from scheduler.core.updates.records import UpdateKey, UpdateStatus


@frozen
class Launch:
    """Start this task on the host it was assigned, as it stood when that was decided."""

    task: Task


@frozen
class Terminate:
    """Ask this task to end (`hard` False) or end it."""

    task_id: str
    hard: bool = False
    host: str | None = None
    """Where it is, if it is known here: an engine that does not have that host must not speak for it."""


@frozen
class Forget:
    """These ended tasks left the state; the engine need not keep them."""

    task_ids: tuple[str, ...]


@frozen
class Say:
    """One sentence for the log: what was done to whom, and why."""

    subject: str
    sentence: str


@frozen
class StepDown:
    """This leader's memory is to be thrown away: whoever leads next begins with what is durable."""

    why: str


@frozen
class Reconcile:
    """Ask the engine for all it has, and compare. `wanted`: does everything run that should; `unwanted`: does
    anything run that should not. `batch_size`: so many tasks in one decision; None: as many as the flag says."""

    wanted: bool = True
    unwanted: bool = True
    batch_size: int | None = None


@frozen
class ForDrain:
    """A host is emptied. `forced_at_ms`: from then on nobody is asked any more."""

    host: str
    forced_at_ms: int


@frozen
class ForUpdate:
    """An update, in this status, is to end the task."""

    key: UpdateKey
    status: UpdateStatus


Purpose = ForDrain | ForUpdate


@frozen
class AskCoordinator:
    """Ask a job's coordinator whether this task may go, unless that is being asked already. `core/sla/answers.py`
    takes the answer."""

    task: Task
    policy: CoordinatorSlaPolicy
    purpose: Purpose


Effect = Launch | Terminate | Forget | Say | StepDown | Reconcile | AskCoordinator
