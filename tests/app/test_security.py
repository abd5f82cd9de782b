"""Security as the settings want it."""

from pathlib import Path

import pytest

from scheduler.app.ports import CannotStart
from scheduler.app.security import Security
from scheduler.settings import Settings, WrongSetting


def users(folder: Path, text: str = "[users]\nalice = secret\n") -> Path:
    path = folder / "users.ini"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_by_default_everybody_may_everything() -> None:
    made = Security(Settings())
    assert (made.realm, made.access) == (None, None)
    assert made.metrics() == {}


def test_basic_has_a_realm_and_rules(tmp_path: Path) -> None:
    made = Security(Settings(http_authentication_mechanism="BASIC", shiro_ini_path=users(tmp_path)))
    assert made.realm is not None
    assert made.access is not None
    assert set(made.metrics()) >= {"shiro_authorization_failures", "shiro_bad_requests"}
    made.realm.close()


def test_basic_without_users_is_refused() -> None:
    with pytest.raises(WrongSetting, match="--shiro-ini-path must name"):
        Settings(http_authentication_mechanism="BASIC")


def test_a_wrong_file_stops_the_start(tmp_path: Path) -> None:
    wrong = users(tmp_path, "[main]\n")
    with pytest.raises(CannotStart, match=r"--shiro-ini-path: .*\[main\]"):
        Security(Settings(http_authentication_mechanism="BASIC", shiro_ini_path=wrong))
