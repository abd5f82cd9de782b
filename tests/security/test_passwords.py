"""Stored passwords: every form that is read, with values made elsewhere, and what is refused."""

import hashlib
from base64 import b64encode

import pytest
from hypothesis import given, settings, strategies as st

from scheduler.security import passwords


def shiro(algorithm: str, rounds: int, salt: bytes, password: bytes) -> str:
    """As Shiro's documentation describes it: the salt goes before the password, the digest is digested again."""
    new = getattr(hashlib, algorithm.replace("-", "").lower())
    value = new(salt + password).digest()
    for _ in range(rounds - 1):
        value = new(value).digest()
    return f"$shiro1${algorithm}${rounds}${b64encode(salt).decode()}${b64encode(value).decode()}"


FORMS = {
    "scrypt": passwords.make("secret"),
    "scrypt, RFC 7914's N=1024 r=8 p=16": (
        "password",
        "$scrypt$10$8$16$TmFDbA$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG/xCSedmDDaxyevuUqD7m2DYMvfoswGQA",
    ),
    "pbkdf2, passlib's example": (
        "toomanysecrets",
        "$pbkdf2-sha256$29000$N2YMIWQsBWBMae09x1jrPQ$1t8iyB2A.WF/Z5JZv.lfCIhXXN33N23OSgQYThBYRfk",
    ),
    "shiro1": shiro("SHA-256", 5000, b"0123456789abcdef", b"secret"),
    "shiro1 SHA-512": shiro("SHA-512", 3, b"salt", b"secret"),
    "plain": "secret",
    "plain with a dollar": ("$ecret", "$ecret"),
    "plain, not ASCII": ("gr\u00fc\u00dfe", "gr\u00fc\u00dfe"),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_right_one_matches_and_no_other(form: str) -> None:
    entry = FORMS[form]
    right, stored = entry if isinstance(entry, tuple) else ("secret", entry)
    password = passwords.parse(stored)
    assert password.matches(right.encode())
    for wrong in ("", right + "x", right[:-1], right.upper(), stored if stored != right else "other"):
        assert not password.matches(wrong.encode())
    assert password.is_slow is ("plain" not in form)


def test_two_hashes_of_one_password_differ() -> None:
    assert passwords.make("x") != passwords.make("x")


@pytest.mark.parametrize("given", [b"", b"!", b"secret"])
def test_no_password_is_matched_by_nothing(given: bytes) -> None:
    assert not passwords.parse("!").matches(given)


REFUSED = {
    "": "is empty",
    "$2y$10$N9qo8uLOickgx2ZMRZoMye": "kind \\$2y\\$",
    "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA": "kind \\$argon2id\\$",
    "$shiro2$argon2id$x": "kind \\$shiro2\\$",
    "$shiro1$MD5$1$c2FsdA==$AAAAAAAAAAAAAAAAAAAAAA==": "is MD5; known are SHA-256",
    "$shiro1$SHA-256$0$c2FsdA==$AAAAAAAAAAAAAAAAAAAAAA==": "must be 1 to 10000000",
    "$shiro1$SHA-256$99999999$c2FsdA==$AAAAAAAAAAAAAAAAAAAAAA==": "must be 1 to 10000000",
    "$shiro1$SHA-256$1": "not complete",
    "$shiro1$SHA-256$1$c2FsdA==$": "the hash has 0 bytes",
    "$shiro1$SHA-256$1$c2FsdA==$!!!": "not complete",
    "$scrypt$15$8$3$c2FsdA": "not complete",
    "$scrypt$24$64$1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAA": "more than 268435456 bytes",
    "$scrypt$x$8$1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAA": "log2 of N must be",
    "$pbkdf2-sha256$-1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAA": "must be 1 to",
}


@pytest.mark.parametrize("stored", REFUSED)
def test_what_cannot_be_read_is_refused_and_not_repeated(stored: str) -> None:
    with pytest.raises(ValueError, match=REFUSED[stored]) as refused:
        passwords.parse(stored)
    assert "AAAA" not in str(refused.value)


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(passwords.parse("secret"))


@settings(max_examples=200)
@given(st.text())
def test_any_text_is_a_password_or_refused(stored: str) -> None:
    try:
        password = passwords.parse(stored)
    except ValueError:
        return
    assert password.matches(stored.encode("utf-8", "surrogatepass")) is (stored != "!")
