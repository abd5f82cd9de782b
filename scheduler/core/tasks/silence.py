"""Hosts that nobody hears of: after a while their tasks are PARTITIONED, and each task's policy says what follows.

An engine that knows better says so itself. This is for hosts that it does not offer: one that went away, and after a
failover one that belongs to another machine's engine. Nothing is LOST blindly: a task whose policy is to wait waits,
and is RUNNING again when its host comes back with it. Source: Aurora's documentation, "Partition policy".
"""

from __future__ import annotations

from scheduler.core.effects import Reconcile
from scheduler.core.records import TaskStatus
from scheduler.core.tables import NO_USAGE
from scheduler.core.tasks.lifecycle import transition
from scheduler.core.tasks.table import TRANSITIONS
from scheduler.core.transaction import DeadlineKind, Transaction


def take_over(tx: Transaction) -> None:
    """Every host with tasks must be heard of again."""
    for host in tx.state.tasks.by_host:
        arm(tx, host)


def arm(tx: Transaction, host: str) -> None:
    """It went away, or nobody has heard of it yet."""
    tx.arm(DeadlineKind.HOST, host, tx.now_ms + tx.policy.host_silence_ms)


def due(tx: Transaction, host: str) -> None:
    """Still not heard of? Then its tasks are PARTITIONED; one that is only ASSIGNED has a deadline of its own."""
    if host in tx.state.hosts:
        return
    tasks = [
        task
        for task in tx.state.tasks.by_host.get(host, NO_USAGE).tasks.values()
        if TaskStatus.PARTITIONED in TRANSITIONS[task.status]
    ]
    if not tasks:
        return
    silent_s = tx.policy.host_silence_ms // 1000
    count = "1 task is" if len(tasks) == 1 else f"{len(tasks)} tasks are"
    tx.say(host, f"not heard of for {silent_s} s: {count} PARTITIONED")
    for task in tasks:
        transition(tx, task.task_id, TaskStatus.PARTITIONED, f"Host {host} has not been heard of for {silent_s} s")


def heard(tx: Transaction, host: str) -> None:
    """It is back: the engine is asked how its tasks are, and whether some run that were given up.

    Whether they are called PARTITIONED yet or not. What ended while nobody heard of the host is told by nobody, and the
    lists that were taken meanwhile say nothing about it: those of a new leader, above all.
    """
    if tx.state.tasks.by_host.get(host, NO_USAGE).tasks:
        tx.effect(Reconcile())
