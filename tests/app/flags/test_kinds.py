"""What a value may be, what it means, and what is said of one that may not be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given, strategies as st

from scheduler.app.flags.groups import GROUPS
from scheduler.app.flags.kinds import (
    Choice,
    Decimal,
    Duration,
    File,
    Kind,
    MegaBytes,
    MilliCpus,
    Name,
    Number,
    Regex,
    Size,
    Switch,
    Text,
    Words,
)
from scheduler.app.flags.places import Address, HostPort, HostPorts, Hosts, PortRange
from scheduler.app.flags.rows import Flag, default_of

GOOD: list[tuple[Kind, str, Any]] = [
    (Duration(), "500ms", 500),
    (Duration(), "4secs", 4_000),
    (Duration(), "5mins", 300_000),
    (Duration(), "1hrs", 3_600_000),
    (Duration(), "2days", 172_800_000),
    (Duration(), "0secs", 0),
    (Duration(bare=True), "1500", 1_500),
    (Size(), "128MB", 128 << 20),
    (Size(), "512KB", 512 << 10),
    (Size(), "3B", 3),
    (Number(0, 65_535), "0", 0),
    (Number(-5), "-1", -1),
    (Decimal(0, 100), "99.9", 99.9),
    (MilliCpus(), "0.25", 250),
    (MegaBytes(), "128MB", 128),
    (MegaBytes(), "1KB", 1),
    (Switch(), "TRUE", True),
    (Switch(), "false", False),
    (Choice("NONE", "BASIC"), "basic", "BASIC"),
    (Words("MESOS", "DOCKER"), "docker, mesos,DOCKER", ("DOCKER", "MESOS")),
    (HostPort(), "[::1]:2181", "[::1]:2181"),
    (HostPorts(), "a.example:2181, [::1]:2182", "a.example:2181,[::1]:2182"),
    (Hosts(), "A.example, *.b.example,10.0.0.7,fe80::7,*", ("a.example", "*.b.example", "10.0.0.7", "fe80::7", "*")),
    (PortRange(), "31000-31999", (31_000, 31_999)),
    (Address(), "0.0.0.0", "0.0.0.0"),
    (Address(), "::1", "::1"),
    (File(), "/var/lib/thesan", Path("/var/lib/thesan")),
    (Regex(), "^(prod|devel)$", "^(prod|devel)$"),
    (Text(), "local", "local"),
    (Name(), "east-1", "east-1"),
]

BAD: list[tuple[Kind, str]] = [
    (Duration(), "5"),
    (Duration(), "5 mins"),
    (Duration(), "5m"),
    (Duration(), "1.5hrs"),
    (Duration(), "-1secs"),
    (Duration(), "mins"),
    (Duration(), "٣mins"),
    (Duration(), "9" * 18 + "days"),
    (Duration(1000), "999ms"),
    (Size(), "128"),
    (Size(), "128mb"),
    (Size(1024), "1023B"),
    (Number(0, 65_535), "65536"),
    (Number(0), "1_000"),
    (Number(0), "x"),
    (Decimal(0, 100), "nan"),
    (Decimal(0, 100), "100.1"),
    (Switch(), "yes"),
    (Choice("NONE"), ""),
    (Words("MESOS"), "MESOS,"),
    (HostPort(), "a.example:0"),
    (HostPort(), "a:1,b:2"),
    (Hosts(), ""),
    (Hosts(), "a,,b"),
    (Hosts(), "http://a"),
    (Hosts(), "a*.b"),
    (Hosts(), "a:80"),
    (HostPorts(), "a.example"),
    (HostPorts(), "a:0"),
    (HostPorts(), "a:2181,,b:2181"),
    (PortRange(), "9-8"),
    (PortRange(), "31000"),
    (Address(), "localhost"),
    (File(), ""),
    (Regex(), "("),
    (Text(), " "),
    (Name(), ""),
    (Name(), "east/1"),
]


@pytest.mark.parametrize(("kind", "text", "value"), GOOD)
def test_good(kind: Kind, text: str, value: Any) -> None:
    assert kind.convert(text, None, None) == value


@pytest.mark.parametrize(("kind", "text"), BAD)
def test_bad(kind: Kind, text: str) -> None:
    with pytest.raises(click.BadParameter) as caught:
        kind.convert(text, None, None)

    assert repr(text) in caught.value.message
    assert "it must be " in caught.value.message
    assert not caught.value.message.endswith("it must be ")


@given(st.integers(0, 10**12))
def test_an_amount_is_read_back_as_it_was_shown(value: int) -> None:
    assert Duration().parse(Duration().show(value)) == value
    assert Size().parse(Size().show(value)) == value


@given(st.text())
def test_any_text_is_read_or_refused_with_what_is_allowed(text: str) -> None:
    for group in GROUPS:
        for row in group.rows:
            try:
                row.kind.convert(text, None, None)
            except click.BadParameter as wrong:
                assert repr(text) in wrong.message  # noqa: PT017


@pytest.mark.parametrize("row", [row for group in GROUPS for row in group.rows if isinstance(row, Flag)])
def test_every_default_is_a_value_that_may_be_given(row: Flag) -> None:
    value = default_of(row.to)
    if row.default is None and value not in (None, ""):
        assert row.kind.convert(row.default_text, None, None) == value
