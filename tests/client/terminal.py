"""A command on a pseudo-terminal."""

from __future__ import annotations

import sys

import pexpect
import pyte

from tests.client.served import Served
from tests.client.waiting import until
from tests.packaging.tree import ROOT


class Terminal:
    """The command on a terminal of 100 columns and 30 lines, and what stands on its screen."""

    def __init__(self, server: Served, *arguments: str) -> None:
        self._screen = pyte.Screen(100, 30)
        self._stream = pyte.Stream(self._screen)
        environment = {**server.environment(), "TERM": "xterm-256color", "PYTHONUTF8": "1"}
        environment.pop("NO_COLOR", None)
        self.child = pexpect.spawn(
            sys.executable, ["-m", "scheduler", *arguments], cwd=str(ROOT), env=environment, dimensions=(30, 100),
            encoding="utf-8", timeout=10)  # fmt: skip

    def text(self) -> str:
        """The screen now."""
        try:
            while True:
                self._stream.feed(self.child.read_nonblocking(65_536, timeout=0.05))
        except (pexpect.TIMEOUT, pexpect.EOF):
            return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def until(self, *texts: str) -> str:
        """The first screen that has all of them: one that is read later may be half drawn."""
        screens = [self.text()]

        def has_all() -> bool:
            screens.append(self.text())
            return all(text in screens[-1] for text in texts)

        try:
            until(has_all, "")
        except AssertionError:
            raise AssertionError(f"{texts} never stood together on:\n{screens[-1]}") from None
        return screens[-1]
