"""What is known of a host that people have taken out of service, or are about to."""

from __future__ import annotations

from attrs import frozen

from scheduler.core.records import MaintenanceMode, SlaPolicy


@frozen
class Drain:
    """A wish that a host be emptied. `policy`: for tasks that have none; after `timeout_secs` it holds no longer."""

    policy: SlaPolicy
    timeout_secs: int
    created_ms: int

    @property
    def forced_at_ms(self) -> int:
        """From then on nobody is asked any more."""
        return self.created_ms + self.timeout_secs * 1000


@frozen
class Maintenance:
    """A host's mode, and while it is DRAINING the wish behind it. Mode NONE: as if there were no record."""

    host: str
    mode: MaintenanceMode
    drain: Drain | None = None
