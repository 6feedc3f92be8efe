"""What the files of TLS must hold, said before anything serves with them."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from engine.settings.tls import TlsSettings, UnusableTlsFiles, server_context
from tests.support.certificates import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_a_certificate_with_its_key_is_served(authority: Authority) -> None:
    files = authority.issue("server")

    server_context(TlsSettings(cert=files.cert, key=files.key, client_ca=authority.ca))


@pytest.mark.parametrize("spoil", ["absent cert", "absent key", "another's key", "no PEM", "no authority"])
def test_what_is_unusable_is_named(authority: Authority, spoil: str) -> None:
    files, other = authority.issue("server"), authority.issue("other")
    settings = TlsSettings(cert=files.cert, key=files.key, client_ca=authority.ca)
    named = files.key
    match spoil:
        case "absent cert":
            files.cert.unlink()
            named = files.cert
        case "absent key":
            files.key.unlink()
        case "another's key":
            files.key.write_bytes(other.key.read_bytes())
        case "no PEM":
            files.cert.write_text("no certificate")
        case _:
            authority.ca.write_text("no certificate")
            named = authority.ca

    with pytest.raises(UnusableTlsFiles, match=named.name):
        server_context(settings)


def test_an_encrypted_key_is_refused_and_nobody_asked_for_its_password(authority: Authority) -> None:
    files = authority.issue("server")
    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    files.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )

    with pytest.raises(UnusableTlsFiles, match="the key is encrypted"):
        server_context(TlsSettings(cert=files.cert, key=files.key))
