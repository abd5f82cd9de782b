"""How one server is set up, in one frozen record.

What each value may be stands in the table of flags (`app/flags`); only what must go together is checked here. The
defaults stand here, and those of what the core decides by in `core/policy.py`.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path

from attrs import field, frozen

from scheduler.core.policy import Policy
from scheduler.core.sla.figures import Category

MAX_MESSAGE_BYTES = 0xFFFFFF
"""The longest frame whose length still begins with a zero byte, by which frames are known."""

AUTHENTICATION_MECHANISMS = ("NONE", "BASIC")
TLS_CLIENT_AUTH = ("optional", "required")
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
    """Settings of `thesan serve`. Names are those of the flags, where there is a flag."""

    http_port: int = 8081
    """0: any free one."""
    thrift_port: int = 8082
    """0: any free one."""
    ip: str = "127.0.0.1"
    """Whoever reaches this address can run processes here: loopback unless told otherwise."""
    data_dir: Path = field(factory=default_data_dir)
    cluster_name: str = "local"
    hostname: str = field(factory=socket.gethostname)
    """How others reach this machine."""
    zk_endpoints: str | None = None
    """`host:port,host:port`: several schedulers share one log there. None: this one is alone."""
    serverset_path: str = "/aurora/scheduler"
    """Where clients look for the leader, and where schedulers stand for election."""
    zk_log_path: str | None = None
    """Where the log is; `/thesan/<cluster name>` unless told otherwise."""
    zk_session_timeout_ms: int = 4_000
    """What is asked for; ZooKeeper grants at least two of its ticks, which are 2 s by default."""
    zk_chroot_path: str = ""
    zk_digest_credentials: str | None = None
    """`user:password`: what is made with them may be changed by nobody else, and read by everybody."""
    serve_stale_reads_ms: int = 0
    """How old what a standby answers to reads may be at most; 0: it answers none."""
    engine_dir: Path | None = None
    """Where the engine keeps its tasks: shared by the schedulers of one machine. `<data_dir>/engine` otherwise."""
    stats_url_prefix: str = ""
    """Stands in every answer: where a person finds the graphs of a job."""
    log_level: str = "info"
    policy: Policy = field(factory=Policy)
    """What the core decides by."""
    prune_interval_ms: int = 60_000
    sla_coordinator_timeout_ms: int = 60_000
    sla_stat_refresh_interval_ms: int = 60_000
    sla_prod_metrics: tuple[str, ...] = tuple(Category.__members__)
    sla_non_prod_metrics: tuple[str, ...] = ()
    max_parallel_coordinated_maintenance: int = 10
    """How many coordinators are asked at once."""
    engine: str = "local"
    enable_cors_for: str | None = None
    """The one web origin whose pages may call /api."""
    pulse_after_failover: str = "wait"
    """`wait`: coordinated updates wait for a heartbeat; `infer`: as in Aurora, the history tells of the last one."""
    tier_config: Path | None = None
    """Tiers instead of those built in; `app/tiers.py` has its form."""
    cron_timezone: str = "GMT"
    """A name of the tz database, in which cron schedules are meant."""
    simulated_hosts: int = 100
    simulated_hosts_file: Path | None = None
    """Describes the hosts instead of `simulated_hosts`; docs/engines.md, "Hosts from a file"."""
    simulated_seed: int = 0
    simulated_address: str | None = None
    """`host:port` of a simulated engine that lives on its own; hosts and seed are then its own business."""
    port_range: tuple[int, int] = (31_000, 31_999)
    """Ports the local engine hands out, first and last."""
    max_message_bytes: int = MAX_MESSAGE_BYTES
    """Of one Thrift call, on either port."""
    request_timeout_ms: int = 30_000
    """In which a request must arrive, and in which a client must take something of its answer."""
    max_connections: int = 10_000
    max_connections_per_address: int = 2_500
    max_unfinished_message_bytes: int = 256 * 1024 * 1024
    """Of long messages that are not complete, on all connections together; beyond it only short ones are taken in."""
    backup_dir: Path | None = None
    """Where backups are kept; None: `backups` under `data_dir`."""
    backup_interval_ms: int = 3_600_000
    max_saved_backups: int = 48
    max_outstanding_answer_bytes: int = 512 * 1024 * 1024
    """Of large answers on their way to clients, together; beyond it a read is to be tried again."""

    http_authentication_mechanism: str = "NONE"
    shiro_ini_path: Path | None = None
    """Users and roles; wanted with BASIC."""
    tls_certificate: Path | None = None
    """With it both ports speak TLS and nothing else."""
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    tls_client_auth: str = "optional"
    tls_handshake_timeout_ms: int = 10_000
    max_calls_per_s: int = 0
    """Of one user, or of one address where no user is known; 0: as many as they like."""
    max_calls_burst: int = 100
    """How many may come at once."""
    audit_log: Path | None = None
    """None: the audit trail is part of the log."""

    @property
    def log_root(self) -> str:
        return self.zk_log_path or f"/thesan/{self.cluster_name}"

    @property
    def advertised_host(self) -> str:
        """Where clients are sent. Who listens on loopback can only be reached there."""
        try:
            is_loopback = ipaddress.ip_address(self.ip).is_loopback
        except ValueError:
            is_loopback = self.ip == "localhost"
        return self.ip if is_loopback else self.hostname

    def __attrs_post_init__(self) -> None:
        if self.http_port == self.thrift_port != 0:
            raise WrongSetting(f"--http-port and --thrift-port are both {self.http_port}; they must differ")
        if self.simulated_address is not None and self.engine != "simulated":
            raise WrongSetting(f"--simulated-address is given, and --engine is {self.engine}; it must be simulated")
        if self.simulated_address is not None and self.simulated_hosts_file is not None:
            raise WrongSetting(
                "--simulated-hosts-file is for the engine at --simulated-address; start that one with it"
            )
        if self.http_authentication_mechanism == "BASIC" and self.shiro_ini_path is None:
            raise WrongSetting("--http-authentication-mechanism is BASIC; --shiro-ini-path must name the users' file")
        if (self.tls_certificate is None) is not (self.tls_key is None):
            raise WrongSetting("--tls-certificate and --tls-key go together; one of them is missing")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise WrongSetting("--tls-client-ca is given without --tls-certificate; certificates are shown in TLS")
        if self.tls_client_auth == "required" and self.tls_client_ca is None:
            raise WrongSetting(
                "--tls-client-auth is required; --tls-client-ca must say whose certificates are believed"
            )
