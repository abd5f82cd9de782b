"""What a request is answered: a code, sentences, and a result record that `rpc/to_thrift` knows how to write."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from attrs import frozen


class Code(IntEnum):
    """Names and numbers are Aurora's `ResponseCode`."""

    INVALID_REQUEST = 0
    OK = 1
    ERROR = 2
    WARNING = 3
    AUTH_FAILED = 4
    JOB_UPDATING_ERROR = 5
    ERROR_TRANSIENT = 6


@frozen
class Answer:
    """`details` are sentences for people; a None among them is a message without text, as Aurora sends."""

    code: Code = Code.OK
    details: tuple[str | None, ...] = ()
    result: Any = None

    @property
    def ok(self) -> bool:
        return self.code is Code.OK


OK = Answer()


def invalid(*details: str) -> Answer:
    return Answer(Code.INVALID_REQUEST, details)


def error(*details: str | None) -> Answer:
    return Answer(Code.ERROR, details)


class Refused(Exception):
    """A decision that must not happen. Raised anywhere in a decision: all of it is undone and `answer` is sent."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.details[0] if answer.details else answer.code.name)
        self.answer = answer
