"""A joined answer is, byte for byte, the one that is encoded as a whole; no piece is kept longer than its record."""

from __future__ import annotations

import gc
import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from scheduler.core import queries
from scheduler.core.answers import Answer, Code
from scheduler.core.history import History
from scheduler.core.records import JobKey, Task, TaskStatus
from scheduler.core.updates.records import InstanceAction, InstanceEvent, JobUpdate
from scheduler.interface import thesan
from scheduler.rpc import to_thrift
from scheduler.rpc.binary import LENIENT, STRICT
from scheduler.rpc.large import Large, NoRoom, Parts
from scheduler.rpc.messages import REPLY, Call, Codec
from scheduler.rpc.pieces import BATCH, Pieces
from scheduler.rpc.plain_json import PLAIN
from scheduler.rpc.replies import Replies
from scheduler.rpc.tjson import JSON
from tests.changelog import strategies as some
from tests.rpc.test_to_thrift import FULL, OTHERS, RESULTS, SERVER, TASK, update

CODECS = pytest.mark.parametrize("codec", [STRICT, JSON, PLAIN], ids=["binary", "json", "plain"])
METHOD = "getTasksStatus"  # every method of the interface returns a Response
CALL = Call(METHOD, 1, 4711, None)


def encoded(codec: Codec, answer: Answer) -> bytes:
    """The answer as a struct, written in one go."""
    result = getattr(thesan.Scheduler, f"{METHOD}_result")(success=to_thrift.response(answer, SERVER))
    return codec.write(METHOD, REPLY, CALL.seqid, result)


def joined(codec: Codec, answer: Answer, replies: Replies | None = None) -> bytes:
    def broken(mistake: Exception) -> bytes:
        raise mistake

    payload = (replies or Replies(SERVER)).answer(CALL, codec, answer, broken)
    if isinstance(payload, bytes):
        return payload
    parts = payload._parts
    assert parts is not None
    while not parts.make_some():
        pass
    pieces = b"".join(parts.pieces())
    assert pieces == parts.whole()
    assert len(pieces) == parts.size
    payload.drop()
    return pieces


@CODECS
@pytest.mark.parametrize("which", [0, 1], ids=["empty", "full"])
@pytest.mark.parametrize("branch", RESULTS)
def test_every_result(codec: Codec, branch: str, which: int) -> None:
    for details in ((), ("one", None)):
        answer = Answer(Code.OK, details, RESULTS[branch][which])
        assert joined(codec, answer) == encoded(codec, answer)


@CODECS
@pytest.mark.parametrize("code", Code)
def test_answers_without_a_result(codec: Codec, code: Code) -> None:
    for details in ((), ("grüße",), (None, "two")):
        assert joined(codec, Answer(code, details)) == encoded(codec, Answer(code, details))


@CODECS
def test_jobs_without_a_configuration_and_a_single_update(codec: Codec) -> None:
    key = JobKey("www", "prod", "hello")
    for result in (
        queries.Jobs((queries.JobConfiguration(key, None, 2), queries.JobConfiguration(None, OTHERS[0], 2))),
        queries.UpdateDetails((update(),), single=True),
        queries.UpdateDetails((update(desired=None, initial=()), update())),
        queries.Tasks((TASK, Task("t", 0, OTHERS[1], TaskStatus.PENDING)), with_data=False),
    ):
        assert joined(codec, Answer(result=result)) == encoded(codec, Answer(result=result))


@CODECS
@settings(max_examples=25)
@given(tasks=st.lists(some.tasks, max_size=3), with_data=st.booleans(), details=some.tuples_of(some.maybe_text, 2))
def test_any_tasks(codec: Codec, tasks: list[Task], with_data: bool, details: tuple[str | None, ...]) -> None:
    answer = Answer(Code.OK, details, queries.Tasks((*tasks, *tasks), with_data))
    replies = Replies(SERVER)
    assert joined(codec, answer, replies) == encoded(codec, answer)
    assert joined(codec, answer, replies) == encoded(codec, answer)  # and again, from what was kept


@CODECS
@settings(max_examples=25)
@given(updates=st.lists(some.job_updates, max_size=2), single=st.booleans())
def test_any_updates(codec: Codec, updates: list[JobUpdate], single: bool) -> None:
    replies = Replies(SERVER)
    found = tuple(updates)
    for result in (
        queries.UpdateSummaries(found),
        queries.UpdateDetails(found[:1], single=single) if found else queries.UpdateDetails(()),
        queries.UpdateDetails(found),
    ):
        answer = Answer(result=result)
        assert joined(codec, answer, replies) == encoded(codec, answer)
        assert joined(codec, answer, replies) == encoded(codec, answer)


