"""Who may call, and over what."""

from __future__ import annotations

from typing import Final

from scheduler.app.flags.kinds import Choice, Duration, File, Number
from scheduler.app.flags.rows import Flag, Group, Unused
from scheduler.settings import AUTHENTICATION_MECHANISMS, TLS_CLIENT_AUTH

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
        Flag(
            "tls_certificate",
            File(),
            "tls_certificate",
            "PEM: the server's certificate and those between it and the root. With it both ports speak TLS.",
            "there is none before somebody makes one",
        ),
        Flag("tls_key", File(), "tls_key", "PEM: its key, not encrypted.", "as its certificate"),
        Flag(
            "tls_client_ca",
            File(),
            "tls_client_ca",
            "PEM: whose certificates of clients are believed; their common name is the user.",
            "no certificate is asked for",
        ),
        Flag(
            "tls_client_auth",
            Choice(*TLS_CLIENT_AUTH),
            "tls_client_auth",
            "With --tls-client-ca: may a client come without a certificate?",
            "passwords remain possible",
        ),
        Flag(
            "tls_handshake_timeout_ms",
            Duration(100, 600_000, bare=True),
            "tls_handshake_timeout_ms",
            "In which a client must have shaken hands.",
            "as long as for a request's headers",
        ),
        Flag(
            "max_calls_per_s",
            Number(0, 1_000_000),
            "max_calls_per_s",
            "Of one user, or of one address where no user is known; heartbeats do not count. 0: no limit.",
            "nobody knows what your scripts do",
        ),
        Flag(
            "max_calls_burst",
            Number(1, 1_000_000),
            "max_calls_burst",
            "With --max-calls-per-s: how many may come at once.",
            "a client's start is a handful of calls",
        ),
        Flag(
            "audit_log",
            File(),
            "audit_log",
            "A line of JSON for each call that changes something. It may be rotated under the server.",
            "the log has these lines too",
            default="in the log",
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
