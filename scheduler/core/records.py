"""What the scheduler knows, as frozen records: jobs, task configurations, tasks, hosts.

Names and meanings are those of Aurora's interface (`thrift/aurora.thrift`); the shapes are ours.
A set of the interface is a sorted tuple here, so that "unset" and "empty" are the same value, equality is
structural and a content hash is stable. Timestamps are wall-clock milliseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from hashlib import blake2b
from typing import Any, Final

from attrs import field, frozen


def canonical(items: Iterable[Any]) -> tuple[Any, ...]:
    """A set as a sorted tuple without repetitions: one spelling for one value."""
    found = set(items)
    return tuple(found) if len(found) < 2 else tuple(sorted(found, key=repr))


class TaskStatus(IntEnum):
    """States of a task; names and numbers are Aurora's `ScheduleStatus`."""

    PENDING = 0
    STARTING = 1
    RUNNING = 2
    FINISHED = 3
    FAILED = 4
    KILLED = 5
    KILLING = 6
    LOST = 7
    ASSIGNED = 9
    INIT = 11
    RESTARTING = 12
    PREEMPTING = 13
    THROTTLED = 16
    DRAINING = 17
    PARTITIONED = 18


TERMINAL_STATES: Final = frozenset({TaskStatus.FAILED, TaskStatus.FINISHED, TaskStatus.KILLED, TaskStatus.LOST})
ACTIVE_STATES: Final = frozenset(TaskStatus) - TERMINAL_STATES - {TaskStatus.INIT}
ASSIGNED_STATES: Final = ACTIVE_STATES - {TaskStatus.PENDING, TaskStatus.THROTTLED}


@frozen(cache_hash=True)
class JobKey:
    """Names a job: role/environment/name."""

    role: str
    environment: str
    name: str

    def __str__(self) -> str:
        return f"{self.role}/{self.environment}/{self.name}"


@frozen
class Metadata:
    key: str
    value: str


@frozen
class ExecutorConfig:
    """Which executor runs the task and what it is told. `data` is opaque to the core."""

    name: str
    data: str


class ResourceKind(IntEnum):
    """Numbers are the branch ids of Aurora's `Resource` union."""

    CPUS = 1
    RAM_MB = 2
    DISK_MB = 3
    PORT = 4
    GPUS = 5


@frozen
class Resource:
    """One resource request: cores (float), MB (int), a port's name (str) or a number of GPUs."""

    kind: ResourceKind
    value: float | int | str


@frozen
class ValueConstraint:
    """The host's attribute must (or, negated, must not) have one of the values."""

    negated: bool
    values: tuple[str, ...] = field(converter=canonical)


@frozen
class LimitConstraint:
    """At most `limit` tasks of the job per value of the attribute."""

    limit: int


@frozen
class Constraint:
    name: str
    constraint: ValueConstraint | LimitConstraint | None


@frozen
class DockerImage:
    name: str
    tag: str


@frozen
class AppcImage:
    name: str
    image_id: str


@frozen
class Volume:
    container_path: str
    host_path: str
    mode: int | None


@frozen
class MesosContainer:
    """The default container: plain processes, optionally with an image and volumes."""

    image: DockerImage | AppcImage | None = None
    volumes: tuple[Volume, ...] = ()


@frozen
class DockerParameter:
    name: str
    value: str


@frozen
class DockerContainer:
    image: str
    parameters: tuple[DockerParameter, ...] = ()


@frozen
class FetcherUri:
    value: str
    extract: bool | None = None
    cache: bool | None = None
    output_file: str | None = None


@frozen
class PartitionPolicy:
    reschedule: bool
    delay_secs: int | None = None


@frozen
class PercentageSlaPolicy:
    percentage: float
    duration_secs: int


@frozen
class CountSlaPolicy:
    count: int
    duration_secs: int


@frozen
class CoordinatorSlaPolicy:
    coordinator_url: str
    status_key: str


SlaPolicy = PercentageSlaPolicy | CountSlaPolicy | CoordinatorSlaPolicy


