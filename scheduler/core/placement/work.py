"""What a placement pass may still do."""

from __future__ import annotations

from attrs import define


@define
class Work:
    """Tasks to place and hosts to look at: few, so that a pass is a short decision."""

    tasks: int
    looks: int

    @property
    def goes_on(self) -> bool:
        return self.tasks > 0 and self.looks > 0
