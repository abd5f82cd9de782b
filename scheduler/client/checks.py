"""What a monitor looks at: a command, a page, a figure. However a check hangs, its answer is there in time."""

from __future__ import annotations

import contextlib
import operator
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from typing import IO, Any, Final, Protocol

import requests
from attrs import define, frozen

from scheduler.client.connection import no_proxy
from scheduler.client.errors import CommandError, Usage
from scheduler.client.quantities import duration_text

_LAST_BYTES: Final = 4096
_MOST_BYTES: Final = 1 << 20
_END_S: Final = 1.0
_FIGURE: Final = re.compile(r"([^<>=\s]+)\s*(<=|>=|<|>)\s*(-?\d+(?:\.\d+)?)", re.ASCII)
_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge
}  # fmt: skip


@frozen
class Finding:
    """What a check found. `reason`: its last line; never empty when it did not pass."""

    passed: bool
    reason: str


class Check(Protocol):
    def look(self, timeout_s: float) -> Finding:
        """Look once. What takes longer than `timeout_s` has failed."""
        ...


@frozen
class RunCheck:
    """A command of the shell: exit code 0 passes. What is left of its process group is ended with it: a beat may come
    every 100 ms, and one process for each would fill the machine."""

    command: str

    def look(self, timeout_s: float) -> Finding:
        try:
            return self._run(timeout_s)
        except OSError as failure:  # no processes, no files, no room: the machine's trouble, which may pass
            return Finding(False, f"cannot be run: {(failure.strerror or str(failure)).lower()}")

    def _run(self, timeout_s: float) -> Finding:
        with tempfile.TemporaryFile() as out:
            process = subprocess.Popen(
                self.command, shell=True, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
            try:
                code = process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                return Finding(False, _with_line(f"no result within {duration_text(timeout_s * 1000)}", out))
            finally:
                _end(process)
            if code == 0:
                return Finding(True, _last_line(out))
            how = f"exit code {code}" if code > 0 else f"ended by signal {-code}"
            return Finding(False, _last_line(out) or how)


def _end(process: subprocess.Popen[bytes]) -> None:
    # The shell may have ended. While one of its group is left nobody else gets the group's number, and when none is, it
    # has been free for an instant only: Linux gives numbers in turn.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_END_S)


def _last_line(out: IO[bytes]) -> str:
    size = out.seek(0, os.SEEK_END)
    out.seek(max(0, size - _LAST_BYTES))
    return _last_of(out.read().decode(errors="replace"))


def _last_of(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _with_line(sentence: str, out: IO[bytes]) -> str:
    line = _last_line(out)
    return f"{sentence}; its last line: {line}" if line else sentence


@define
class PageCheck:
    """A page: `judge` says of its status and text whether that is well.

    A server can drip bytes for ever, so another thread reads, and nobody waits for it longer than the timeout.
    """

    url: str | Callable[[], str]
    """Called each time for where the page is now."""
    judge: Callable[[int, str], Finding]
    ca_file: str | None = None
    """Who must have signed the page's certificate; by default whom this machine trusts."""
    _reader: threading.Thread | None = None

    def look(self, timeout_s: float) -> Finding:
        if self._reader is not None and self._reader.is_alive():
            self._reader.join(timeout_s)
            if self._reader.is_alive():
                return Finding(False, f"{self._name} still has not answered the check before")
        found: list[Finding] = []
        reader = threading.Thread(target=lambda: found.append(self._read(timeout_s)), daemon=True)
        try:
            reader.start()
        except RuntimeError as failure:  # the machine has no room for another thread
            return Finding(False, f"{self._name}: {failure}")
        self._reader = reader
        reader.join(timeout_s)
        return found[0] if found else Finding(False, self._too_late(timeout_s))

    def _too_late(self, timeout_s: float) -> str:
        return f"{self._name}: no answer within {duration_text(timeout_s * 1000)}"

    @property
    def _name(self) -> str:
        return self.url if isinstance(self.url, str) else "the scheduler's page"

    def _read(self, timeout_s: float) -> Finding:
        give_up_at = time.monotonic() + timeout_s
        try:
            url = self.url if isinstance(self.url, str) else self.url()
            proxies = no_proxy(url)
            with requests.get(url, timeout=timeout_s, stream=True, proxies=proxies, verify=self.ca_file) as answer:
                body = b""
                for piece in answer.iter_content(8192):
                    body += piece
                    if len(body) >= _MOST_BYTES or time.monotonic() > give_up_at:
                        break
                return self.judge(answer.status_code, body.decode(errors="replace"))
        except requests.Timeout:
            return Finding(False, self._too_late(timeout_s))
        except CommandError as nowhere:
            return Finding(False, nowhere.format_message())
        except (requests.RequestException, OSError, ValueError) as failure:
            return Finding(False, f"{self._name}: {_cause(failure)}")


def _cause(failure: BaseException) -> str:
    text = str(failure).rpartition("] ")[2].rstrip("')(\"") if "[Errno" in str(failure) else str(failure)
    return text[:200] or type(failure).__name__


def page_passes(status: int, text: str) -> Finding:
    """2xx is well."""
    line = _last_of(text)[:200]
    return Finding(200 <= status < 300, f"HTTP {status}{f': {line}' if line else ''}")


@frozen
class Figure:
    """`NAME<LIMIT`: well while a figure of a page of `name value` lines keeps to its limit."""

    name: str
    sign: str
    limit: float

    def judge(self, status: int, text: str) -> Finding:
        if status != 200:
            return Finding(False, f"HTTP {status}")
        for line in text.splitlines():
            name, _, value = line.partition(" ")
            if name == self.name:
                return self._compare(value.strip())
        return Finding(False, f"there is no figure {self.name}")

    def _compare(self, value: str) -> Finding:
        try:
            holds = _COMPARE[self.sign](float(value), self.limit)
        except ValueError:
            return Finding(False, f"{self.name} is {value}, no number")
        return Finding(holds, f"{self.name} is {value}, {'' if holds else 'not '}{self.sign} {self.limit:g}")


def parse_figure(text: str) -> Figure:
    """From `NAME<LIMIT`; also `<=`, `>`, `>=`. Raises Usage."""
    found = _FIGURE.fullmatch(text.strip())
    if found is None:
        raise Usage(f"--vars must be NAME<LIMIT with <, <=, > or >=, such as 'errors<10', not {text!r}")
    return Figure(found[1], found[2], float(found[3]))


def check_for(
    command: str | None,
    url: str | None,
    figure: str | None,
    vars_url: str | Callable[[], str],
    ca_file: str | None = None,
) -> Check:
    """The one check that was asked for; `ca_file` is for `vars_url`. Raises Usage for none or several."""
    if sum(one is not None for one in (command, url, figure)) != 1:
        raise Usage("give exactly one of --run, --http and --vars")
    if command is not None:
        return RunCheck(command)
    judge: Any = page_passes if url is not None else parse_figure(figure or "").judge
    page = url if url is not None else vars_url
    if isinstance(page, str) and not page.startswith(("http://", "https://")):
        raise Usage(f"{page!r} must begin with http:// or https://")
    return PageCheck(page, judge, None if url is not None else ca_file)
