"""Forged bytes are refused before thriftpy2 sees them; honest bytes pass, in one piece or in many."""

import struct
import time

import pytest

from scheduler.interface import aurora
from scheduler.rpc.binary import STRICT
from scheduler.rpc.checks import Walk, check_call
from scheduler.rpc.messages import MAX_NESTING, BadMessage
from tests.rpc.calls import JOB, UPDATE, binary_call, job, raw_call, task_config, update_request

HONEST = {
    "pulse": binary_call("pulseJobUpdate", key=UPDATE),
    "no arguments": binary_call("getTierConfigs"),
    "create": binary_call(
        "createJob",
        description=job(
            3,
            metadata=[aurora.Metadata(key="a", value="b")] * 3,
            taskLinks={"a": "b", "c": "d"},
            constraints=[
                aurora.Constraint(
                    name="rack",
                    constraint=aurora.TaskConstraint(value=aurora.ValueConstraint(negated=False, values=["x", "y"])),
                )
            ],
        ),
    ),
    "update": binary_call(
        "startJobUpdate",
        request=update_request(3, updateOnlyTheseInstances=[aurora.Range(first=0, last=2)]),
        message="go",
    ),
    "kill": binary_call("killTasks", job=JOB, instances=[1, 2, 3], message=""),
    "empty set": binary_call("killTasks", job=JOB, instances=[]),
}


@pytest.mark.parametrize("message", HONEST.values(), ids=HONEST.keys())
def test_honest_messages_pass_whole_and_byte_by_byte(message: bytes) -> None:
    whole = check_call(message)
    piecewise = Walk(1 << 20)
    for end in range(len(message)):
        assert not piecewise.feed(bytearray(message[:end])), end
    assert piecewise.feed(bytearray(message + b"the next message"))
    assert piecewise.end == whole.end == len(message)
    assert piecewise.method == whole.method


@pytest.mark.parametrize("message", HONEST.values(), ids=HONEST.keys())
def test_a_message_cut_short_anywhere_is_refused(message: bytes) -> None:
    for end in range(len(message)):
        with pytest.raises(BadMessage, match=r"not complete|claims"):
            check_call(message[:end])


def test_bytes_after_the_message_are_refused() -> None:
    with pytest.raises(BadMessage, match="2 bytes follow the message"):
        check_call(HONEST["pulse"] + b"\0\0")


def test_old_headers_are_read_where_they_are_allowed() -> None:
    message = binary_call("pulseJobUpdate", seqid=9, strict=False, key=UPDATE)
    walk = check_call(message, strict=False)
    assert (walk.method, walk.kind, walk.seqid) == ("pulseJobUpdate", 1, 9)
    with pytest.raises(BadMessage, match="version"):
        check_call(message)


def test_a_list_of_nothing_two_thousand_million_times_is_refused_at_once() -> None:
    """thriftpy2 counts to 2^31 over elements that take no bytes, and nothing else runs meanwhile."""
    started = time.perf_counter()
    for element in (0, 1, 5, 7, 9, 16, 17, 18, 99):
        message = raw_call("pulseJobUpdate", struct.pack(">BhBi", 15, 77, element, 2**31 - 1) + b"\0")
        with pytest.raises(BadMessage, match="claims 2147483647 elements"):
            STRICT.read(message)
    assert time.perf_counter() - started < 0.05


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (struct.pack(">Bhi", 11, 77, -1), "a string at byte .* claims -1 bytes"),
        (struct.pack(">Bhi", 11, 77, 2**31 - 1), "a string at byte .* claims 2147483647 bytes"),
        (struct.pack(">Bhi", 11, 77, 5000) + b"short", "claims 5000 bytes"),
        (struct.pack(">BhBi", 15, 77, 12, -5), "a list .* claims -5 elements"),
        (struct.pack(">BhBi", 14, 77, 8, 1000) + b"\0" * 8, "a set .* claims 1000 elements"),
        (struct.pack(">BhBBi", 13, 77, 11, 11, 2**30), "a map .* claims 1073741824 elements"),
        (struct.pack(">Bh", 1, 77), "type 1 at byte .* is not one of Thrift's"),
        (struct.pack(">Bh", 200, 77), "type 200 at byte .* is not one of Thrift's"),
    ],
)
def test_sizes_and_types_that_cannot_be(args: bytes, sentence: str) -> None:
    with pytest.raises(BadMessage, match=sentence):
        check_call(raw_call("pulseJobUpdate", args + b"\0"))


def test_nesting_is_bounded() -> None:
    deep = struct.pack(">Bh", 12, 77)
    fits = MAX_NESTING - 1  # the arguments themselves are a struct
    check_call(raw_call("pulseJobUpdate", deep * fits + b"\0" * (fits + 1)))
    for count in (fits + 1, 100_000):
        with pytest.raises(BadMessage, match="nested"):
            check_call(raw_call("pulseJobUpdate", deep * count + b"\0" * (count + 1)))


@pytest.mark.parametrize(
    ("field_id", "kind", "element", "most"),
    [(11, 12, b"\0", 9_999), (4, 11, b"\0\0\0\0", 99_990), (7, 8, b"\0\0\0\0", 499_950)],
    ids=["structs", "strings", "numbers"],
)
def test_containers_hold_no_more_than_can_be_taken_at_once(field_id: int, kind: int, element: bytes, most: int) -> None:
    """An empty struct takes one byte here and a hundred in memory. The query is a struct too, in a field."""
    for count in (most, most + 1):
        query = struct.pack(">BhBhBi", 12, 1, 14, field_id, kind, count) + element * count + b"\0\0"
        if count == most:
            check_call(raw_call("getTasksStatus", query))
            continue
        with pytest.raises(BadMessage, match="holds too much: 10000 structs, 100000 strings or 500000 numbers"):
            check_call(raw_call("getTasksStatus", query))