@frozen(cache_hash=True)
class TaskConfig:
    """What one task of a job is to run and what it needs. Equal configurations are one object in the state."""

    job: JobKey
    is_service: bool = False
    priority: int = 0
    max_task_failures: int = 0
    owner_user: str | None = None
    production: bool | None = None
    tier: str | None = None
    contact_email: str | None = None
    executor: ExecutorConfig | None = None
    container: MesosContainer | DockerContainer = MesosContainer()
    resources: tuple[Resource, ...] = field(default=(), converter=canonical)
    constraints: tuple[Constraint, ...] = field(default=(), converter=canonical)
    metadata: tuple[Metadata, ...] = field(default=(), converter=canonical)
    fetcher_uris: tuple[FetcherUri, ...] = field(default=(), converter=canonical)
    task_links: tuple[tuple[str, str], ...] = field(default=(), converter=canonical)
    partition_policy: PartitionPolicy | None = None
    sla_policy: SlaPolicy | None = None
    _amounts: tuple[float, ...] = field(init=False, eq=False, repr=False)
    """By the number of the kind. Placement and its books ask for them at every step of a task."""

    @_amounts.default
    def _add_up(self) -> tuple[float, ...]:
        amounts: list[float] = [0] * (max(ResourceKind) + 1)
        for r in self.resources:
            amounts[r.kind] += 1 if r.kind is ResourceKind.PORT else float(r.value)
        return tuple(amounts)

    def amount(self, kind: ResourceKind) -> float:
        """How much of a resource one task takes; 0 when it asks for none. Ports are counted."""
        return self._amounts[kind]

    def port_names(self) -> tuple[str, ...]:
        return tuple(str(r.value) for r in self.resources if r.kind is ResourceKind.PORT)


def content_hash(config: TaskConfig) -> bytes:
    """16 bytes that name this content in the log. Only compared, never decoded, so its recipe may change."""
    return blake2b(repr(config).encode(), digest_size=16).digest()


@frozen
class JobConfiguration:
    """A request to create a job (or a cron template): `instance_count` tasks of one configuration."""

    key: JobKey | None
    task_config: TaskConfig | None
    instance_count: int
    owner_user: str | None = None
    cron_schedule: str | None = None
    cron_collision_policy: int | None = None


@frozen
class TaskEvent:
    """One entry of a task's history."""

    timestamp_ms: int
    status: TaskStatus
    message: str | None = None
    scheduler: str | None = None


@frozen(eq=False)
class Task:
    """One run of one instance of a job. Compared by identity: a new record for every change."""

    task_id: str
    instance_id: int
    config: TaskConfig
    status: TaskStatus
    events: tuple[TaskEvent, ...] = ()
    failure_count: int = 0
    ancestor_id: str | None = None
    times_partitioned: int = 0
    host: str | None = None
    agent_id: str | None = None
    ports: tuple[tuple[str, int], ...] = ()

    @property
    def job(self) -> JobKey:
        return self.config.job

    @property
    def is_active(self) -> bool:
        return self.status in ACTIVE_STATES

    @property
    def latest_event_ms(self) -> int:
        return self.events[-1].timestamp_ms if self.events else 0

    def was(self, *statuses: TaskStatus) -> bool:
        """Does the history contain one of these states?"""
        return any(event.status in statuses for event in self.events)


class MaintenanceMode(IntEnum):
    """How far a host is on its way out of service; names and numbers are Aurora's."""

    NONE = 1
    SCHEDULED = 2
    DRAINING = 3
    DRAINED = 4


@frozen
class Quota:
    """What the production jobs of a role may take together of the hosts that all roles share."""

    cpus: float = 0.0
    ram_mb: int = 0
    disk_mb: int = 0


@frozen
class Host:
    """A machine the engine offers: what it has in all, and which ports may be handed out (ascending)."""

    name: str
    agent_id: str
    cpus: float
    ram_mb: int
    disk_mb: int
    gpus: int = 0
    ports: tuple[int, ...] = ()
    attributes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    mode: MaintenanceMode = MaintenanceMode.NONE
    """Set by people, not by the engine: an offer leaves it as it is."""
    unavailable_from_ms: int | None = None
    """When the host has announced to go away."""
