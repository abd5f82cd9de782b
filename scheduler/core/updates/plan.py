"""What an update does to which instance, in which order: derived once from its instructions, which never change.

Order (Aurora's documentation, "Job update details"): instances to create, then to replace, then to remove, ascending
within each; a rollback takes the exact reverse.
"""

from __future__ import annotations

from attrs import frozen

from scheduler.core.records import TaskConfig
from scheduler.core.updates.records import Instructions, instance_ids


@frozen(eq=False)
class Plan:
    forward_order: tuple[int, ...]
    back_order: tuple[int, ...]
    initial: dict[int, TaskConfig]
    desired: dict[int, TaskConfig]

    def order(self, *, back: bool) -> tuple[int, ...]:
        return self.back_order if back else self.forward_order

    def concerns(self, instance: int) -> bool:
        """Is the instance part of this update at all?"""
        return instance in self.desired or instance in self.initial

    def target(self, instance: int, *, back: bool) -> TaskConfig | None:
        """The configuration the instance is to have; None: it is to be gone."""
        return (self.initial if back else self.desired).get(instance)


def make_plan(instructions: Instructions) -> Plan:
    initial = {i: part.config for part in instructions.initial for i in instance_ids(part.instances)}
    wanted = instructions.desired
    desired = dict.fromkeys(instance_ids(wanted.instances), wanted.config) if wanted is not None else {}
    create = sorted(desired.keys() - initial.keys())
    replace = sorted(desired.keys() & initial.keys())
    remove = sorted(initial.keys() - desired.keys())
    order = (*create, *replace, *remove)
    return Plan(order, order[::-1], initial, desired)
