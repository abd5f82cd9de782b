"""Alone or among others: how this server takes part, by its settings, and where the leader is."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final
from uuid import uuid4

from scheduler.app.reading import Reading
from scheduler.changelog.checkpoint import FOLDER
from scheduler.changelog.identity import instance_id
from scheduler.changelog.sqlite import SqliteChangelog
from scheduler.contracts import Unavailable
from scheduler.leadership.alone import Alone
from scheduler.leadership.shared import Ensemble, Shared
from scheduler.leadership.term import Membership
from scheduler.lifecycle import Lifecycle, Stage
from scheduler.settings import Settings
from scheduler.stream.reader import Stream
from scheduler.web.redirect import Leader, Nobody, Other, Ourselves
from scheduler.zk.client import Condition
from scheduler.zk.clock import boot_ms
from scheduler.zk.serverset import Endpoint

LOG = logging.getLogger("thesan")

CONNECTION_STATES: Final[dict[str, Condition | None]] = {
    "CONNECTED": Condition.CONNECTED,
    "SUSPENDED": Condition.SUSPENDED,
    "LOST": Condition.ENDED,
    "RECONNECTED": None,
    "READ_ONLY": None,
}
"""The names of Aurora's gauges. Being connected again is being connected, and nothing is ever read-only here."""


class Members:
    """Makes this server's membership, one after another."""

    def __init__(self, settings: Settings, stream: Stream, lifecycle: Lifecycle) -> None:
        self._settings = settings
        self._lifecycle = lifecycle
        shared = settings.zk_endpoints is not None
        self.reading = Reading(stream, settings.data_dir / FOLDER if shared else settings.data_dir)
        self.own: Endpoint | None = None
        """Where clients reach us, once the ports are open."""
        self.instance_id = ""
        """Of the data directory, once it was looked into."""
        self._shared: Shared | None = None

    def join(self) -> Membership:
        """Begin to take part. Raises DataDirRefused, Unreadable, Unavailable."""
        settings = self._settings
        self.instance_id = self._instance_id()
        if settings.zk_endpoints is None:
            return Alone(SqliteChangelog(settings.data_dir, settings.cluster_name), self.reading, boot_ms)
        ensemble = Ensemble(
            settings.zk_endpoints,
            serverset_path=settings.serverset_path,
            log_root=settings.log_root,
            session_timeout_ms=settings.zk_session_timeout_ms,
            chroot=settings.zk_chroot_path,
            credentials=settings.zk_digest_credentials,
            scheme="http" if settings.tls_certificate is None else "https",
        )
        self._shared = Shared(
            ensemble,
            settings.data_dir,
            settings.cluster_name,
            self.reading,
            self._advertised,
            instance_id=self.instance_id,
        )
        return self._shared

    def _instance_id(self) -> str:
        """Raises DataDirRefused; Unavailable where nothing can be done without the disk anyway."""
        try:
            return instance_id(self._settings.data_dir, self.instance_id)
        except Unavailable as wrong:
            if self._settings.zk_endpoints is None:
                raise
            LOG.error("%s; this process goes by one that the next will not have", wrong)
            return self.instance_id or uuid4().hex

    def _advertised(self) -> Endpoint:
        assert self.own is not None, "nobody is advertised before the ports are open"
        return self.own

    def leader(self) -> Leader:
        """Who leads, as far as is known here."""
        stage = self._lifecycle.stage
        if self._shared is None or stage is Stage.LEADING:
            return Ourselves()
        found = self._shared.leader
        if found is not None and found != self.own:
            return Other(found.host, found.port)
        return Ourselves() if stage is Stage.SUSPENDED else Nobody()

    def standing_by(self) -> str | None:
        """What a standby says to whom it cannot serve. None while it is none, or has not read what is there."""
        if self._shared is None or self._lifecycle.stage is not Stage.STANDBY or not self.reading.is_caught_up:
            return None
        leader = self.leader()
        who = f"{leader.host}:{leader.port} leads" if isinstance(leader, Other) else "nobody is known to lead"
        return f"This scheduler stands by; {who}."

    def age_ms(self) -> int | None:
        """How old what a standby has read of the log can be at most. None while it is none, or has not read enough:
        what a leader has in memory is not all committed.
        """
        if self._shared is None or self._lifecycle.stage is not Stage.STANDBY or not self.reading.is_caught_up:
            return None
        as_of_ms = self._shared.changelog.as_of_ms
        return boot_ms() - as_of_ms if as_of_ms else None

    def metrics(self) -> Mapping[str, int]:
        """For /vars. Aurora's names where it has them."""
        shared = self._shared
        if shared is None:
            return {}
        log, checkpoint, follower = shared.changelog, shared.changelog.checkpoint, shared.follower
        found = {f"zk_connection_state_{name}": int(shared.condition is at) for name, at in CONNECTION_STATES.items()}
        found["zk_session_timeout_ms"] = shared.session_timeout_ms
        found["log_head_offset"] = log.head_offset
        found["log_replayed_entries_at_start"] = 0 if log.loaded is None else log.loaded.tail_entries
        if follower is not None:
            found["standby_lag_entries"] = follower.lag_entries
            found["standby_staleness_ms"] = follower.staleness_ms
        if shared.term is not None:
            found |= shared.term.figures()
        if checkpoint is not None:
            found["checkpoint_offset"] = checkpoint.offset
            found["checkpoint_age_ms"] = checkpoint.age_ms
            found["checkpoint_is_behind"] = int(checkpoint.is_behind)
        if log.missing is not None:
            found |= {"checkpoint_offset": 0, "checkpoint_age_ms": log.missing.age_ms, "checkpoint_is_behind": 1}
        return found
