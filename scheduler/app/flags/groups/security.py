"""Who may call."""

from __future__ import annotations

from scheduler.app.flags.rows import Group, Unused

NOT_YET = "calls are not authenticated yet"
NO_KERBEROS = "Kerberos is not served"
NO_JAVA = "Java classes cannot be loaded"

GROUP = Group(
    "Security",
    (
        Unused("http_authentication_mechanism", NOT_YET, only=("NONE",)),
        Unused("shiro_ini_path", NOT_YET),
        Unused("shiro_realm_modules", NO_JAVA),
        Unused("shiro_credentials_matcher", NO_JAVA),
        Unused("shiro_after_auth_filter", NO_JAVA),
        Unused("kerberos_server_keytab", NO_KERBEROS),
        Unused("kerberos_server_principal", NO_KERBEROS),
        Unused("kerberos_debug", NO_KERBEROS, switch=True),
    ),
)
