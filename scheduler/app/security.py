"""Security as the settings want it: made at start, and looked after while the server runs."""

from __future__ import annotations

import asyncio
from typing import Final

from scheduler.app.ports import CannotStart
from scheduler.rpc.access import Access
from scheduler.security.accounts import WrongAccounts
from scheduler.security.realm import Realm
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

    def start(self) -> None:
        """Look at the files every now and then, until `stop`."""
        self._looking = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look)

    def stop(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        if self.realm is not None:
            self.realm.close()

    def _look(self) -> None:
        if self.realm is not None:
            self.realm.refresh()
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
        return found
