"""Who a header belongs to: what is remembered, what is looked at, and what is refused."""

import asyncio
import os
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from scheduler.security import passwords, realm as module
from scheduler.security.realm import Denied, Realm, TryLater
from tests.security.test_limits import Hand

T = TypeVar("T")
HASHED = passwords.make("secret")
FILE = f"[users]\nalice = {HASHED}, admin\nbob = plain, www\ncert = !\n[roles]\nadmin = *\nwww = m:*:www\n"


def basic(user: str, password: str) -> bytes:
    return b"Basic " + b64encode(f"{user}:{password}".encode())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "users.ini"
    file.write_text(FILE)
    file.chmod(0o600)
    return file


@pytest.fixture
def realm(path: Path) -> Iterator[Realm]:
    made = Realm(path, Hand())
    yield made
    made.close()


def count(realm: Realm, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Passwords that are looked at from now on."""
    looked: list[bytes] = []
    matches = passwords.Password.matches

    def counted(self: passwords.Password, given: bytes) -> bool:
        looked.append(given)
        return matches(self, given)

    monkeypatch.setattr(passwords.Password, "matches", counted)
    return looked


def run(make: Callable[[], Awaitable[T]]) -> T:
    async def inner() -> T:
        return await make()

    return asyncio.run(inner())


def test_right_credentials_are_looked_at_once(realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = count(realm, monkeypatch)
    for user, password in (("alice", "secret"), ("bob", "plain")):
        header = basic(user, password)
        assert realm.known(header) is None
        for _ in range(3):
            assert run(lambda header=header: realm.identify(header, "h")) == user  # type: ignore[misc]
        assert realm.known(header) == user
    assert looked == [b"secret", b"plain"]


def test_many_with_the_same_credentials_wait_for_one_look(realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = count(realm, monkeypatch)

    async def all_at_once() -> set[str]:
        return set(await asyncio.gather(*(realm.identify(basic("alice", "secret"), "h") for _ in range(200))))

    assert run(all_at_once) == {"alice"}
    assert looked == [b"secret"]


@pytest.mark.parametrize(
    "header",
    [
        basic("alice", "Secret"),
        basic("alice", ""),
        basic("Alice", "secret"),
        basic("nobody", "secret"),
        basic("cert", "!"),
        basic("cert", ""),
        b"Basic",
        b"Basic !!!",
        b"Basic " + b64encode(b"no colon"),
        b"Basic " + b64encode(b"\xff\xff:x"),
        b"Bearer abc",
        b"Negotiate abc",
        b"",
        b"Basic " + b"A" * 4000,
    ],
)
def test_wrong_credentials_are_denied_and_counted(realm: Realm, header: bytes) -> None:
    with pytest.raises(Denied):
        run(lambda: realm.identify(header, "h"))
    assert realm.known(header) is None
    assert realm.failed == 1


def test_the_same_wrong_ones_cost_nothing_more(realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = count(realm, monkeypatch)
    for _ in range(100):
        with pytest.raises(Denied):
            run(lambda: realm.identify(basic("alice", "wrong"), "h"))
    assert looked == [b"wrong"]


def test_somebody_unknown_costs_as_much_as_somebody_known(realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    derived: list[str] = []
    real = passwords.hashlib.scrypt
    monkeypatch.setattr(passwords.hashlib, "scrypt", lambda *a, **k: derived.append("scrypt") or real(*a, **k))
    with pytest.raises(Denied):
        run(lambda: realm.identify(basic("nobody", "x"), "h"))
    assert derived == ["scrypt"]


def test_who_is_wrong_again_and_again_has_to_wait(realm: Realm, path: Path) -> None:
    clock = Hand()
    realm.wrong = module.Limits(module.WRONG_PER_S, module.WRONG_BURST, clock)

    def attempt(number: int, host: str) -> None:
        run(lambda: realm.identify(basic("bob", str(number)), host))

    for number in range(module.WRONG_BURST):
        with pytest.raises(Denied):
            attempt(number, "bad")
    with pytest.raises(TryLater) as later:
        attempt(1000, "bad")
    assert 0 < later.value.after_s <= 5
    with pytest.raises(Denied):
        attempt(1001, "other")
    clock.now += 5
    with pytest.raises(Denied):
        attempt(1002, "bad")


def test_right_ones_do_not_count_as_wrong(realm: Realm) -> None:
    for _ in range(3 * module.WRONG_BURST):
        realm._right.clear()
        run(lambda: realm.identify(basic("bob", "plain"), "h"))


def test_only_so_many_wait(realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)

    async def all_at_once() -> list[object]:
        asked = (realm.identify(basic("alice", str(number)), f"h{number}") for number in range(5))
        return list(await asyncio.gather(*asked, return_exceptions=True))

    found = [type(one) for one in run(all_at_once)]
    assert found.count(Denied) == 2
    assert found.count(TryLater) == 3


def test_what_is_remembered_is_bounded(realm: Realm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED", 5)
    for number in range(20):
        with pytest.raises(Denied):
            run(lambda number=number: realm.identify(basic("bob", str(number)), f"h{number}"))  # type: ignore[misc]
    assert len(realm._wrong) == 5


def rewrite(path: Path, text: str) -> None:
    before = path.stat().st_mtime_ns
    path.write_text(text)
    os.utime(path, ns=(before + 1, before + 1))


def test_a_changed_file_holds_at_once(realm: Realm, path: Path) -> None:
    assert run(lambda: realm.identify(basic("bob", "plain"), "h")) == "bob"
    with pytest.raises(Denied):
        run(lambda: realm.identify(basic("bob", "new"), "h"))
    assert realm.grants("bob").allows("m", "killTasks", "www")
    rewrite(path, FILE.replace("plain, www", "new"))
    realm.refresh()
    assert realm.known(basic("bob", "plain")) is None
    with pytest.raises(Denied):
        run(lambda: realm.identify(basic("bob", "plain"), "h"))
    assert run(lambda: realm.identify(basic("bob", "new"), "h")) == "bob"
    assert not realm.grants("bob").allows("m", "killTasks", "www")


def test_a_user_that_was_removed_may_nothing(realm: Realm, path: Path) -> None:
    assert realm.grants("alice").allows("m", "killTasks")
    rewrite(path, "[users]\nbob = plain\n")
    realm.refresh()
    assert not realm.grants("alice").allows("m", "killTasks")


@pytest.mark.parametrize("text", ["", "[users\n", "[users]\nalice =\n", None])
def test_a_file_that_became_wrong_changes_nothing(
    realm: Realm, path: Path, text: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    assert run(lambda: realm.identify(basic("bob", "plain"), "h")) == "bob"
    path.unlink() if text is None else rewrite(path, text)
    realm.refresh()
    realm.refresh()
    assert realm.known(basic("bob", "plain")) == "bob"
    assert realm.reloads_failed == 1
    assert "stay as they were" in caplog.text


def test_a_file_that_others_can_read_is_said(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.chmod(0o644)
    Realm(path).close()
    assert "chmod 600" in caplog.text
