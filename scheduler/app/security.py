"""Security as the settings want it: made at start, and looked after while the server runs."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from scheduler.app.ports import CannotStart
from scheduler.rpc.access import Access
from scheduler.security.accounts import WrongAccounts
from scheduler.security.audit import to_log
from scheduler.security.handshakes import Tls
from scheduler.security.limits import Limits
from scheduler.security.realm import Realm
from scheduler.security.tls import Certificates, Files, WrongCertificate
from scheduler.settings import Settings

LOOK_EVERY_S: Final = 2.0
"""How often files are looked at for changes."""


class Security:
    """`realm` and `access` are None where everybody may do everything."""

    def __init__(self, settings: Settings) -> None:
        """Raises CannotStart."""
        self.realm: Realm | None = None
        self.access: Access | None = None
        self._looking: asyncio.TimerHandle | None = None
        if settings.http_authentication_mechanism == "BASIC":
            assert settings.shiro_ini_path is not None
            try:
                self.realm = Realm(settings.shiro_ini_path)
            except WrongAccounts as wrong:
                raise CannotStart(f"--shiro-ini-path: {wrong}") from wrong
            self.access = Access(self.realm.grants)
        self.tls = _tls(settings)
        self.limits = None
        if settings.max_calls_per_s:
            self.limits = Limits(settings.max_calls_per_s, settings.max_calls_burst, time.monotonic)
        try:
            self.audit = to_log(lambda: time.time_ns() // 1_000_000, settings.audit_log)
        except OSError as wrong:
            raise CannotStart(f"--audit-log: {settings.audit_log} cannot be written: {wrong.strerror}") from wrong

    def start(self) -> None:
        """Look at the files every now and then, until `stop`."""
        self._looking = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)

    def stop(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        if self.tls is not None:
            self.tls.stop()
        if self.realm is not None:
            self.realm.close()

    def _look(self) -> None:
        if self.realm is not None:
            self.realm.refresh()
        if self.tls is not None:
            self.tls.certificates.refresh()
        self.start()

    def metrics(self) -> dict[str, int]:
        """Aurora's names where it has them."""
        found: dict[str, int] = {}
        if self.realm is not None:
            found["http_authentications_failed"] = self.realm.failed
            found["http_authentications_refused"] = self.realm.wrong.refused
            found["shiro_ini_reloads_failed"] = self.realm.reloads_failed
        if self.access is not None:
            found["shiro_authorization_failures"] = self.access.failures
            found["shiro_bad_requests"] = self.access.bad_requests
        if self.limits is not None:
            found["rpc_calls_limited"] = self.limits.refused
        if self.tls is not None:
            found["tls_certificate_expires_timestamp_secs"] = int(self.tls.certificates.expires_s)
            found["tls_certificate_reloads_failed"] = self.tls.certificates.reloads_failed
            found["tls_handshakes_failed"] = self.tls.failed
            found["tls_handshakes_at_hand"] = len(self.tls.handshakes)
        return found


def _tls(settings: Settings) -> Tls | None:
    """Raises CannotStart."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    required = settings.tls_client_auth == "required"
    files = Files(settings.tls_certificate, settings.tls_key, settings.tls_client_ca, required)
    try:
        return Tls(Certificates(files), timeout_s=settings.tls_handshake_timeout_ms / 1000)
    except WrongCertificate as wrong:
        raise CannotStart(f"--tls-certificate: {wrong}") from wrong
