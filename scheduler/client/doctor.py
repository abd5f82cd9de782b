"""`thesan doctor`: is this machine fit to run a scheduler, and is the server well?"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import click
from attrs import asdict, frozen

from scheduler import __version__
from scheduler.client.connection import Connection
from scheduler.client.errors import CommandError
from scheduler.client.options import json_option, server_option
from scheduler.client.output import echo, print_json
from scheduler.client.ports import holder_of, is_free

PACKAGES: Final = (
    "thriftpy2",
    "kazoo",
    "apscheduler",
    "attrs",
    "uvicorn",
    "httptools",
    "starlette",
    "click",
    "rich",
    "requests",
    "ruamel.yaml",
    "psutil",
    "sortedcontainers",
)
LEAST_FREE_MB: Final = 512
LEAST_OPEN_FILES: Final = 1024
_NOT_BEFORE: Final = 1_750_000_000  # seconds since 1970: a clock that says less was never set
_COLORS: Final = {"ok": "green", "note": "cyan", "warning": "yellow", "wrong": "red"}


class Verdict(Enum):
    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    WRONG = "wrong"


@frozen
class Finding:
    subject: str
    verdict: Verdict
    sentence: str


Findings = Iterator[Finding]


@click.command()
@click.option("--data-dir", type=click.Path(path_type=Path), default=None, help="The server's; default as in serve.")
@click.option("--http-port", type=click.IntRange(1, 65535), default=8081, show_default=True)
@click.option("--thrift-port", type=click.IntRange(1, 65535), default=8082, show_default=True)
@click.option("--ip", default="127.0.0.1", show_default=True)
@json_option
@server_option
@click.pass_context
def doctor(
    ctx: click.Context, data_dir: Path | None, http_port: int, thrift_port: int, ip: str, as_json: bool, server: str
) -> None:
    """Check versions, the Thrift codec, the data folder, ports, the clock, and the server.

    Exit code 1 when something is wrong; warnings and a server that does not run are not.
    """
    checks: tuple[tuple[str, Callable[[], Findings]], ...] = (
        ("versions", versions),
        ("codec", codec),
        ("data folder", lambda: data_folder(data_dir or default_data_dir())),
        ("ports", lambda: ports(ip, {"http": http_port, "thrift": thrift_port})),
        ("limits", limits),
        ("clock", lambda: clock(data_dir or default_data_dir())),
        ("server", lambda: server_state(server)),
    )
    findings = [finding for name, check in checks for finding in _careful(name, check)]
    if as_json:
        print_json([{**asdict(finding), "verdict": finding.verdict.value} for finding in findings])
    else:
        width = max(len(finding.subject) for finding in findings)
        for finding in findings:
            word = finding.verdict.value
            echo(f"{finding.subject:{width}}  ", (f"{word:7}", _COLORS[word]), f"  {finding.sentence}")
    ctx.exit(1 if any(finding.verdict is Verdict.WRONG for finding in findings) else 0)


def _careful(name: str, check: Callable[[], Findings]) -> list[Finding]:
    """A check that fails is a finding, and no reason to leave out the others."""
    try:
        return list(check())
    except OSError as failure:
        return [Finding(name, Verdict.WRONG, f"cannot be checked: {failure}")]


def default_data_dir() -> Path:
    """`$XDG_STATE_HOME/thesan`, by default `~/.local/state/thesan`."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "thesan"


def versions() -> Findings:
    python = platform.python_version()
    new_enough = sys.version_info >= (3, 11)
    verdict = Verdict.OK if new_enough and sys.platform == "linux" else Verdict.WRONG
    yield Finding("thesan", Verdict.OK, f"{__version__} in {Path(__file__).parents[1]}")
    yield Finding("python", verdict, f"{python} at {sys.executable}, on {platform.system()} (wanted: Linux, 3.11)")
    found, missing = [], []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    yield Finding("packages", Verdict.OK, ", ".join(found))
    if missing:
        yield Finding("packages", Verdict.WRONG, f"not installed: {', '.join(missing)}; run scripts/setup")


