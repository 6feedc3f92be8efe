"""TLS begins without a thread, ends so that it is told from a cut, and shows a new certificate to new connections."""

import logging
import os
import socket
import ssl
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataplane.server.settings import ServerSettings
from engine.settings.tls import TlsSettings
from tests.integration.dataplane.server.stub import (
    Answer,
    Client,
    Running,
    eventually,
    pattern,
    request,
    running,
)
from tests.support.certificates import Authority, CertificateFiles

SETTINGS = ServerSettings(tick_s=0.02, handshake_timeout_s=0.5)
SIZE = 3_000_000


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "tls")


@pytest.fixture
def files(authority: Authority) -> CertificateFiles:
    return authority.issue("server")


@pytest.fixture
def server(tmp_path: Path, authority: Authority, files: CertificateFiles) -> Iterator[Running]:
    with running(
        tmp_path, SETTINGS, tls=TlsSettings(cert=files.cert, key=files.key), ca=authority.ca
    ) as server:
        yield server


def shown(client: Client) -> str:
    """The name on the server's certificate."""
    assert isinstance(client.sock, ssl.SSLSocket)
    found = client.sock.getpeercert()
    assert found is not None
    subject: tuple[tuple[tuple[str, str], ...], ...] = found["subject"]  # type: ignore[assignment]
    return subject[0][0][1]


@pytest.mark.parametrize("said", ["zeros", "a cut handshake", "noise"])
def test_what_is_neither_is_hung_up_on(server: Running, said: str) -> None:
    sent = {
        "zeros": bytes(4),
        "a cut handshake": b"\x16\x03\x01\xff\xff" + b"z" * 1000,
        "noise": os.urandom(50),
    }
    with socket.create_connection(server.address, timeout=20) as each:
        each.sendall(sent[said])
        try:
            while each.recv(1000):
                continue
        except ConnectionResetError:
            pass

    assert server.get("/hello").status == 200


def test_only_tls_of_today_is_spoken(server: Running, authority: Authority) -> None:
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context(cafile=authority.ca)
        context.minimum_version = context.maximum_version = version
        client = Client(server.address, tls=context)
        server.clients.append(client)
        assert client.get("/hello").status == 200

    old = ssl.create_default_context(cafile=authority.ca)
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1

    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        Client(server.address, tls=old)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_that_comes_again_need_not_begin_anew(
    server: Running, authority: Authority, version: ssl.TLSVersion
) -> None:
    context = ssl.create_default_context(cafile=authority.ca)
    context.minimum_version = context.maximum_version = version
    first = Client(server.address, tls=context)
    server.clients.append(first)
    assert first.get("/hello").status == 200
    assert isinstance(first.sock, ssl.SSLSocket)

    plain = socket.create_connection(server.address, timeout=20)
    with context.wrap_socket(plain, server_hostname="127.0.0.1", session=first.sock.session) as again:
        again.sendall(request("GET", "/hello"))

        assert again.recv(1000).startswith(b"HTTP/1.1 200 ")
        assert again.session_reused


@pytest.mark.parametrize(
    ("target", "is_whole"), [("/hello", True), (f"/regions?size={SIZE}&fails=1000000", False)]
)
def test_an_end_is_said_and_a_cut_is_not(
    server: Running, authority: Authority, target: str, is_whole: bool
) -> None:
    """With close_notify nobody can pass off the beginning of an answer for all of it."""
    context = ssl.create_default_context(cafile=authority.ca)
    plain = socket.create_connection(server.address, timeout=20)
    with context.wrap_socket(plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False) as client:
        client.sendall(request("GET", target, "Connection: close"))

        assert _ends_well(client) == is_whole


def _ends_well(client: ssl.SSLSocket) -> bool:
    try:
        while client.recv(100_000):
            continue
    except (ConnectionResetError, ssl.SSLEOFError):
        return False
    return True


def test_requests_in_one_record_with_a_body_are_all_answered(server: Running) -> None:
    client = server.client()
    body = pattern(100_000)
    puts = request("PUT", "/echo?lane=streaming", "Content-Length: 100000", body=body)
    gets = [request("GET", f"/hello?n={n}") for n in range(20)]

    client.send(puts + b"".join(gets))

    assert client.answer().body == body
    assert [client.answer().body for _ in gets] == [f"hello {n}".encode() for n in range(20)]


def test_a_new_certificate_is_shown_to_new_connections_and_open_ones_go_on(
    server: Running, authority: Authority, files: CertificateFiles
) -> None:
    before = server.client()
    assert before.get("/hello").status == 200

    authority.issue("renewed", into=files)

    def is_renewed() -> bool:
        client = server.new_client()
        try:
            return shown(client) == "renewed"
        finally:
            client.close()

    eventually(is_renewed)
    assert shown(before) == "server"
    assert before.get("/hello?n=2").body == b"hello 2"


def test_a_pair_that_does_not_fit_keeps_the_old_one_and_says_so(
    server: Running, authority: Authority, files: CertificateFiles, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = authority.issue("stranger")

    with caplog.at_level(logging.ERROR, "penstock.server"):
        files.key.write_bytes(stranger.key.read_bytes())
        eventually(lambda: "tls.kept_old" in caplog.text)
    assert shown(server.client()) == "server"

    files.cert.write_bytes(stranger.cert.read_bytes())

    def is_strange() -> bool:
        client = server.new_client()
        try:
            return shown(client) == "stranger"
        finally:
            client.close()

    eventually(is_strange)


def test_clients_show_a_certificate_where_an_authority_for_them_is_named(
    tmp_path: Path, authority: Authority, files: CertificateFiles
) -> None:
    theirs = Authority(tmp_path / "clients", "clients")
    tls = TlsSettings(cert=files.cert, key=files.key, client_ca=theirs.ca)
    with running(tmp_path, SETTINGS, tls=tls, ca=authority.ca) as server:
        known, foreign = theirs.issue("known"), authority.issue("foreign")
        for each in (None, foreign):
            context = ssl.create_default_context(cafile=authority.ca)
            if each is not None:
                context.load_cert_chain(each.cert, each.key)
            # With TLS 1.3 the refusal comes after the client's part of the handshake.
            with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
                _ask(server, context)

        context = ssl.create_default_context(cafile=authority.ca)
        context.load_cert_chain(known.cert, known.key)

        assert _ask(server, context).status == 200
        assert len(server.application.runs) == 1


def _ask(server: Running, context: ssl.SSLContext) -> Answer:
    client = Client(server.address, tls=context)
    server.clients.append(client)
    return client.get("/hello")
