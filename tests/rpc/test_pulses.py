"""The hot path answers what the general way would answer, byte for byte, and takes nothing it does not know."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, strategies as st

from scheduler.core.answers import Code
from scheduler.core.updates import requests
from scheduler.interface import aurora
from scheduler.rpc import from_thrift
from scheduler.rpc.binary import LENIENT, STRICT
from scheduler.rpc.callers import Caller
from scheduler.rpc.messages import BadMessage
from scheduler.rpc.processor import Pending, Processor
from scheduler.rpc.pulses import read_key
from scheduler.testing.serving import Serving
from tests.rpc.calls import JOB, binary_call, framed, job, raw_call, read_reply, update_request

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def args_of(message: bytes) -> bytes:
    return message[26:]


class House:
    """A stage with one update under heartbeat, and a processor whose every pulse can be asked on either way."""

    def __init__(self, **how: Any) -> None:
        self.serving = Serving()
        self.serving.core.held = True
        self.told: list[tuple[str, Code, int, int]] = []
        self.processor = Processor(self.serving.handler, lambda *call: self.told.append(call), **how)
        self.ask(binary_call("createJob", description=job(2)))
        self.settle()
        for task in list(self.serving.stage.state.tasks.active[from_thrift.job_key(JOB)].values()):
            self.serving.stage.run(task)
        started = self.ask(binary_call("startJobUpdate", request=update_request(2, blockIfNoPulsesAfterMs=60_000)))
        self.key = started.result.startJobUpdateResult.key
        self.settle()
        self.told.clear()

    def ask(self, message: bytes) -> Any:
        return read_reply(self.processor.process(message, STRICT, STRICT, Caller()).payload)[3]

    def settle(self) -> None:
        self.serving.stage.settle()

    def pulse(self, seqid: int = 7, **key: Any) -> bytes:
        fields = {"job": self.key.job, "id": self.key.id, **key}
        return binary_call("pulseJobUpdate", seqid, key=aurora.JobUpdateKey(**fields))

    def whole(self, message: bytes) -> bytes:
        payload = self.general(message).payload
        assert isinstance(payload, bytes)
        return payload

    def general(self, message: bytes) -> Pending:
        return self.processor.answer(STRICT.read(message), STRICT, Caller())


def test_both_ways_answer_alike() -> None:
    house = House()
    for seqid in (0, 1, 2**31 - 1, -1):
        message = house.pulse(seqid)
        pending = house.general(message)
        assert house.processor.pulses.answer(message) == (pending.offset, pending.payload)
        house.settle()
    assert len(house.processor.pulses) == 1
    for seqid in (5, 6):
        frame = house.processor.pulses.answer_frame(framed(house.pulse(seqid)))
        assert frame == (house.processor.core.durable_offset, framed(house.whole(house.pulse(seqid))))
    gone = house.pulse(id="no such update")
    assert house.processor.pulses.answer_frame(framed(gone)) == (
        house.processor.core.durable_offset,
        framed(house.whole(gone)),
    )
    assert house.processor.pulses.answer(gone) == (house.processor.core.durable_offset, house.general(gone).payload)
    assert house.ask(gone).result.pulseJobUpdateResult.status == aurora.JobUpdatePulseStatus.FINISHED
    assert len(house.processor.pulses) == 1  # only what beats is remembered


def test_a_heartbeat_that_lifts_a_pause_waits_for_its_record() -> None:
    house = House()
    durable = house.processor.core.durable_offset
    answer = house.processor.pulses.answer(house.pulse(9))
    assert answer is not None
    assert answer[0] == durable + 1
    _, _, seqid, refusal = read_reply(house.processor.pulses.refusal(answer[1]))
    assert (seqid, refusal.responseCode) == (9, aurora.ResponseCode.ERROR_TRANSIENT)


def test_an_update_that_has_ended_is_forgotten() -> None:
    house = House()
    house.processor.pulses.answer(house.pulse())
    assert len(house.processor.pulses) == 1
    house.ask(binary_call("abortJobUpdate", key=house.key))
    assert read_reply(house.processor.pulses.answer(house.pulse())[1])[3].result.pulseJobUpdateResult.status == 2  # type: ignore[index]
    assert len(house.processor.pulses) == 0


@pytest.mark.parametrize("most", [0, 1, 3])
def test_the_cache_is_bounded_and_the_oldest_goes(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(max_cached_pulses=most)
    controller, key = house.serving.stage.controller, from_thrift.update_key(house.key)
    monkeypatch.setattr(house.processor.core, "pulse", lambda asked: controller.pulse(key))
    messages = [house.pulse(id=f"u-{i}") for i in range(5)]
    for message in messages:
        house.processor.pulses.answer(message)
    assert list(house.processor.pulses._known) == [args_of(message) for message in messages[5 - most :]]
    assert house.processor.pulses.answer(house.pulse(id="u" * 1024)) is None
    assert len(house.processor.pulses) == most


def test_calls_are_observed_once() -> None:
    house = House()
    house.processor.process(house.pulse(), LENIENT, LENIENT, Caller())
    house.processor.process(house.pulse(id=""), LENIENT, LENIENT, Caller())
    house.processor.pulses.answer_frame(framed(house.pulse()))
    assert [(method, code, calls) for method, code, _, calls in house.told] == [("pulseJobUpdate", Code.ERROR, 1)]
    house.processor.pulses.tell()
    house.processor.pulses.tell()
    method, code, nanos, calls = house.told[1]
    assert (method, code, calls) == ("pulseJobUpdate", Code.OK, 2)
    assert nanos > 0
    assert len(house.told) == 2


def test_what_is_refused_is_refused_by_the_general_way() -> None:
    house = House()
    for message in (house.pulse(id=""), house.pulse(job=aurora.JobKey(role="a b", environment="prod", name="x"))):
        assert house.processor.pulses.answer(message) is None
        pending = house.processor.process(message, LENIENT, LENIENT, Caller())
        assert pending.payload == house.general(message).payload


def test_a_mistake_of_ours_is_reported_by_the_general_way(caplog: pytest.LogCaptureFixture) -> None:
    house = House()

    def broken(key: Any) -> Any:
        raise RuntimeError("the table is on fire")

    house.processor.pulses.answer(house.pulse())
    house.processor.core.pulse = broken  # type: ignore[method-assign]
    pending = house.processor.process(house.pulse(), LENIENT, LENIENT, Caller())
    assert isinstance(pending.payload, bytes)
    assert read_reply(pending.payload)[3].details[0].message == "the table is on fire"
    assert len(caplog.records) == 1
    assert len(house.processor.pulses) == 0


@given(text, text, text, text)
def test_any_key_is_read_as_the_general_way_reads_it(role: str, environment: str, name: str, update: str) -> None:
    struct = aurora.JobUpdateKey(job=aurora.JobKey(role=role, environment=environment, name=name), id=update)
    message = binary_call("pulseJobUpdate", key=struct)
    assert read_key(args_of(message)) == from_thrift.update_key(STRICT.read(message).args.key)


def test_broken_bytes_are_never_read_otherwise_than_by_the_general_way() -> None:
    chance = random.Random(7)
    honest = args_of(House().pulse())
    read = 0
    for _ in range(20_000):
        args = bytearray(honest)
        for _ in range(chance.randint(1, 2)):
            at = chance.randrange(len(args))
            match chance.randrange(4):
                case 0:
                    args[at] = chance.randrange(256)
                case 1:
                    args[at : at + 4] = chance.choice((0, 1, -1, 2**31 - 1, -(2**31))).to_bytes(4, "big", signed=True)
                case 2:
                    del args[at : at + chance.randint(1, 4)]
                case _:
                    args[at:at] = args[chance.randrange(len(args)) :][:3]
        key = read_key(bytes(args))
        if key is not None:
            read += 1
            assert key == from_thrift.update_key(STRICT.read(raw_call("pulseJobUpdate", bytes(args))).args.key)
    assert read > 300


@pytest.mark.parametrize(
    "message",
    [
        b"",
        binary_call("getJobs"),
        binary_call("pulseJobUpdate"),
        binary_call("pulseJobUpdate", key=aurora.JobUpdateKey(job=JOB)),
        binary_call("pulseJobUpdate", key=aurora.JobUpdateKey(id="u")),
        binary_call("pulseJobUpdate", strict=False, key=aurora.JobUpdateKey(job=JOB, id="u")),
        binary_call("pulseJobUpdate", key=aurora.JobUpdateKey(job=JOB, id="u"))[:-1],
        binary_call("pulseJobUpdate", key=aurora.JobUpdateKey(job=JOB, id="u")) + b"\0",
        binary_call("pulseJobUpdate", key=aurora.JobUpdateKey(job=JOB, id="u"))[:26],
        binary_call("pulseJobUpdate", key=aurora.JobUpdateKey(job=JOB, id="u"))[:23],
    ],
)
def test_other_messages_are_left_alone(message: bytes) -> None:
    assert House().processor.pulses.answer(message) is None
    assert House().processor.pulses.answer_frame(framed(message)) is None


def test_frames_that_are_not_one_message_are_left_alone() -> None:
    house = House()
    frame = framed(house.pulse())
    for known in (False, True):
        assert len(house.processor.pulses) == known
        for data in (frame * 2, frame[:-1], frame + b"\0", b"\0" + frame[1:3] + b"\x01" + frame[4:], frame[:30], b""):
            assert house.processor.pulses.answer_frame(data) is None
        assert house.processor.pulses.answer_frame(frame) is not None


def test_text_that_is_not_utf_8_is_told_so() -> None:
    message = House().pulse(id="xyz").replace(b"xyz", b"\xff\xfe\xfd")
    assert read_key(args_of(message)) is None
    with pytest.raises(BadMessage, match="not UTF-8"):
        STRICT.read(message)


def test_the_answers_are_the_cores_own() -> None:
    """They are recognised by which objects they are."""
    house = House()
    assert house.processor.core.pulse(from_thrift.update_key(house.key)).answer is requests.BEATING
