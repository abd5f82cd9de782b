"""Certificates that are read, refused, and read anew."""

import datetime
import logging
import ssl
import time
from pathlib import Path

import attrs
import pytest
from cryptography.hazmat.primitives import serialization

from scheduler.security.tls import Certificates, Files, WrongCertificate, user_of
from tests.security.certificates import LONG_AGO, Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_when_it_expires_is_known(authority: Authority) -> None:
    ends = datetime.datetime(2031, 2, 3, 4, 5, 6, tzinfo=datetime.UTC)
    assert Certificates(authority.server(not_after=ends)).expires_s == ends.timestamp()


def test_one_that_has_expired_is_said_and_served(authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    files = authority.server(not_before=LONG_AGO, not_after=LONG_AGO + datetime.timedelta(days=1))
    assert Certificates(files).expires_s == 0
    assert "has expired" in caplog.text


def test_one_that_expires_soon_is_said(authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    ends = datetime.datetime(2031, 2, 3, tzinfo=datetime.UTC)
    Certificates(authority.server(not_after=ends), lambda: ends.timestamp() - 3.4 * 86_400)
    assert "expires in 3 days" in caplog.text


def test_nothing_older_than_tls_1_2(authority: Authority) -> None:
    context = Certificates(authority.server()).context
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize("required", [False, True])
def test_certificates_of_clients_are_asked_for(authority: Authority, required: bool) -> None:
    files = attrs.evolve(authority.server(), client_ca=authority.path, client_required=required)
    wanted = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    assert Certificates(files).context.verify_mode is wanted


def test_files_that_cannot_be_used_are_named(authority: Authority, tmp_path: Path) -> None:
    good, other = authority.server(), authority.server("other")
    garbage, empty = tmp_path / "garbage", tmp_path / "empty"
    garbage.write_bytes(b"-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n")
    empty.touch()
    locked = tmp_path / "locked.key"
    key = serialization.load_pem_private_key(good.key.read_bytes(), None)
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    wrong = {
        Files(tmp_path / "gone", good.key): "gone cannot be read",
        Files(good.certificate, tmp_path / "gone"): "gone cannot be read",
        Files(good.certificate, other.key): "KEY_VALUES_MISMATCH",
        Files(garbage, good.key): "garbage.* must be in PEM form",
        Files(empty, good.key): "empty",
        Files(good.certificate, locked): "encrypted",
        attrs.evolve(good, client_ca=empty): "empty",
        attrs.evolve(good, client_ca=good.key): "server.key",
    }
    for files, why in wrong.items():
        with pytest.raises(WrongCertificate, match=why):
            Certificates(files)


def test_a_new_pair_is_taken_up_when_both_files_are_there(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    files = authority.server()
    certificates = Certificates(files)
    first = certificates.context
    certificates.refresh()
    assert certificates.context is first

    old_key = files.key.read_bytes()
    authority.server()
    new_key = files.key.read_bytes()
    files.key.write_bytes(old_key)
    certificates.refresh()
    assert certificates.context is first
    assert certificates.reloads_failed == 1
    assert "stays as it was" in caplog.text

    time.sleep(0.01)  # a file system's clock ticks
    files.key.write_bytes(new_key)
    certificates.refresh()
    assert certificates.context is not first


class Shown:
    def __init__(self, *subject: tuple[tuple[str, str], ...]) -> None:
        self.peer = {"subject": subject}

    def get_extra_info(self, name: str) -> object:
        return self.peer if name == "peercert" else None


@pytest.mark.parametrize(
    ("shown", "user"),
    [
        (Shown((("commonName", "alice"),)), "alice"),
        (Shown((("organizationName", "x"),), (("commonName", "alice"),)), "alice"),
        (Shown((("organizationName", "x"),)), None),
        (Shown((("commonName", "alice"),), (("commonName", "admin"),)), None),
        (Shown((("commonName", "UNSECURE"),)), None),
        (Shown((("commonName", "a:b"),)), None),
        (Shown((("commonName", "a\nb"),)), None),
        (Shown(), None),
    ],
)
def test_the_user_is_the_one_common_name(shown: Shown, user: str | None) -> None:
    assert user_of(shown) == user
