"""The accounts file: Aurora's example, and every mistake named with its place."""

from pathlib import Path

import pytest

from scheduler.security import accounts
from scheduler.security.accounts import WrongAccounts

# The example of Aurora's documentation, "Securing your Aurora Cluster".
EXAMPLE = """
[users]
alice = secret, accounting
jim = password, admin
joe = password, accounting, deploy
rick = rick's password, deploy, webteam

[roles]
admin = *
accounting = thrift.AuroraAdmin:setQuota
deploy = \\
    thrift.AuroraSchedulerManager:createJob,\\
    thrift.AuroraSchedulerManager:killTasks
webteam = "thrift.AuroraSchedulerManager:startJobUpdate,pauseJobUpdate:www"
"""

MANAGER = "thrift.AuroraSchedulerManager"


def test_aurora_s_example_grants_what_it_says() -> None:
    known = accounts.parse(EXAMPLE, "x")
    assert set(known) == {"alice", "jim", "joe", "rick"}
    may = {name: account.grants.allows for name, account in known.items()}
    assert may["jim"]("anything", "at", "all")
    assert may["alice"]("thrift.AuroraAdmin", "setQuota")
    assert not may["alice"]("thrift.AuroraAdmin", "snapshot")
    assert may["joe"](MANAGER, "killTasks", "www", "prod", "hello")
    assert may["joe"]("thrift.AuroraAdmin", "setQuota")
    assert may["rick"](MANAGER, "pauseJobUpdate", "www", "prod", "hello")
    assert not may["rick"](MANAGER, "pauseJobUpdate", "ads", "prod", "hello")
    assert known["rick"].password.matches(b"rick's password")


def test_a_role_that_is_not_there_grants_nothing_and_is_said(caplog: pytest.LogCaptureFixture) -> None:
    known = accounts.parse("[users]\nalice = secret, ghost\n", "file")
    assert not known["alice"].grants.permissions
    assert "file, user alice: there is no role 'ghost'" in caplog.text


WRONG = {
    "": "file has no section",
    "# nothing": "file has no section",
    "alice = secret": "file, line 1: stands before",
    "[main]\nx = y": "section [main]; only [users] and [roles]",
    "[users]\nalice": "file, line 2: must be name = value",
    "[users]\na = x\na = y": "file, line 3: a is there twice",
    "[users]\n[users]": "file, line 2: [users] is there twice",
    "[users]\nalice =": "user alice: the password is empty",
    "[users]\nalice = $2y$10$secret": "user alice: the hash is of kind $2y$",
    "[users]\nUNSECURE = x": "not UNSECURE",
    "[users]\na:b = x": "without a colon",
    "[roles]\nr = a::b": "role r: 'a::b' is no permission",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_mistake_is_named(text: str) -> None:
    with pytest.raises(WrongAccounts) as wrong:
        accounts.parse(text, "file")
    assert WRONG[text] in str(wrong.value)
    assert "secret" not in str(wrong.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for content, why in ((None, "cannot be read"), (b"\xff", "not UTF-8"), (b"#" * (4 * 1024 * 1024 + 1), "allowed")):
        path = tmp_path / "users.ini"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(WrongAccounts, match=why):
            accounts.load(path)
