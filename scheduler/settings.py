"""How one server is set up: every flag, checked once, in one frozen record."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from attrs import field, frozen

MAX_MESSAGE_BYTES = 0xFFFFFF
"""The longest frame whose length still begins with a zero byte, by which frames are known."""

ENGINES = ("local", "simulated")
PULSE_AFTER_FAILOVER = ("wait", "infer")


class WrongSetting(ValueError):
    """A flag has a value it may not have. The sentence names the flag, the value and what is allowed."""


def default_data_dir() -> Path:
    """`$XDG_STATE_HOME/thesan`, by default `~/.local/state/thesan`."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "thesan"


@frozen
class Settings:
    """Settings of `thesan serve`. Names are those of the flags."""

    http_port: int = 8081
    """0: any free one."""
    thrift_port: int = 8082
    """0: any free one."""
    ip: str = "127.0.0.1"
    """Whoever reaches this address can run processes here: loopback unless told otherwise."""
    data_dir: Path = field(factory=default_data_dir)
    cluster_name: str = "local"
    hostname: str = field(factory=socket.gethostname)
    engine: str = "local"
    enable_cors_for: str | None = None
    """The one web origin whose pages may call /api."""
    pulse_record_grace_ms: int | None = None
    pulse_after_failover: str = "wait"
    """`wait`: coordinated updates wait for a heartbeat; `infer`: as in Aurora, the history tells of the last one."""
    kill_grace_ms: int = 15_000
    simulated_hosts: int = 100
    simulated_seed: int = 0
    port_range: tuple[int, int] = (31_000, 31_999)
    """Ports the local engine hands out, first and last."""
    max_message_bytes: int = MAX_MESSAGE_BYTES
    """Of one Thrift call, on either port."""
    request_timeout_ms: int = 30_000
    """In which a request must arrive, and in which a client must take something of its answer."""
    max_connections: int = 10_000
    max_connections_per_address: int = 2_500
    max_outstanding_answer_bytes: int = 512 * 1024 * 1024
    """Of large answers on their way to clients, together; beyond it a read is to be tried again."""

    def __attrs_post_init__(self) -> None:
        for name in ("http_port", "thrift_port"):
            port = getattr(self, name)
            if not 0 <= port <= 65_535:
                raise WrongSetting(f"--{name.replace('_', '-')} is {port}; it must be between 0 and 65535")
        if self.http_port == self.thrift_port != 0:
            raise WrongSetting(f"--http-port and --thrift-port are both {self.http_port}; they must differ")
        if self.engine not in ENGINES:
            raise WrongSetting(f"--engine is {self.engine!r}; it must be one of {', '.join(ENGINES)}")
        for name in ("request_timeout_ms", "max_connections", "max_connections_per_address"):
            if getattr(self, name) < 1:
                raise WrongSetting(f"--{name.replace('_', '-')} is {getattr(self, name)}; it must be at least 1")
        if not 1024 <= self.max_message_bytes <= MAX_MESSAGE_BYTES:
            allowed = f"between 1024 and {MAX_MESSAGE_BYTES}"
            raise WrongSetting(f"--max-message-bytes is {self.max_message_bytes}; it must be {allowed}")
        if self.pulse_after_failover not in PULSE_AFTER_FAILOVER:
            allowed = ", ".join(PULSE_AFTER_FAILOVER)
            raise WrongSetting(f"--pulse-after-failover is {self.pulse_after_failover!r}; it must be one of {allowed}")
        if not self.cluster_name:
            raise WrongSetting("--cluster-name must not be empty")
