"""Apache's JSON protocol: read strictly where we know the field, leniently where we do not."""

import json
from typing import Any

import pytest

from scheduler.interface import aurora
from scheduler.rpc.messages import MAX_WEIGHT, BadMessage
from scheduler.rpc.tjson import JSON
from tests.rpc.calls import JOB, UPDATE, binary_call, job, json_call, update_request

from scheduler.rpc.binary import STRICT  # isort: skip


def call(fields: Any, method: str = "killTasks") -> bytes:
    return json.dumps([1, method, 1, 7, fields]).encode()


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("getTierConfigs", {}),
        ("pulseJobUpdate", {"key": UPDATE}),
        ("killTasks", {"job": JOB, "instances": [1, 2], "message": "Grüße\n☀"}),
        ("createJob", {"description": job(2, taskLinks={"a": "b"}, metadata=[aurora.Metadata(key="k", value="v")])}),
        ("startJobUpdate", {"request": update_request(2, rollbackOnFailure=True), "message": ""}),
        ("setQuota", {"ownerRole": "www", "quota": aurora.ResourceAggregate(resources=[aurora.Resource(numCpus=0.5)])}),
    ],
)
def test_both_protocols_read_the_same(method: str, fields: dict[str, Any]) -> None:
    from_json, from_binary = JSON.read(json_call(method, 7, **fields)), STRICT.read(binary_call(method, 7, **fields))
    assert from_json.args == from_binary.args
    assert (from_json.method, from_json.kind, from_json.seqid) == (method, 1, 7)


def test_unknown_fields_are_skipped() -> None:
    """thriftpy2 raises KeyError for them."""
    fields = {"5": {"set": ["i32", 1, 3]}, "99": {"rec": {"1": {"str": "x"}}}, "98": {"new": [1]}, "-32768": 1}
    args = JSON.read(call({**fields, "4": {"rec": {"1": {"str": "www"}, "77": {"i32": 1}}}})).args
    assert args.instances == [3]
    assert args.job.role == "www"


@pytest.mark.parametrize("field_id", ["05", "+5", " 5", "5 ", "-0", "5.0", "\u0665", "", "name", "65541", "-32769"])
def test_a_field_id_in_another_spelling_is_not_an_unknown_field(field_id: str) -> None:
    """Skipped, it would leave out which instances to kill; 65541 is 5 to whoever keeps 16 bits."""
    with pytest.raises(BadMessage, match=r"killTasks has a field .*; expected an id"):
        JSON.read(call({field_id: {"set": ["i32", 1, 3]}}))
    with pytest.raises(BadMessage, match=r"killTasks\.job has a field"):
        JSON.read(call({"4": {"rec": {field_id: {"str": "www"}}}}))


def test_every_message_is_read_for_itself() -> None:
    """thriftpy2's protocol object returns the first message for ever."""
    assert JSON.read(json_call("getJobs", 1, ownerRole="a")).args.ownerRole == "a"
    second = JSON.read(json_call("getJobs", 2, ownerRole="b"))
    assert (second.seqid, second.args.ownerRole) == (2, "b")


def test_whitespace_and_whole_doubles_are_fine() -> None:
    text = b' [1, "setQuota", 1, 7,\n {"2": {"rec": {"4": {"set": ["rec", 1, {"1": {"dbl": 1}}]}}}} ]\n'
    (cpus,) = JSON.read(text).args.quota.resources
    assert cpus.numCpus == 1.0
    assert type(cpus.numCpus) is float


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"6": {"str": 5}}, r"killTasks\.message is not a string"),
        ({"6": {"i32": 5}}, r"killTasks\.message has type 'i32' where \"str\" is expected"),
        ({"5": {"lst": ["i32", 1, 3]}}, r"killTasks\.instances has type 'lst' where \"set\" is expected"),
        ({"5": {"set": ["i64", 1, 3]}}, r"killTasks\.instances has elements of type 'i64', not \"i32\""),
        ({"5": {"set": ["i32", 2, 3]}}, r"killTasks\.instances is not of the form"),
        ({"5": {"set": ["i32", 1, "3"]}}, r"killTasks\.instances\[0\] is not a whole number"),
        ({"5": {"set": ["i32", 1, True]}}, r"killTasks\.instances\[0\] is not a whole number"),
        ({"5": {"set": ["i32", 1, 2**31]}}, r"killTasks\.instances\[0\] does not fit 32 bits"),
        ({"5": {"set": ["i32", 1, 1.0]}}, r"killTasks\.instances\[0\] is not a whole number"),
        ({"4": {"rec": []}}, r"killTasks\.job is not an object of fields"),
        ({"4": {"rec": {"1": {"str": None}}}}, r"killTasks\.job\.role is not a string"),
        ({"4": {}}, r"killTasks\.job is not of the form"),
        ({"4": 3}, r"killTasks\.job is not of the form"),
        ({"6": {"str": "\ud800"}}, r"killTasks\.message contains half of a surrogate pair"),
    ],
)
def test_known_fields_must_have_their_type(fields: Any, sentence: str) -> None:
    """A value of a wrong type would be stored, and every later answer that holds it would fail."""
    with pytest.raises(BadMessage, match=sentence):
        JSON.read(call(fields))


