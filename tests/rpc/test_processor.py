"""One message in, one reply out, whatever happens in between."""

import asyncio
import logging
from typing import Any

import pytest
from thriftpy2.thrift import TApplicationException

from scheduler.core.answers import OK, Code
from scheduler.interface import aurora
from scheduler.rpc.binary import LENIENT, STRICT
from scheduler.rpc.callers import Caller
from scheduler.rpc.handler import METHODS
from scheduler.rpc.later import Later
from scheduler.rpc.messages import BadMessage, Codec
from scheduler.rpc.processor import Processor
from scheduler.rpc.tjson import JSON
from scheduler.testing.serving import Serving
from tests.rpc.calls import JOB, UPDATE, binary_call, job, json_call, raw_call, read_reply, update_request


@pytest.fixture
def processor() -> Processor:
    serving = Serving()
    serving.core.held = True
    return serving.processor


def answer(processor: Processor, message: bytes, reads: Codec = STRICT) -> tuple[str, int, int, Any]:
    return read_reply(processor.process(message, reads, STRICT, Caller()).payload)


def test_a_reply_echoes_method_and_sequence_number(processor: Processor) -> None:
    method, kind, seqid, response = answer(processor, binary_call("getJobs", 4711))
    assert (method, kind, seqid) == ("getJobs", 2, 4711)
    assert response.result.getJobsResult.configs == []


def test_protocols_of_request_and_reply_are_independent(processor: Processor) -> None:
    assert answer(processor, json_call("getTierConfigs", 5), JSON)[2] == 5
    pending = processor.process(binary_call("getTierConfigs", 6), LENIENT, JSON, Caller())
    assert pending.payload.startswith(b'[1,"getTierConfigs",2,6,')


def test_a_write_waits_for_its_offset(processor: Processor) -> None:
    before = processor.core.durable_offset
    pending = processor.process(binary_call("createJob", description=job()), STRICT, STRICT, Caller())
    assert pending.offset == before + 1
    assert processor.core.durable_offset == before
    assert read_reply(pending.payload)[3].responseCode == aurora.ResponseCode.OK
    _, _, seqid, refusal = read_reply(pending.refusal())
    assert (seqid, refusal.responseCode) == (1, aurora.ResponseCode.ERROR_TRANSIENT)
    assert "surely did not happen" in refusal.details[0].message


def test_a_read_of_what_is_not_durable_waits_too(processor: Processor) -> None:
    written = processor.process(binary_call("createJob", description=job()), STRICT, STRICT, Caller())
    read = processor.process(binary_call("getTasksStatus", query=aurora.TaskQuery()), STRICT, STRICT, Caller())
    assert read.offset == written.offset


def test_an_unknown_method_is_named(processor: Processor) -> None:
    method, kind, seqid, exception = answer(processor, raw_call("noSuchMethod", b"\0", 3))
    assert (method, kind, seqid) == ("noSuchMethod", 3, 3)
    assert exception.type == TApplicationException.UNKNOWN_METHOD
    assert exception.message == "there is no method 'noSuchMethod' here"


def test_a_message_that_is_no_call_is_refused(processor: Processor) -> None:
    message = binary_call("getJobs").replace(b"\x80\x01\x00\x01", b"\x80\x01\x00\x02")
    _, kind, _, exception = answer(processor, message)
    assert (kind, exception.type) == (3, TApplicationException.INVALID_MESSAGE_TYPE)


def test_an_exception_of_ours_is_an_answer_and_a_log_entry(
    processor: Processor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any) -> Any:
        raise RuntimeError("the table is on fire")

    monkeypatch.setitem(METHODS, "getJobs", broken)
    with caplog.at_level(logging.ERROR):
        _, kind, _, response = answer(processor, binary_call("getJobs"))
    assert (kind, response.responseCode) == (2, aurora.ResponseCode.ERROR)
    text, log_id = (detail.message for detail in response.details)
    assert text == "the table is on fire"
    (record,) = caplog.records
    assert log_id in record.getMessage()
    assert record.exc_info is not None


def test_an_exception_without_text_has_a_detail_without_text(
    processor: Processor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> Any:
        raise AssertionError

    monkeypatch.setitem(METHODS, "getJobs", broken)
    _, _, _, response = answer(processor, binary_call("getJobs"))
    assert response.details[0].message is None


def test_an_answer_that_cannot_be_written_is_an_error_too(
    processor: Processor, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong:
        offset, answer, struct, later, at_once = 0, OK, aurora.Response(responseCode="one"), None, None

    monkeypatch.setattr(processor._handler, "call", lambda *args: Wrong)
    _, _, _, response = answer(processor, binary_call("getJobs"))
    assert response.responseCode == aurora.ResponseCode.ERROR
    assert "responseCode" in response.details[0].message


def test_a_bad_job_key_is_an_error_that_says_why(processor: Processor) -> None:
    """The code is Aurora's."""
    _, _, _, response = answer(processor, binary_call("killTasks", job=aurora.JobKey(role="a b")))
    assert response.responseCode == aurora.ResponseCode.ERROR
    (detail,) = response.details
    assert detail.message == "The job key's role is 'a b'; allowed are 1 to 255 of A-Z, a-z, 0-9, _, - and ."


@pytest.mark.parametrize("codec", [STRICT, JSON])
def test_bytes_that_are_no_message_raise(processor: Processor, codec: Codec) -> None:
    with pytest.raises(BadMessage):
        processor.process(b"\x80\x01nonsense", codec, codec, Caller())


def test_the_observer_is_told() -> None:
    told: list[tuple[str, Code, int, int]] = []
    serving = Serving()
    serving.core.held = True
    observed = Processor(serving.handler, lambda *call: told.append(call))
    for message in (binary_call("getJobs"), binary_call("getQuota"), binary_call("pulseJobUpdate", key=UPDATE)):
        observed.process(message, STRICT, STRICT, Caller())
    observed.pulses.tell()
    assert [(method, code) for method, code, _, _ in told] == [
        ("getJobs", Code.OK),
        ("getQuota", Code.ERROR),
        ("pulseJobUpdate", Code.OK),
    ]
    assert all(nanoseconds > 0 and calls == 1 for _, _, nanoseconds, calls in told)


def test_the_user_of_a_call_is_recorded(processor: Processor) -> None:
    call = binary_call("startJobUpdate", request=update_request())
    processor.process(call, STRICT, STRICT, Caller(user="bob"))
    query = aurora.JobUpdateQuery(jobKey=JOB)
    _, _, _, response = answer(processor, binary_call("getJobUpdateSummaries", jobUpdateQuery=query))
    (summary,) = response.result.getJobUpdateSummariesResult.updateSummaries
    assert summary.user == "bob"


def test_the_observer_is_told_of_what_takes_its_time_when_it_is_over() -> None:
    told: list[tuple[str, Code, int, int]] = []
    observed = Processor(Serving().handler, lambda *call: told.append(call))

    async def main() -> Any:
        pending = observed.process(binary_call("stageRecovery", backupId="x"), STRICT, STRICT, Caller())
        assert told == []
        assert isinstance(pending.payload, Later)
        await pending.payload.prepare()
        return read_reply(b"".join([bytes(piece) async for piece in pending.payload.pieces()]))[3]

    assert asyncio.run(main()).responseCode == aurora.ResponseCode.ERROR
    assert [(method, code) for method, code, _, _ in told] == [("stageRecovery", Code.ERROR)]