def codec() -> Findings:
    """The compiled codec is several times faster than thriftpy2's Python one, and the two are not interchangeable."""
    try:
        from thriftpy2.protocol.cybin import cybin
    except ImportError as failure:
        yield Finding(
            "codec", Verdict.WRONG, f"thriftpy2's compiled codec is not there ({failure}); reinstall thriftpy2"
        )
        return
    from scheduler.client.wire import encode_call
    from scheduler.interface import aurora

    compiled = str(cybin.__file__).endswith(".so")
    job = aurora.JobConfiguration(key=aurora.JobKey("role", "devel", "name"), instanceCount=3)
    began = time.perf_counter()
    for i in range(200):
        encode_call("createJob", {"description": job}, i)
    each_us = (time.perf_counter() - began) / 200 * 1e6
    verdict = Verdict.OK if compiled else Verdict.WRONG
    kind = "compiled" if compiled else "not compiled"
    yield Finding("codec", verdict, f"thriftpy2's binary codec is {kind}: {each_us:.0f} us for a small call")


def data_folder(folder: Path) -> Findings:
    existing = folder
    while not existing.exists():
        existing = existing.parent
    if folder.exists() and not folder.is_dir():
        yield Finding("data folder", Verdict.WRONG, f"{folder} is not a folder")
        return
    if not os.access(existing, os.W_OK | os.X_OK):
        yield Finding("data folder", Verdict.WRONG, f"{existing} cannot be written to by {_user()}")
    elif folder.exists():
        mode = folder.stat().st_mode & 0o777
        private = mode & 0o077 == 0
        which = "is there and can be written to" if private else f"can be read by others (mode {mode:o}, wanted 700)"
        yield Finding("data folder", Verdict.OK if private else Verdict.WARNING, f"{folder} {which}")
    else:
        yield Finding("data folder", Verdict.OK, f"{folder} is not there yet and can be made")
    free_mb = shutil.disk_usage(existing).free // 2**20
    verdict = Verdict.OK if free_mb >= LEAST_FREE_MB else Verdict.WARNING
    yield Finding("disk", verdict, f"{free_mb} MB free at {existing} (wanted: {LEAST_FREE_MB})")


def ports(ip: str, wanted: dict[str, int]) -> Findings:
    for name, port in wanted.items():
        if is_free(ip, port):
            yield Finding(f"{name} port", Verdict.OK, f"{port} is free")
            continue
        holder = holder_of(port)
        yield Finding(f"{name} port", Verdict.NOTE, f"{port} is taken" + (f" by {holder}" if holder else ""))


def limits() -> Findings:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    verdict = Verdict.OK if soft >= LEAST_OPEN_FILES else Verdict.WARNING
    yield Finding("open files", verdict, f"{soft} allowed, {hard} at most (wanted: {LEAST_OPEN_FILES})")


def clock(folder: Path) -> Findings:
    """History is written with the wall clock, deadlines run on the other one: both should be sane."""
    now = time.time()
    if now < _NOT_BEFORE:
        yield Finding("clock", Verdict.WRONG, f"says {time.ctime(now)}: it was never set")
        return
    wall, mono = time.time(), time.monotonic()
    time.sleep(0.2)
    drift_ms = abs((time.time() - wall) - (time.monotonic() - mono)) * 1000
    verdict = Verdict.OK if drift_ms < 20 else Verdict.WARNING
    yield Finding(
        "clock", verdict, f"{time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime(now))}, steady to {drift_ms:.1f} ms"
    )
    newest = max((path.stat().st_mtime for path in _files(folder)), default=0.0)
    if newest > now + 5:
        ahead = newest - now
        yield Finding(
            "clock", Verdict.WARNING, f"the data folder was written {ahead:.0f} s in the future: it went back"
        )


def server_state(server: str) -> Findings:
    connection = Connection(server, connect_timeout_s=1, timeout_s=5, retry_s=0)
    try:
        state = connection.call_raw("getServerState")
    except CommandError as failure:
        yield Finding("server", Verdict.NOTE, failure.format_message())
        return
    sentence = (
        f"{connection.server} answers: thesan {state.version}, cluster {state.clusterName}, epoch {state.epoch}, "
        f"offset {state.committedOffset}, {state.activeTasks} active tasks, {state.activeUpdates} active updates"
    )
    verdict = Verdict.OK if state.version == __version__ else Verdict.WARNING
    other = "" if verdict is Verdict.OK else f"; this is {__version__}"
    yield Finding("server", verdict, sentence + other)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []


def _user() -> str:
    return f"user {os.getuid()}"
