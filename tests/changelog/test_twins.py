"""A twin is read as its struct is, and says the same."""

from __future__ import annotations

from typing import Any

from thriftpy2.protocol import TCyBinaryProtocol
from thriftpy2.transport import TCyMemoryBuffer

from scheduler.changelog.frame import open_frame, read_header
from scheduler.changelog.twins import twin
from scheduler.interface import storage
from tests.changelog import golden


def read(kind: type[Any], data: bytes) -> Any:
    return TCyBinaryProtocol(TCyMemoryBuffer(data)).read_struct(kind())  # type: ignore[no-untyped-call]


def told(found: Any) -> Any:
    """Everything that the object says, the absent too, as plain values."""
    if isinstance(found, list):
        return [told(item) for item in found]
    if not hasattr(found, "thrift_spec"):
        return found
    return {spec[1]: told(getattr(found, spec[1])) for spec in found.thrift_spec.values()}


def test_a_twin_says_what_its_struct_says() -> None:
    frame = bytes.fromhex((golden.HERE / "level_2.hex").read_text(encoding="utf-8"))
    _, body, _ = open_frame(frame, read_header(frame))

    as_struct, as_twin = read(storage.Body, body), read(twin(storage.Body), body)

    assert told(as_struct) == told(as_twin)
    assert len(as_twin.ops) == len(golden.ENTRY.ops)
    assert all(len(vars(op)) == 1 for op in as_twin.ops)  # of a union, the one that is set


def test_what_is_absent_is_what_the_interface_says_it_is() -> None:
    for kind in vars(storage).values():
        if isinstance(kind, type) and hasattr(kind, "thrift_spec"):
            assert told(kind()) == told(twin(kind)())


def test_two_of_a_kind_share_nothing() -> None:
    kind = twin(storage.RemoveTasks)
    one, other = kind(), kind()
    one.taskIds = ["a"]
    assert other.taskIds is None
