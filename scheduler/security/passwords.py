"""Passwords as they stand in an accounts file, and whether a given one is right.

Read are: scrypt (`$scrypt$15$8$3$salt$hash`: log2 of N, r, p; what `thesan password` makes), PBKDF2
(`$pbkdf2-sha256$rounds$salt$hash` and sha512, as passlib writes them), Shiro's own
(`$shiro1$SHA-256$500000$salt$hash`, what its command line hasher makes; SHA-384 and SHA-512 too), and plain text, which
is what Aurora's example has. `!` is no password at all: for users who come with a certificate. What looks like a hash
of another kind is refused, or the hash itself would be a password.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Final

from attrs import field, frozen

NO_PASSWORD: Final = "!"

_MAX_ROUNDS: Final = 10_000_000
_MAX_SCRYPT_BYTES: Final = 256 * 1024 * 1024
_SCRYPT: Final = (15, 8, 3)
"""log2 of N, r and p: 32 MB and about a quarter of a second. Source: OWASP's password storage cheat sheet."""
_SHIRO: Final = {"SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
_PBKDF2: Final = {"pbkdf2-sha256": "sha256", "pbkdf2-sha512": "sha512"}
_LOOKS_HASHED: Final = re.compile(r"\$[\w-]+\$")

FORMS: Final = "$scrypt$, $pbkdf2-sha256$, $pbkdf2-sha512$, $shiro1$ with SHA-256, SHA-384 or SHA-512, or plain text"


@frozen
class Password:
    """A stored password. `matches` may take a quarter of a second of one processor: not on the event loop."""

    derive: Callable[[bytes], bytes] = field(repr=False)
    expected: bytes = field(repr=False)
    is_slow: bool = True
    exists: bool = True

    def matches(self, given: bytes) -> bool:
        """Takes as long for a wrong password as for the right one, and for one that does not exist."""
        return hmac.compare_digest(self.derive(given), self.expected) and self.exists


def parse(stored: str) -> Password:
    """Raises ValueError with a sentence that does not hold the password."""
    if stored == NO_PASSWORD:
        return Password(_as_it_is, b"", is_slow=False, exists=False)
    if not _LOOKS_HASHED.match(stored):
        if not stored:
            raise ValueError("the password is empty; ! stands for no password")
        return Password(_as_it_is, _as_it_is(stored.encode()), is_slow=False)
    _, kind, *rest = stored.split("$")
    try:
        if kind == "scrypt":
            return _scrypt(*rest)
        if kind in _PBKDF2:
            return _pbkdf2(_PBKDF2[kind], *rest)
        if kind == "shiro1":
            return _shiro(*rest)
    except (TypeError, binascii.Error) as wrong:
        raise ValueError(f"the ${kind}$ hash is not complete") from wrong
    raise ValueError(f"the hash is of kind ${kind}$; known are {FORMS}")


def make(password: str) -> str:
    """The password as it is to stand in the file: scrypt with a salt of its own."""
    log_n, r, p = _SCRYPT
    salt = secrets.token_bytes(16)
    derived = hashlib.scrypt(password.encode(), salt=salt, n=1 << log_n, r=r, p=p, maxmem=_maxmem(log_n, r), dklen=32)
    return f"$scrypt${log_n}${r}${p}${_unpadded(salt)}${_unpadded(derived)}"


def _as_it_is(given: bytes) -> bytes:
    return hashlib.sha256(given).digest()  # of one length, so that the time of comparing tells none


def _scrypt(log_n_text: str, r_text: str, p_text: str, salt_text: str, expected_text: str) -> Password:
    log_n, r, p = (
        _number(text, f"scrypt's {name}", most)
        for text, name, most in ((log_n_text, "log2 of N", 24), (r_text, "r", 64), (p_text, "p", 16))
    )
    if (128 * r << log_n) > _MAX_SCRYPT_BYTES:
        raise ValueError(f"scrypt with these parameters takes more than {_MAX_SCRYPT_BYTES} bytes")
    salt, expected = _decoded(salt_text), _hash_bytes(expected_text)

    def derive(given: bytes) -> bytes:
        maxmem = _maxmem(log_n, r)
        return hashlib.scrypt(given, salt=salt, n=1 << log_n, r=r, p=p, maxmem=maxmem, dklen=len(expected))

    return Password(derive, expected)


def _pbkdf2(digest: str, rounds_text: str, salt_text: str, expected_text: str) -> Password:
    rounds, salt, expected = _rounds(rounds_text), _decoded(salt_text), _hash_bytes(expected_text)
    return Password(lambda given: hashlib.pbkdf2_hmac(digest, given, salt, rounds, len(expected)), expected)


def _shiro(algorithm: str, rounds_text: str, salt_text: str, expected_text: str) -> Password:
    if algorithm not in _SHIRO:
        raise ValueError(f"the $shiro1$ hash is {algorithm}; known are {', '.join(_SHIRO)}")
    new, rounds = getattr(hashlib, _SHIRO[algorithm]), _rounds(rounds_text)
    salt, expected = _decoded(salt_text), _hash_bytes(expected_text)

    def derive(given: bytes) -> bytes:
        value: bytes = new(salt + given).digest()
        for _ in range(rounds - 1):
            value = new(value).digest()
        return value

    return Password(derive, expected)


def _rounds(text: str) -> int:
    return _number(text, "the number of rounds", _MAX_ROUNDS)


def _number(text: str, name: str, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and 1 <= int(text) <= most):
        raise ValueError(f"{name} must be 1 to {most}")
    return int(text)


def _hash_bytes(text: str) -> bytes:
    found = _decoded(text)
    if not 16 <= len(found) <= 128:
        raise ValueError(f"the hash has {len(found)} bytes; 16 to 128 are allowed")
    return found


def _decoded(text: str) -> bytes:
    """Base64 as Shiro writes it, and as passlib does: without padding, `.` for `+`."""
    return b64decode(text.replace(".", "+") + "=" * (-len(text) % 4), validate=True)


def _unpadded(data: bytes) -> str:
    return b64encode(data).decode().rstrip("=")


def _maxmem(log_n: int, r: int) -> int:
    return (128 * r << log_n) + 1024 * 1024