@pytest.mark.parametrize("value", ['"x"', "true2", "1e999", '"1.0"', "NaN", "[]", "1" * 400])
def test_doubles(value: str) -> None:
    text = f'[1,"setQuota",1,7,{{"2":{{"rec":{{"4":{{"set":["rec",1,{{"1":{{"dbl":{value}}}}}]}}}}}}}}]'
    if value == "1e999":  # JSON has no infinity; Python reads one: the core refuses it by name
        assert JSON.read(text.encode()).args.quota.resources[0].numCpus == float("inf")
    else:
        with pytest.raises(BadMessage):
            JSON.read(text.encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"{}",
        b"[]",
        b"null",
        b"[1]",
        b'[2,"getJobs",1,1,{}]',
        b"[1,5,1,1,{}]",
        b'[1,"getJobs",1,1,[]]',
        b'[1,"getJobs",1,1,{}] x',
        b'[1,"getJobs",1,4294967296,{}]',
        b'[1,"getJobs",999,1,{}]',
        b'[1,"getJobs","1",1,{}]',
        b'[1,"g\xc3\xa9t",1,1,{}]',
        b'[1,"getJobs",1,1,{"1":{"str":"\xff"}}]',
        b"\x80\x01\x00\x01\x00\x00\x00\x07getJobs",
        b'[1,"getJobs",1,1,{"1":{"str":NaN}}]',
        b"9" * 5000,
    ],
)
def test_what_is_no_call(data: bytes) -> None:
    with pytest.raises(BadMessage):
        JSON.read(data)


@pytest.mark.parametrize("depth", [65, 50_000])
def test_nesting_is_bounded(depth: int) -> None:
    deep = '{"77":{"rec":' * depth + "{}" + "}}" * depth
    with pytest.raises(BadMessage, match="nested more than 64 deep"):
        JSON.read(f'[1,"getJobs",1,1,{deep}]'.encode())


def test_brackets_in_strings_are_no_nesting() -> None:
    text = '[{"\\' * 1000
    assert JSON.read(json_call("getJobs", ownerRole=text)).args.ownerRole == text


def test_text_may_hold_what_outside_of_it_would_be_too_much() -> None:
    """A job's configuration is often JSON itself, or ends in a backslash."""
    for text in (json.dumps([{"a": [1]}] * 300_000), "\\" * 500_000 + '"' * 500_000 + "{}," * 500_000, "\\"):
        assert JSON.read(json_call("getJobs", ownerRole=text)).args.ownerRole == text


@pytest.mark.parametrize(
    "fields",
    [
        '"77":["' + '","' * 700_000 + '"]',
        '"77":[' + "{}," * 250_000 + "0]",
        '"77":[' + "0," * 800_000 + "0]",
        '"1":{"str":"' + r"\n" * 500_000 + '"},"77":[' + "{}," * 250_000 + "0]",
    ],
    ids=["strings", "objects", "numbers", "escapes before"],
)
def test_what_is_no_struct_is_bounded_before_anything_is_made_of_it(fields: str) -> None:
    with pytest.raises(BadMessage, match="holds too much"):
        JSON.read(f'[1,"getJobs",1,1,{{{fields}}}]'.encode())


@pytest.mark.parametrize(
    ("field", "most"),
    [('"%d":{"tf":1}', 99_996), ('"%d":{"lst":["rec",0]}', 99_996), ('"%d":{"rec":{}}', 9_996)],
    ids=["bools", "empty lists", "empty structs"],
)
def test_fields_and_structs_in_fields_are_counted_as_in_binary(field: str, most: int) -> None:
    """Here they are those of four structs in a field that nobody knows."""
    for count in (most, most + 4):
        one = ",{" + ",".join(field % number for number in range(count // 4)) + "}"
        message = f'[1,"getJobs",1,1,{{"77":{{"lst":["rec",4{one * 4}]}}}}]'.encode()
        if count == most:
            JSON.read(message)
            continue
        with pytest.raises(BadMessage, match="holds too much"):
            JSON.read(message)


@pytest.mark.parametrize("number", ["1" * 41, "-" + "1" * 40, "1" * 4299])
def test_whole_numbers_are_no_longer_than_can_be_read_soon(number: str) -> None:
    for fields in (f'"77":{{"i64":{number}}}', f'"1":{{"str":{number}}}'):
        with pytest.raises(BadMessage, match=f"a whole number has {len(number)} characters; at most 40"):
            JSON.read(f'[1,"getJobs",1,1,{{{fields}}}]'.encode())


def test_a_wrong_element_is_named() -> None:
    wrong = {"1": {"rec": {"11": {"set": ["rec", 2, {"1": {"str": "a"}}, {"1": {"str": 5}}]}}}}
    with pytest.raises(BadMessage, match=r"getTasksStatus\.query\.jobKeys\[1\]\.role is not a string"):
        JSON.read(call(wrong, "getTasksStatus"))


def test_elements_are_bounded() -> None:
    with pytest.raises(BadMessage, match="holds too much"):
        JSON.read(b'[1,"getJobs",1,1,{"77":[' + b"[]," * (2 * MAX_WEIGHT) + b"0]}]")


@pytest.mark.parametrize(
    ("container", "item", "most"),
    [
        ('"11":{"set":["rec",%d%s]}', ',{"1":{"str":"a"},"2":{"str":"b"}}', 9_999),
        ('"4":{"set":["str",%d%s]}', ',"a"', 99_990),
        ('"7":{"set":["i32",%d%s]}', ",1", 499_950),
        ('"77":{"lst":["lst",%d%s]}', ',["i32",3,1,2,3]', 9_433),
    ],
    ids=["structs", "strings", "numbers", "lists"],
)
def test_containers_hold_no_more_than_in_binary(container: str, item: str, most: int) -> None:
    for count in (most, most + 1):
        query = container % (count, item * count)
        message = f'[1,"getTasksStatus",1,1,{{"1":{{"rec":{{{query}}}}}}}]'.encode()
        if count == most:
            JSON.read(message)
            continue
        with pytest.raises(BadMessage, match="holds too much"):
            JSON.read(message)


def test_unknown_methods_are_left_to_the_processor() -> None:
    assert JSON.read(call({"1": {"rec": {}}}, method="noSuchMethod")).args is None
