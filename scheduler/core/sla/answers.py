"""What a coordinator answered. Whatever it was asked for may be over by then: everything is looked at anew."""

from __future__ import annotations

from scheduler.core.effects import AskCoordinator, ForDrain
from scheduler.core.maintenance import draining
from scheduler.core.transaction import Transaction
from scheduler.core.updates import updater


def answered(tx: Transaction, question: AskCoordinator, why_not: str | None) -> None:
    """`why_not` None: the task may go. Otherwise its coordinator is asked again at the drain's next look, or at the
    update's next try."""
    asked, purpose = question.task, question.purpose
    if why_not is not None:
        tx.say(f"{asked.job}/{asked.instance_id}", f"stays for now: its coordinator {why_not}")
        return
    task = tx.state.tasks.get(asked.task_id)
    if task is None:
        return
    tx.cleared.add(task.task_id)
    if isinstance(purpose, ForDrain):
        draining.cleared(tx, task, question.policy, purpose.host)
        return
    update = tx.state.updates.get(purpose.key)
    if update is not None and update.status is purpose.status:
        updater.look_at(tx, purpose.key, [updater.Seen(task.instance_id, task)])
