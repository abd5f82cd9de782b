"""Who may call."""

from __future__ import annotations

from typing import Final

from scheduler.app.flags.kinds import Choice, File
from scheduler.app.flags.rows import Flag, Group, Unused
from scheduler.settings import AUTHENTICATION_MECHANISMS

NO_KERBEROS: Final = "Kerberos is not served"
NO_JAVA: Final = "Java classes cannot be loaded"
_MATCHERS: Final = "org.apache.shiro.authc.credential."

GROUP = Group(
    "Security",
    (
        Flag(
            "http_authentication_mechanism",
            Choice(*AUTHENTICATION_MECHANISMS),
            "http_authentication_mechanism",
            "BASIC: users, passwords and permissions of --shiro-ini-path.",
            "nothing can be asked before there are users",
            differs="no NEGOTIATE: Kerberos is not served",
        ),
        Flag(
            "shiro_ini_path",
            File(),
            "shiro_ini_path",
            "Users and roles, in Aurora's INI form; read again when it changes.",
            "there is no place where everybody has it",
            differs="read again when it changes; passwords may be hashed",
        ),
        Unused("shiro_realm_modules", NO_JAVA, only=("INI_AUTHNZ",)),
        Unused(
            "shiro_credentials_matcher",
            f"{NO_JAVA}; each password says itself how it is hashed",
            only=(f"{_MATCHERS}SimpleCredentialsMatcher", f"{_MATCHERS}PasswordMatcher"),
        ),
        Unused("shiro_after_auth_filter", NO_JAVA),
        Unused("kerberos_server_keytab", NO_KERBEROS),
        Unused("kerberos_server_principal", NO_KERBEROS),
        Unused("kerberos_debug", NO_KERBEROS, switch=True),
    ),
)
