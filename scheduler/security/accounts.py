"""Users and roles in Aurora's INI form: `[users]` and `[roles]`, nothing else.

    [users]
    alice = $scrypt$15$8$3$...$..., admin
    deploy = secret, www

    [roles]
    admin = *
    www = thrift.AuroraSchedulerManager:*:www

Source: Aurora's documentation, "Securing your Aurora Cluster"; the form is Shiro's.
"""

from __future__ import annotations

import configparser
import csv
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from attrs import frozen

from scheduler.security import names, passwords, permissions
from scheduler.security.passwords import Password
from scheduler.security.permissions import Grants, Permission

log = logging.getLogger(__name__)

SECTIONS: Final = ("users", "roles")
MAX_BYTES: Final = 4 * 1024 * 1024


class WrongAccounts(ValueError):
    """The file cannot be used. The sentence names it and what is wrong where, and holds no password."""


@frozen
class Account:
    """One user."""

    password: Password
    grants: Grants


Accounts = Mapping[str, Account]
"""By the user's name, which is taken as it is written."""


def load(path: Path) -> Accounts:
    """Raises WrongAccounts."""
    try:
        data = path.read_bytes()
        if len(data) > MAX_BYTES:
            raise WrongAccounts(f"{path} has {len(data)} bytes; {MAX_BYTES} are allowed")
        text = data.decode("utf-8")
    except OSError as wrong:
        raise WrongAccounts(f"{path} cannot be read: {wrong.strerror}") from wrong
    except UnicodeDecodeError as wrong:
        raise WrongAccounts(f"{path} is not UTF-8") from wrong
    return parse(text, str(path))


def parse(text: str, name: str) -> Accounts:
    """The accounts in the text of a file. Raises WrongAccounts."""
    sections = _sections(text, name)
    if not sections:
        raise WrongAccounts(f"{name} has no section; it must have [users], and may have [roles]")
    for section in sections:
        if section not in SECTIONS:
            raise WrongAccounts(f"{name} has a section [{section}]; only [users] and [roles] are allowed")
    roles: dict[str, list[Permission]] = {}
    for role, value in sections.get("roles", {}).items():
        try:
            roles[role] = [permissions.parse(one) for one in _items(value)]
        except ValueError as wrong:
            raise WrongAccounts(f"{name}, role {role}: {wrong}") from None
    found: dict[str, Account] = {}
    for user, value in sections.get("users", {}).items():
        try:
            found[user] = _account(name, user, value, roles)
        except ValueError as wrong:
            raise WrongAccounts(f"{name}, user {user}: {wrong}") from None
    return found


def _account(name: str, user: str, value: str, roles: Mapping[str, list[Permission]]) -> Account:
    if not names.is_good(user):
        raise ValueError(f"a name is 1 to {names.MAX_LENGTH} printable characters without a colon, not {names.NOBODY}")
    stored, *held = _items(value) or [""]
    for role in held:
        if role not in roles:  # Shiro lets it pass
            log.warning("%s, user %s: there is no role %r in [roles]; it grants nothing", name, user, role)
    return Account(passwords.parse(stored), Grants(one for role in held for one in roles.get(role, ())))


def _sections(text: str, name: str) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(delimiters=("=",), default_section="\0", empty_lines_in_values=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    # In Shiro an indented line is a line, and a backslash at the end of one goes on with the next.
    lines = [line.strip() for line in text.replace("\\\r\n", "").replace("\\\n", "").splitlines()]
    try:
        parser.read_string("\n".join(lines), source=name)
    except configparser.DuplicateSectionError as wrong:
        raise WrongAccounts(f"{name}, line {wrong.lineno}: [{wrong.section}] is there twice") from None
    except configparser.DuplicateOptionError as wrong:
        raise WrongAccounts(f"{name}, line {wrong.lineno}: {wrong.option} is there twice") from None
    except configparser.MissingSectionHeaderError as wrong:
        raise WrongAccounts(f"{name}, line {wrong.lineno}: stands before [users] and [roles]") from None
    except configparser.ParsingError as wrong:
        raise WrongAccounts(f"{name}, line {wrong.errors[0][0]}: must be name = value") from None
    return {section: dict(parser.items(section)) for section in parser.sections()}


def _items(value: str) -> list[str]:
    """Between commas, where a comma in double quotes is no such comma."""
    return [item.strip() for item in next(csv.reader([value], skipinitialspace=True), [])]
