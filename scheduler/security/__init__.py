"""Who is who and who may do what: accounts, permissions, passwords, certificates, limits, the audit trail."""