def test_elements_of_elements_count_too() -> None:
    inner = struct.pack(">Bi", 8, 1000) + b"\0" * 4000
    lists = struct.pack(">BhBi", 15, 77, 15, 600) + inner * 600 + b"\0"
    with pytest.raises(BadMessage, match="holds too much"):
        check_call(raw_call("getTasksStatus", lists))


@pytest.mark.parametrize(
    ("field", "most"),
    [
        (struct.pack(">BhB", 2, 77, 1), 100_000),
        (struct.pack(">BhBi", 15, 77, 2, 0), 100_000),
        (struct.pack(">BhB", 12, 77, 0), 10_000),
        (struct.pack(">Bhi", 11, 1, 0), 100_000),
    ],
    ids=["bools", "empty lists", "empty structs", "known strings"],
)
def test_fields_and_structs_in_fields_are_counted_too(field: bytes, most: int) -> None:
    """Four million of them fit into a message, and took the walk three seconds; no container is needed for that."""
    check_call(raw_call("getJobs", field * most + b"\0"))
    for name in ("getJobs", "noSuchMethod"):
        with pytest.raises(BadMessage, match="100000 fields of structs"):
            check_call(raw_call(name, field * (most + 1) + b"\0"))


def test_fields_of_all_structs_are_counted_together() -> None:
    key = b"\x0b\0\1\0\0\0\0" * 20 + b"\0"
    query = struct.pack(">BhBhBi", 12, 1, 14, 11, 12, 5_000) + key * 5_000 + b"\0\0"
    with pytest.raises(BadMessage, match="100000 fields of structs"):
        check_call(raw_call("getTasksStatus", query))


def test_elements_are_counted_once_however_often_the_walk_is_resumed() -> None:
    for message in (
        binary_call("killTasks", job=JOB, instances=list(range(2000))),
        raw_call("getJobs", b"\x0c\0\x63\0" * 2000 + b"\0"),
    ):
        walk = Walk(1 << 20)
        for end in range(len(message)):
            assert not walk.feed(message[:end])
        assert walk.feed(message)


def test_a_known_field_of_another_type_is_refused() -> None:
    """Thrift's libraries take it for absent: to kill some instances would become to kill all."""
    job_key = struct.pack(">Bh", 12, 4) + b"\0"
    as_list = raw_call("killTasks", job_key + struct.pack(">BhBii", 15, 5, 8, 1, 7) + b"\0")
    with pytest.raises(BadMessage, match=r"killTasks\.instances is a set, but a list was sent"):
        check_call(as_list)
    of_longs = raw_call("killTasks", job_key + struct.pack(">BhBiq", 14, 5, 10, 1, 7) + b"\0")
    with pytest.raises(BadMessage, match=r"has elements of type \[10\], not of i32"):
        check_call(of_longs)


def test_unknown_fields_and_methods_pass_when_they_are_sound() -> None:
    extra = struct.pack(">BhBi", 15, 99, 12, 2) + b"\0\0" + struct.pack(">BhBBi", 13, 98, 11, 8, 0)
    call = STRICT.read(raw_call("pulseJobUpdate", extra + b"\0"))
    assert call.args.key is None
    assert STRICT.read(raw_call("noSuchMethod", extra + b"\0")).args is None


def test_an_empty_container_may_have_any_element_type() -> None:
    call = STRICT.read(raw_call("killTasks", struct.pack(">BhBi", 14, 5, 0, 0) + b"\0"))
    assert call.args.instances == []


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n\r\n", b"\x80\x02\x00\x01" + b"\0" * 20, b"\xff" * 40])
def test_what_is_no_message_at_all(first: bytes) -> None:
    with pytest.raises(BadMessage, match="version"):
        check_call(first)


def test_method_names_are_short_and_ascii() -> None:
    with pytest.raises(BadMessage, match="name claims 1000 bytes"):
        check_call(raw_call("x" * 1000, b"\0"))
    with pytest.raises(BadMessage, match="name is not ASCII"):
        check_call(raw_call("é", b"\0"))


def test_strings_must_be_utf_8() -> None:
    message = binary_call("getJobs", ownerRole="www").replace(b"www", b"\xff\xfe\xfd")
    with pytest.raises(BadMessage, match="not UTF-8"):
        STRICT.read(message)


def test_a_truncated_string_discloses_nothing() -> None:
    """thriftpy2's memory buffer would hand out 5,000 bytes of whatever lay behind the message."""
    secrets = [b"SECRET-%d-" % i * 100 for i in range(100)]
    del secrets
    message = raw_call("getJobs", struct.pack(">Bhi", 11, 1, 5000) + b"www" + b"\0")
    with pytest.raises(BadMessage, match="claims 5000 bytes"):
        STRICT.read(message)
    unchecked = Walk(len(message))
    unchecked.method, unchecked.args_at = "getJobs", message.index(b"\x0b\x00\x01")
    with pytest.raises(BadMessage, match="End of file"):  # the transport alone is enough, too
        STRICT.read_checked(message, unchecked)


def test_large_honest_messages_are_decoded() -> None:
    config = task_config(executorConfig=aurora.ExecutorConfig(name="AuroraExecutor", data="x" * 3_000_000))
    call = STRICT.read(binary_call("createJob", description=aurora.JobConfiguration(taskConfig=config)))
    assert len(call.args.description.taskConfig.executorConfig.data) == 3_000_000
