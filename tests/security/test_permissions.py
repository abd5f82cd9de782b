"""Shiro's wildcard permissions, by the examples of its documentation and Aurora's, and by what must always hold."""

import pytest
from hypothesis import given, strategies as st

from scheduler.security.permissions import Grants, parse

TABLE = [
    ("*", ("a", "b", "c"), True),
    ("thrift.AuroraAdmin:*", ("thrift.AuroraAdmin", "setQuota"), True),
    ("thrift.AuroraAdmin", ("thrift.AuroraAdmin", "setQuota"), True),
    ("thrift.AuroraAdmin:setQuota", ("thrift.AuroraAdmin", "snapshot"), False),
    ("thrift.AuroraAdmin:setQuota", ("thrift.auroraadmin", "SETQUOTA"), True),
    ("m:*:www", ("m", "killTasks", "www", "prod", "hello"), True),
    ("m:*:www", ("m", "killTasks", "ads", "prod", "hello"), False),
    ("m:*:WWW", ("m", "killTasks", "www", "prod", "hello"), True),
    ("m:killTasks,createJob:www:prod", ("m", "createJob", "www", "prod", "hello"), True),
    ("m:killTasks,createJob:www:prod", ("m", "createJob", "www", "devel", "hello"), False),
    ("m:killTasks , createJob", ("m", "createJob", "www", "devel", "hello"), True),
    ("m:*:*:*:hello", ("m", "createJob", "www", "devel", "hello"), True),
    ("m:*:*:*:hello", ("m", "createJob", "www", "devel", "other"), False),
    ("m:*:*:*:*", ("m", "createJob"), True),
    ("m:*:www", ("m", "createJob"), False),
    ("m:*:www:*:*:*", ("m", "createJob", "www", "prod", "hello"), True),
    ("m:*:www:*:*:x", ("m", "createJob", "www", "prod", "hello"), False),
    ("m:pulse*", ("m", "pulseJobUpdate"), False),
]


@pytest.mark.parametrize(("permission", "wanted", "allowed"), TABLE)
def test_implies(permission: str, wanted: tuple[str, ...], allowed: bool) -> None:
    grants = Grants([parse(permission)])
    for _ in range(2):  # the second time from what is remembered
        assert grants.allows(*wanted) is allowed


def test_nothing_is_granted_by_nothing_and_one_of_several_is_enough() -> None:
    assert not Grants().allows("m", "createJob")
    assert Grants([parse("m:a"), parse("m:b")]).allows("m", "b")


@pytest.mark.parametrize("text", ["", ":", "a:", "a::b", "a:b,", ",a"])
def test_an_empty_part_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a part is empty"):
        parse(text)


words = st.sampled_from(["a", "b", "c"])
parts = st.lists(st.sets(words | st.just("*"), min_size=1), min_size=1, max_size=5)


@given(parts, st.lists(words, min_size=2, max_size=5))
def test_implies_is_what_shiro_says_it_is(permission: list[set[str]], wanted: list[str]) -> None:
    text = ":".join(",".join(sorted(part)) for part in permission)
    expected = all(
        index >= len(permission) or "*" in permission[index] or word in permission[index]
        for index, word in enumerate(wanted)
    ) and all("*" in part for part in permission[len(wanted) :])
    assert Grants([parse(text)]).allows(*wanted) is expected
