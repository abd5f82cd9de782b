"""How a check says no."""

from __future__ import annotations


class Broken(BaseException):  # not an Exception: nothing on the way may take it for a failure of its own
    """A rule does not hold. `rule` is its short name."""

    def __init__(self, rule: str, sentence: str) -> None:
        super().__init__(f"{rule}: {sentence}")
        self.rule = rule
        self.sentence = sentence
