"""Snapshots, backups and recovery over the wire: what waits, what is refused, and what a commit puts in place."""

from __future__ import annotations

import asyncio
from typing import Any

from scheduler.contracts import Outcome
from scheduler.core import jobs
from scheduler.core.answers import Answer, Code
from scheduler.core.records import JobConfiguration, JobKey
from scheduler.interface import aurora
from scheduler.rpc.handler import Handler
from scheduler.rpc.to_thrift import ServerInfo
from scheduler.testing.serving import Serving
from scheduler.testing.stage import Stage, service
from tests.rpc.calls import args_of
from tests.rpc.test_handler import Notebook


def create(stage: Stage, name: str, instances: int) -> None:
    key = JobKey("www", "prod", name)
    assert stage.ask(jobs.create, JobConfiguration(key, service(key, "x"), instances), "me").ok


async def ask(handler: Handler, method: str, **fields: Any) -> Answer:
    reply = handler.call(method, args_of(method, **fields), "me")
    if reply.later is None:
        return reply.answer
    answer, struct = await reply.later()
    assert struct.responseCode == answer.code
    return Answer(Code(struct.responseCode), tuple(detail.message for detail in struct.details), struct.result)


def test_a_backup_is_staged_changed_and_becomes_the_state() -> None:
    async def main() -> None:
        serving = Serving()
        stage, handler = serving.stage, serving.handler
        create(stage, "web", 3)
        await ask(handler, "performBackup")
        create(stage, "late", 2)
        (name,) = (await ask(handler, "listBackups")).result.listBackupsResult.backups
        assert (await ask(handler, "stageRecovery", backupId=name)).ok
        before = set(stage.state.tasks)
        (first, *_) = sorted(serving.archive.staged()[1].tasks)
        assert (await ask(handler, "deleteRecoveryTasks", query=aurora.TaskQuery(taskIds={first}))).ok
        assert set(stage.state.tasks) == before
        reply = handler.call("commitRecovery", args_of("commitRecovery"), "me")
        assert reply.answer.ok
        assert {task.config.job.name for task in stage.state.tasks.values()} == {"web"}
        assert len(stage.state.tasks) == 2 and first not in stage.state.tasks
        outcomes: list[Outcome] = []
        serving.core.when_durable(reply.offset, outcomes.append)
        serving.core.release()
        assert outcomes == [Outcome.DURABLE]
        assert (await ask(handler, "commitRecovery")).details == ("no backup is staged",)

    asyncio.run(main())


def test_without_a_leader_all_of_it_is_to_be_tried_again() -> None:
    class Nobody(Notebook):
        def read(self, view: Any, *args: Any) -> Any:
            return super().read(view, *args).__class__(0, Answer(Code.ERROR_TRANSIENT, ("nobody leads",)))

    async def main() -> None:
        serving = Serving()
        handler = Handler(Nobody(), ServerInfo("test"), lambda: None, archive=serving.archive)  # type: ignore[arg-type,return-value]
        for method in ("snapshot", "performBackup", "listBackups", "stageRecovery", "unloadRecovery"):
            assert (await ask(handler, method)).code is Code.ERROR_TRANSIENT, method
        assert serving.archive.snapshots == 0 and await serving.archive.backups() == []

    asyncio.run(main())


def test_what_keeps_no_copies_says_so() -> None:
    async def main() -> None:
        handler = Handler(Notebook(), ServerInfo("test"), lambda: None)  # type: ignore[arg-type,return-value]
        assert (await ask(handler, "snapshot")).details == ("there is nothing here that keeps copies of the state",)

    asyncio.run(main())
