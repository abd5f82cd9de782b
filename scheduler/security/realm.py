"""Who a request comes from: HTTP's Basic credentials against the accounts file, and what that user may do.

What was found once is remembered by a keyed digest of the header until the file changes, so that a monitor's next call
costs two microseconds and not a quarter of a second. Passwords are hashed in a thread, one at a time; only so many
requests wait for it, and an address that is wrong again and again has to wait.
"""

from __future__ import annotations

import asyncio
import binascii
import hashlib
import logging
import secrets
import time
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from scheduler.security import accounts, passwords
from scheduler.security.accounts import Account, Accounts, WrongAccounts
from scheduler.security.limits import Limits
from scheduler.security.passwords import Password
from scheduler.security.permissions import Grants
from scheduler.security.watched import Watched

log = logging.getLogger(__name__)

MAX_REMEMBERED: Final = 10_000
"""Right credentials, and as many wrong ones."""
MAX_WAITING: Final = 64
"""Requests whose password waits to be hashed."""
MAX_HEADER_BYTES: Final = 2048
WRONG_PER_S: Final = 0.2
WRONG_BURST: Final = 20
"""Wrong credentials from one address: twenty at once, then one in five seconds."""

_NOBODY: Final = Grants()


class Denied(Exception):
    """The credentials are not accepted; the text says no more than that."""


class TryLater(Exception):
    """They were not looked at: too many were wrong, or wait. `after_s`: when to come again."""

    def __init__(self, sentence: str, after_s: float) -> None:
        super().__init__(sentence)
        self.after_s = after_s


class Realm:
    """The accounts of one file, read anew when it changes."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises WrongAccounts."""
        self._path = path
        self._watched = Watched([path])
        self._accounts: Accounts = accounts.load(path)
        self._dummy = _dummy(self._accounts)
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, str] = OrderedDict()
        self._wrong: OrderedDict[bytes, str] = OrderedDict()
        self._looking: dict[bytes, asyncio.Task[str]] = {}
        self._thread = ThreadPoolExecutor(1, "passwords")
        self._waiting = 0
        self.wrong = Limits(WRONG_PER_S, WRONG_BURST, clock)
        self.failed = 0
        self.reloads_failed = 0
        _warn_of_readers(path)

    def grants(self, user: str) -> Grants:
        """What a user may do now; nothing, if there is no such user."""
        account = self._accounts.get(user)
        return _NOBODY if account is None else account.grants

    def known(self, header: bytes) -> str | None:
        """The user of an Authorization header that was found right before."""
        return self._right.get(self._digest(header))

    async def identify(self, header: bytes, host: str) -> str:
        """The user of an Authorization header. Raises Denied and TryLater."""
        digest = self._digest(header)
        user = self._right.get(digest)
        if user is not None:
            return user
        if digest in self._wrong:
            raise Denied("The credentials are wrong.")
        looking = self._looking.get(digest)
        if looking is None:  # else the same credentials are being looked at already
            after_s = self.wrong.take(host)
            if after_s:
                raise TryLater("Too many wrong credentials came from this address.", after_s)
            looking = asyncio.get_running_loop().create_task(self._look(digest, header, host))
            self._looking[digest] = looking
            looking.add_done_callback(lambda done: self._looked(digest, done))
        return await asyncio.shield(looking)

    def refresh(self) -> None:
        """Read the file anew if it changed. One that cannot be used leaves everything as it was."""
        if not self._watched.has_changed():
            return
        try:
            self._accounts = accounts.load(self._path)
        except WrongAccounts as wrong:
            self.reloads_failed += 1
            log.error("the accounts stay as they were: %s", wrong)
            return
        self._dummy = _dummy(self._accounts)
        self._right.clear()
        self._wrong.clear()
        log.info("read %d accounts anew from %s", len(self._accounts), self._path)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _look(self, digest: bytes, header: bytes, host: str) -> str:
        asked = self._accounts
        user, password = _parse(header)
        is_right = await self._matches(asked.get(user, self._dummy).password, password, host)
        if asked is self._accounts:  # else the file has changed meanwhile, and the next call is looked at anew
            _remember(self._right, digest, user) if is_right else _remember(self._wrong, digest, user)
        if not is_right:
            log.warning("wrong credentials from %s for %s", host, user if user in asked else "somebody unknown")
            raise Denied("The credentials are wrong.")
        self.wrong.give_back(host)
        return user

    async def _matches(self, stored: Password, given: bytes, host: str) -> bool:
        """Whoever is not known costs as much as a known one. Raises TryLater."""
        if not stored.is_slow:
            return stored.matches(given)
        if self._waiting >= MAX_WAITING:
            self.wrong.give_back(host)
            raise TryLater("Too many credentials wait to be looked at.", 1)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, stored.matches, given)
        finally:
            self._waiting -= 1

    def _looked(self, digest: bytes, done: asyncio.Task[str]) -> None:
        self._looking.pop(digest, None)
        if not done.cancelled() and isinstance(done.exception(), Denied):
            self.failed += 1

    def _digest(self, header: bytes) -> bytes:
        return hashlib.blake2b(header, key=self._key, digest_size=16).digest()


def _remember(known: OrderedDict[bytes, str], digest: bytes, user: str) -> None:
    known[digest] = user
    if len(known) > MAX_REMEMBERED:
        known.popitem(last=False)


def _parse(header: bytes) -> tuple[str, bytes]:
    """User and password of a Basic header. Raises Denied."""
    scheme, _, rest = header.strip().partition(b" ")
    if scheme.lower() != b"basic" or len(header) > MAX_HEADER_BYTES:
        raise Denied("Only Basic credentials are understood.")
    try:
        user, colon, password = b64decode(rest.strip(), validate=True).partition(b":")
        if colon:
            return user.decode("utf-8"), password
    except (binascii.Error, UnicodeDecodeError):
        pass
    raise Denied("The Basic credentials cannot be read.")


def _dummy(known: Accounts) -> Account:
    """An account that nobody has, as slow as the first slow one."""
    slow = [account.password for account in known.values() if account.password.is_slow]
    like = slow[0] if slow else passwords.parse(secrets.token_hex(16))
    return Account(Password(like.derive, like.expected, like.is_slow, exists=False), _NOBODY)


def _warn_of_readers(path: Path) -> None:
    if path.stat().st_mode & 0o044:
        log.warning("%s can be read by others than its owner; chmod 600 it", path)
