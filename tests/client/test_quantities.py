"""Times, sizes and instances as people write them."""

import pytest

from scheduler.client.quantities import (
    duration_text,
    instances_text,
    parse_duration_ms,
    parse_instances,
    parse_size_mb,
    to_ranges,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("45s", 45_000),
        ("5m", 300_000),
        ("1h 30m", 5_400_000),
        ("500ms", 500),
        ("1.5s", 1500),
        ("2d", 172_800_000),
        ("0", 0),
    ],
)
def test_a_duration_has_a_unit(text: str, expected: int) -> None:
    assert parse_duration_ms(text) == expected


@pytest.mark.parametrize("text", ["", "45", "s", "45 seconds", "-5s", "5s later", "0.5ms", "1e3s", "٣s"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"such as 500ms, 45s|whole milliseconds"):
        parse_duration_ms(text)


@pytest.mark.parametrize("text", ["36501d", "9" * 18 + "d", "9" * 400 + "s", "0." + "9" * 5000 + "s"])
def test_a_duration_ends(text: str) -> None:
    with pytest.raises(ValueError, match=r"at most 36500d|at most 18 digits"):
        parse_duration_ms(text)


@pytest.mark.parametrize(("text", "expected"), [("128MB", 128), ("2GB", 2048), ("2 GiB", 2048), ("512KB 1", None)])
def test_a_size_has_a_unit(text: str, expected: int | None) -> None:
    if expected is None:
        with pytest.raises(ValueError, match="such as 128MB"):
            parse_size_mb(text)
    else:
        assert parse_size_mb(text) == expected


@pytest.mark.parametrize("text", ["128", "1.5KB", "128mb", "1GB 5MB", "", "9" * 400 + "TB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        parse_size_mb(text)


def test_instances_go_both_ways() -> None:
    assert parse_instances("0-2,5") == (0, 1, 2, 5)
    assert parse_instances("5, 1-1,0") == (0, 1, 5)
    assert instances_text((5, 0, 1, 2)) == "0-2,5"
    assert to_ranges([3, 1, 2, 9]) == [(1, 3), (9, 9)]


@pytest.mark.parametrize("text", ["", "a", "2-1", "-1", "0-", "0-999999999999", "1;2", "9" * 5000])
def test_what_are_no_instances_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be instances|no range|at most 18 digits"):
        parse_instances(text)


@pytest.mark.parametrize(
    ("duration_ms", "expected"),
    [(0, "0.0 s"), (-3, "0.0 s"), (9_940, "9.9 s"), (59_400, "59 s"), (65_000, "1 min 5 s"), (7_260_000, "2 h 1 min"),
     (90_000_000, "1 d 1 h")],
)  # fmt: skip
def test_durations_are_told_shortly(duration_ms: int, expected: str) -> None:
    assert duration_text(duration_ms) == expected
