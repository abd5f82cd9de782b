"""Certificates as PEM files, made by trustme: real ones, of authorities nobody else knows."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any

import trustme

from scheduler.security.tls import Files

LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


class Authority:
    """An authority, and a folder where its files are put."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder = folder
        self.ca = trustme.CA(organization_name=name)
        self.path = folder / f"{name}.pem"
        self.ca.cert_pem.write_to_path(str(self.path))

    def server(self, name: str = "server", **more: Any) -> Files:
        """A server's certificate for localhost, and its key."""
        issued = self.ca.issue_cert("localhost", "127.0.0.1", **more)
        return self.write(name, issued)

    def user(self, name: str, **more: Any) -> tuple[Path, Path]:
        """A user's certificate and key."""
        files = self.write(f"user-{name}", self.ca.issue_cert("nobody@example.com", common_name=name, **more))
        return files.certificate, files.key

    def write(self, name: str, issued: trustme.LeafCert) -> Files:
        files = Files(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        for path, data in ((files.certificate, chain), (files.key, issued.private_key_pem.bytes())):
            before = path.stat().st_mtime_ns if path.exists() else 0
            path.write_bytes(data)
            os.utime(path, ns=(before + 1_000_000_000, before + 1_000_000_000))
        return files
