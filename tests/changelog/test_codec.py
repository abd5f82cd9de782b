"""Whatever goes into the log comes out again, and nothing else does."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from attrs import evolve
from hypothesis import given, settings, strategies as st

from scheduler.changelog import frame as framing
from scheduler.changelog.codec import Unencodable, decode, decode_chunk, encode, encode_chunk
from scheduler.changelog.configs import Configs
from scheduler.changelog.errors import Damaged, ForeignLineage, FormatTooNew
from scheduler.contracts import Entry
from scheduler.core import ops
from scheduler.core.records import JobKey, Task, TaskConfig, TaskEvent, TaskStatus, content_hash
from scheduler.core.updates.records import (
    InstanceAction,
    InstanceEvent,
    InstanceProgress,
    Phase,
    UpdateKey,
)
from tests.changelog import golden
from tests.changelog.stage import plain
from tests.changelog.strategies import any_op, entries, saved_first

LINEAGE = golden.LINEAGE
PREVIOUS = framing.genesis(LINEAGE)
CONFIG = TaskConfig(JobKey("www", "prod", "hello"), priority=3)
SAVE = ops.SaveConfig(content_hash(CONFIG), CONFIG)
KEY = UpdateKey(CONFIG.job, "11111111-2222-3333-4444-555555555555")
TASK_ID = "1732200000000-www-prod-hello-0-8f14e45f-ceea-467f-a9e0-1b1b1b1b1b1b"


def entry(*told: ops.Op, offset: int = 7) -> Entry:
    return Entry(offset, 3, bytes(16), 1_732_200_000_000, told)


def to_bytes(made: Entry, configs: Configs | None = None) -> bytes:
    return encode(made, lineage=LINEAGE, previous=PREVIOUS, configs=configs or Configs())[0]


def from_bytes(data: bytes, offset: int = 7, configs: Configs | None = None) -> Entry:
    known = configs or Configs()
    return decode(data, offset=offset, lineage=LINEAGE, previous=PREVIOUS, configs=known)[0]


@given(entries)
def test_an_entry_comes_back_whole(made: Entry) -> None:
    data, checksum = encode(made, lineage=LINEAGE, previous=PREVIOUS, configs=Configs())

    found, found_checksum = decode(data, offset=made.offset, lineage=LINEAGE, previous=PREVIOUS, configs=Configs())

    assert checksum == found_checksum
    assert evolve(made, ops=()) == evolve(found, ops=())
    assert [plain(op) for op in made.ops] == [plain(op) for op in found.ops]


@given(any_op)
def test_what_is_read_can_be_written_again_to_the_same_bytes(op: ops.Op) -> None:
    data = to_bytes(entry(*saved_first([op])))

    assert data == to_bytes(from_bytes(data))


@given(st.lists(any_op, max_size=6).map(saved_first))
def test_a_chunk_comes_back_whole(told: tuple[ops.Op, ...]) -> None:
    data, checksum = encode_chunk(told, position=2, generation=5, lineage=LINEAGE, previous=PREVIOUS, configs=Configs())

    found, found_checksum = decode_chunk(
        data, position=2, covered=9, lineage=LINEAGE, previous=PREVIOUS, configs=Configs()
    )

    assert checksum == found_checksum
    assert [plain(op) for op in told] == [plain(op) for op in found]


@given(entries, st.data())
@settings(max_examples=300)
def test_an_altered_byte_is_found(made: Entry, data: st.DataObject) -> None:
    whole = bytearray(to_bytes(made))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))

    with pytest.raises(Damaged) as caught:
        from_bytes(bytes(whole), made.offset)

    assert caught.value.offset == made.offset


@given(entries, st.data())
def test_a_torn_entry_is_found(made: Entry, data: st.DataObject) -> None:
    whole = to_bytes(made)
    kept = data.draw(st.integers(0, len(whole) - 1))

    with pytest.raises(Damaged):
        from_bytes(whole[:kept], made.offset)
    with pytest.raises(Damaged):
        from_bytes(whole + whole[:kept] + b"\0", made.offset)


@given(entries, st.data())
def test_a_body_cut_short_is_refused_or_read_even_under_a_valid_checksum(made: Entry, data: st.DataObject) -> None:
    """A fault of ours must not become a memory fault: thriftpy2 can be brought to read past the end of its data."""
    whole = to_bytes(made)[framing.OVERHEAD_BYTES - framing.CHECKSUM_BYTES : -framing.CHECKSUM_BYTES]
    kept = data.draw(st.integers(0, len(whole) - 1))
    header = framing.Header(framing.Kind.ENTRY, 7, 1, 0, bytes(16), LINEAGE, PREVIOUS)

    with pytest.raises(Damaged, match="End of file"):
        from_bytes(framing.seal(header, whole[:kept])[0])


def test_a_text_longer_than_the_body_is_not_filled_from_memory() -> None:
    body = b"\x0f\x00\x02\x0b\x00\x00\x00\x01" + (5000).to_bytes(4, "big") + b"short"
    header = framing.Header(framing.Kind.ENTRY, 7, 1, 0, bytes(16), LINEAGE, PREVIOUS)

    with pytest.raises(Damaged, match="End of file"):
        from_bytes(framing.seal(header, body)[0])


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"offset": 8}, Damaged, "says of itself that it is number 7, not 8"),
        ({"lineage": bytes(16)}, ForeignLineage, "belongs to the history 000102"),
        ({"previous": bytes(16)}, Damaged, "does not follow the one before"),
    ],
)
def test_an_entry_out_of_place_is_found(change: dict[str, Any], error: type[Damaged], says: str) -> None:
    place = {"offset": 7, "lineage": LINEAGE, "previous": PREVIOUS, **change}

    with pytest.raises(error, match=says) as caught:
        decode(to_bytes(entry()), configs=Configs(), **place)

    assert caught.value.offset == place["offset"]
    assert "restore a backup" in str(caught.value)


def test_a_chunk_is_no_entry() -> None:
    chunk, _ = encode_chunk([SAVE], position=7, generation=1, lineage=LINEAGE, previous=PREVIOUS, configs=Configs())

    with pytest.raises(Damaged, match="a chunk stands where a entry should"):
        from_bytes(chunk)


def test_a_higher_level_is_refused_by_its_number() -> None:
    header = framing.Header(framing.Kind.ENTRY, 7, 1, 0, bytes(16), LINEAGE, PREVIOUS, level=framing.FORMAT_LEVEL + 1)

    with pytest.raises(FormatTooNew, match="format level is 3, this version reads up to 2") as caught:
        from_bytes(framing.seal(header, b"anything")[0])

    assert (caught.value.offset, caught.value.level) == (7, 3)


def test_a_record_of_unknown_kind_is_refused() -> None:
    # A body with one op, in which only branch 99 is set: an i32.
    body = b"\x0f\x00\x01\x0c\x00\x00\x00\x01" + b"\x08\x00\x63\x00\x00\x00\x05\x00" + b"\x00"
    header = framing.Header(framing.Kind.ENTRY, 7, 1, 0, bytes(16), LINEAGE, PREVIOUS)

    with pytest.raises(FormatTooNew, match="a record of unknown kind"):
        from_bytes(framing.seal(header, body)[0])


def test_a_status_of_unknown_number_is_refused() -> None:
    odd = ops.MoveTask(TASK_ID, TaskEvent(1, 77), 0)  # type: ignore[arg-type]

    with pytest.raises(FormatTooNew, match="TaskStatus 77 is unknown"):
        from_bytes(to_bytes(entry(odd)))


def test_tasks_of_one_configuration_share_one_object() -> None:
    tasks = [ops.SaveTask(Task(f"t{i}", i, CONFIG, TaskStatus.PENDING)) for i in range(3)]
    known = Configs()

    first = from_bytes(to_bytes(entry(SAVE, *tasks)), configs=known)
    writer = Configs()
    writer.remember(SAVE.digest, CONFIG)
    later = from_bytes(to_bytes(entry(*tasks), writer), configs=known)

    saved, *found = [*first.ops, *later.ops]
    assert isinstance(saved, ops.SaveConfig)
    assert all(isinstance(op, ops.SaveTask) and op.task.config is saved.config for op in found)


def test_a_configuration_saved_again_while_it_is_alive_is_the_same_object() -> None:
    known = Configs()

    first = from_bytes(to_bytes(entry(SAVE)), configs=known)
    again = from_bytes(to_bytes(entry(SAVE)), configs=known)

    assert first.ops[0].config is again.ops[0].config  # type: ignore[union-attr]


def test_a_configuration_never_saved_cannot_be_written() -> None:
    with pytest.raises(Unencodable, match="never saved"):
        to_bytes(entry(ops.SaveTask(Task("t", 0, CONFIG, TaskStatus.PENDING))))


def test_a_configuration_never_saved_cannot_be_read() -> None:
    writer = Configs()
    writer.remember(SAVE.digest, CONFIG)
    data = to_bytes(entry(ops.SaveTask(Task("t", 0, CONFIG, TaskStatus.PENDING))), writer)

    with pytest.raises(Damaged):
        from_bytes(data)


@pytest.mark.parametrize(
    "op",
    [
        ops.RemoveTasks(("\ud800",)),
        ops.MoveInstance(KEY, 2**31, InstanceProgress()),
        ops.EpochBegun("one", "me"),  # type: ignore[arg-type]
    ],
)
def test_what_does_not_fit_the_format_is_said_before_anything_is_written(op: ops.Op) -> None:
    with pytest.raises(Unencodable, match="does not fit the storage format"):
        to_bytes(entry(op))


def test_deltas_are_small() -> None:
    event = TaskEvent(1_732_200_000_000, TaskStatus.RUNNING, "the task is healthy", "scheduler-1.example.com")
    moves = [
        ops.MoveTask(TASK_ID, event, 0),
        ops.RecordInstance(KEY, InstanceEvent(0, 1_732_200_000_000, InstanceAction.INSTANCE_UPDATED)),
        ops.MoveInstance(KEY, 0, InstanceProgress(Phase.SUCCEEDED, recorded=3)),
    ]
    empty = len(to_bytes(entry()))

    assert [len(to_bytes(entry(move))) - empty for move in moves] == [169, 126, 122]
    assert (len(to_bytes(entry(*moves * 100))) - empty) / 300 < 70


def test_the_newest_level_is_what_it_was() -> None:
    """A change of any record is a new level: see the rule in thrift/storage.thrift."""
    assert golden.RECORDS.read_text(encoding="utf-8") == golden.records()


@pytest.mark.parametrize("level", range(1, ops.FORMAT_LEVEL + 1))
def test_an_entry_of_each_level_is_read_as_ever(level: int) -> None:
    written = bytes.fromhex((golden.HERE / f"level_{level}.hex").read_text(encoding="utf-8"))

    found = from_bytes(written, golden.ENTRY.offset)

    expected = [op for op in golden.ENTRY.ops if ops.level_of((op,)) <= level]
    assert [plain(op) for op in expected] == [plain(op) for op in found.ops]
    assert framing.read_header(written).level == level


@pytest.mark.parametrize("level", range(1, ops.FORMAT_LEVEL))
def test_a_level_keeps_every_record_of_those_before_it(level: int) -> None:
    """Numbers are never used again, types and names never change."""
    before = (golden.HERE / f"level_{level}.records").read_text(encoding="utf-8").splitlines()
    assert set(before) <= set(golden.records().splitlines())


def test_the_golden_entry_has_every_op() -> None:
    assert {type(op) for op in golden.ENTRY.ops} == set(get_args(ops.Op))


def test_an_entry_says_the_lowest_level_that_understands_it() -> None:
    new = golden.ENTRY.ops[-1]
    assert type(new) in ops.SINCE
    assert framing.read_header(to_bytes(entry())).level == 1
    assert framing.read_header(to_bytes(entry(new))).level == ops.SINCE[type(new)]
    with pytest.raises(FormatTooNew, match="its format level is 2, this version reads up to 1"):
        decode(to_bytes(entry(new)), offset=7, lineage=LINEAGE, previous=PREVIOUS, configs=Configs(), level=1)
