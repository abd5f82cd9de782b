"""TLS on a port: the server's certificate, and whose certificates of clients are believed.

The files are read anew when one changes. A connection keeps what it began with; the next one gets the new certificate.
Files that do not go together leave everything as it was: certificate and key are written one after the other.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from scheduler.security import names
from scheduler.security.watched import Watched

log = logging.getLogger(__name__)

WARN_BEFORE_S: Final = 14 * 86_400
_EXPIRED: Final = 10
"""OpenSSL's number: X509_V_ERR_CERT_HAS_EXPIRED."""


class WrongCertificate(ValueError):
    """The files cannot be used; the sentence names them."""


@frozen
class Files:
    """PEM files. `client_ca`: whose certificates of clients are believed; without it none are asked for."""

    certificate: Path
    """The server's own, and those between it and the root."""
    key: Path
    client_ca: Path | None = None
    client_required: bool = False


class Certificates:
    """`context` is what a connection that begins now gets."""

    def __init__(self, files: Files, clock: Callable[[], float] = time.time) -> None:
        """Raises WrongCertificate."""
        self._files = files
        self._clock = clock
        self._watched = Watched([path for path in (files.certificate, files.key, files.client_ca) if path])
        self.reloads_failed = 0
        self.context, self.expires_s = self._load()

    def refresh(self) -> None:
        """Read the files anew if one changed."""
        if not self._watched.has_changed():
            return
        try:
            self.context, self.expires_s = self._load()
        except WrongCertificate as wrong:
            self.reloads_failed += 1
            log.error("the certificate stays as it was: %s", wrong)
        else:
            log.info("read %s anew", self._files.certificate)

    def _load(self) -> tuple[ssl.SSLContext, float]:
        files = self._files
        try:
            context = _server_context(files)
            if files.client_ca is not None:
                _read(files.client_ca, context.load_verify_locations)
                context.verify_mode = ssl.CERT_REQUIRED if files.client_required else ssl.CERT_OPTIONAL
            expires_s = _expires_s(files)
        except (OSError, ValueError) as wrong:
            raise WrongCertificate(str(wrong)) from wrong
        left_s = expires_s - self._clock()
        if left_s < WARN_BEFORE_S:
            ended = "has expired" if left_s <= 0 else f"expires in {left_s / 86_400:.0f} days"
            log.warning("the certificate %s %s", files.certificate, ended)
        return context, expires_s


def user_of(transport: Any) -> str | None:
    """The user that a client's certificate names: the one common name of its subject. None: there is none."""
    peer = transport.get_extra_info("peercert") or {}
    found = [value for part in peer.get("subject", ()) for name, value in part if name == "commonName"]
    return found[0] if len(found) == 1 and names.is_good(found[0]) else None


def _server_context(files: Files) -> ssl.SSLContext:
    """TLS 1.2 at least, and OpenSSL's choice of ciphers. Raises OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    for path in (files.certificate, files.key):
        _read(path, lambda _: None)
    try:
        # Without a password OpenSSL would ask for one on the terminal.
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except ssl.SSLError as wrong:
        why = _reason(wrong)
        raise ValueError(f"{files.certificate} and {files.key} are no certificate and its key: {why}") from wrong
    return context


def _reason(wrong: ssl.SSLError) -> str:
    """OpenSSL's name of a mistake; it has none for a file that is not what it should be."""
    return wrong.reason or "they must be in PEM form"


def _no_password() -> str:
    raise ValueError("the key is encrypted; give one that is not, readable by this user alone")


def _read(path: Path, load: Callable[[str], object]) -> None:
    try:
        with path.open("rb"):
            load(str(path))
    except ssl.SSLError as wrong:
        raise ValueError(f"{path}: {_reason(wrong)}") from wrong
    except OSError as wrong:
        raise ValueError(f"{path} cannot be read: {wrong.strerror}") from wrong


def _expires_s(files: Files) -> float:
    """When the server's certificate expires, in seconds of the wall clock; 0: it has. Found by shaking hands with
    ourselves, since the standard library tells of a certificate only to its other side.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(files.certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (
        client.wrap_bio(to_client, to_server),
        _server_context(files).wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(4):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLCertVerificationError as wrong:
                if wrong.verify_code == _EXPIRED:
                    return 0.0
                raise ValueError(f"{files.certificate}: {wrong.verify_message}") from wrong
    peer: Any = sides[0].getpeercert()
    return float(ssl.cert_time_to_seconds(peer["notAfter"]))