@CODECS
def test_long_histories_and_many_records_come_in_batches(codec: Codec) -> None:
    events = History([InstanceEvent(i, i, InstanceAction.INSTANCE_UPDATING) for i in range(3 * BATCH + 1)])
    one = update()
    long = JobUpdate(one.key, one.user, one.instructions, one.metadata, one.events, events)
    many = tuple(Task(f"t-{i}", i, FULL, TaskStatus.RUNNING) for i in range(3 * BATCH + 1))
    for result in (queries.UpdateDetails((long,)), queries.Tasks(many)):
        assert joined(codec, Answer(result=result)) == encoded(codec, Answer(result=result))
        pieces = Pieces(codec)
        batches = pieces.of(result)
        assert batches is not None
        made = [len(batch) for batch in batches]
        assert max(made) <= 3 * BATCH
        assert abs(len(made) - pieces.batches(result)) <= 5


def test_both_binary_codecs_share_their_pieces() -> None:
    replies = Replies(SERVER)
    answer = Answer(result=queries.Tasks((TASK,)))
    assert joined(STRICT, answer, replies) == joined(LENIENT, answer, replies)
    assert replies.held()["tasks"] == 1


def test_pieces_go_with_their_records() -> None:
    replies = Replies(SERVER)
    tasks = [Task(f"t-{i}", i, FULL, TaskStatus.RUNNING) for i in range(10)]
    updates = [update() for _ in range(3)]
    for codec in (STRICT, JSON):
        joined(codec, Answer(result=queries.Tasks(tuple(tasks))), replies)
        joined(codec, Answer(result=queries.UpdateDetails(tuple(updates))), replies)
    configs = {part.config for one in updates for part in one.instructions.initial} | {FULL}
    assert replies.held() == {"configs": 2 * len(configs), "tasks": 20, "updates": 6, "instructions": 6}
    del tasks[3:]
    updates.clear()
    gc.collect()
    assert replies.held() == {"configs": 2 * len(configs), "tasks": 6, "updates": 0, "instructions": 0}


def test_a_changed_record_is_encoded_anew() -> None:
    replies = Replies(SERVER)
    for status in (TaskStatus.PENDING, TaskStatus.RUNNING):
        task = Task("t", 0, FULL, status)
        reply = json.loads(joined(JSON, Answer(result=queries.Tasks((task,))), replies))
        (found,) = reply[4]["0"]["rec"]["3"]["rec"]["3"]["rec"]["1"]["lst"][2:]
        assert found["2"]["i32"] == status


# --- large ones


def many_tasks(count: int) -> Answer:
    return Answer(result=queries.Tasks(tuple(Task(f"t-{i}", i, FULL, TaskStatus.RUNNING) for i in range(count))))


def large(replies: Replies, answer: Answer, monkeypatch: pytest.MonkeyPatch, **how: Any) -> Large:
    """An answer whose every full batch takes a slice of its own."""
    monkeypatch.setattr("scheduler.rpc.large.SLICE_S", 1e-4)
    payload = replies.answer(CALL, STRICT, answer, how.get("mistake", lambda wrong: b""))
    assert isinstance(payload, Large)
    return payload


def test_what_is_on_its_way_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = many_tasks(5 * BATCH)
    size = len(encoded(STRICT, answer))
    replies = Replies(SERVER, max_outstanding_bytes=size // 2)
    first = large(replies, answer, monkeypatch)  # a single one is let through whatever its size
    with pytest.raises(NoRoom, match=r"1 large answers of .* bytes are on their way"):
        large(replies, answer, monkeypatch)
    first.drop()
    first.drop()
    assert (replies.outstanding.answers, replies.outstanding.bytes) == (0, 0)
    large(replies, answer, monkeypatch).drop()


@pytest.mark.parametrize(
    "sizes", [[10], [1000] * 7, [700_000], [10, 700_000, 10], [262_144] * 3, [0, 0], [200_000] * 9]
)
def test_pieces_are_whole_and_not_much_longer_than_wanted(sizes: list[int]) -> None:
    data = [[bytes([i % 251]) * size, b"x"] for i, size in enumerate(sizes)]
    parts = Parts(data)
    assert parts.make_some()
    pieces = list(parts.pieces())
    assert b"".join(pieces) == b"".join(b"".join(batch) for batch in data) == parts.whole()
    assert max(map(len, pieces)) <= 262_144
    assert len(pieces) <= 2 + 2 * sum(sizes) // 262_144
    assert all(pieces)
