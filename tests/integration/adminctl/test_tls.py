"""`adminctl` over TLS: whom it trusts, what it shows, and what it says where the other side speaks otherwise."""

from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest

from tests.integration.adminctl.running import adminctl
from tests.support.certificates import Authority, CertificateFiles
from tests.support.control import TOKENS, RunningPlane, write_config

OWNERS = "admin_certificates:\n  - {name: ops, role: operator, common_name: ops}\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def own(authority: Authority) -> CertificateFiles:
    return authority.issue("ops")


@pytest.fixture(scope="module")
def plane(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlane]:
    """A control plane that asks for certificates, or tokens."""
    config = write_config(tmp_path_factory.mktemp("plane"), extra=OWNERS)
    server = authority.issue("server")
    tls = f"control_tls: {{cert: {server.cert}, key: {server.key}, client_ca: {authority.ca}}}"
    config.write_text(config.read_text().replace('metrics: "127.0.0.1:0"', f'metrics: "127.0.0.1:0", {tls}'))
    with RunningPlane(config) as running:
        yield running


def test_a_certificate_stands_for_its_owner(
    plane: RunningPlane, authority: Authority, own: CertificateFiles
) -> None:
    shown = ("--ca", str(authority.ca), "--cert", str(own.cert), "--key", str(own.key))

    done = adminctl("--address", plane.tcp_address, *shown, "whoami")

    assert (done.returncode, done.stderr) == (0, "")
    assert "operator" in done.stdout


def test_a_context_remembers_all_of_it(
    plane: RunningPlane, authority: Authority, own: CertificateFiles, tmp_path: Path
) -> None:
    home = {"HOME": str(tmp_path)}
    made = adminctl(
        *("context", "set", "here", "--endpoint", f"https://{plane.tcp_address}"),
        *("--ca", str(authority.ca), "--cert", str(own.cert), "--key", str(own.key)),
        environ=home,
    )

    done = adminctl("whoami", environ=home)
    tested = adminctl("context", "test", environ=home)

    assert made.returncode == 0
    assert (done.returncode, tested.returncode) == (0, 0), done.stderr
    assert ["tls", "yes"] in [line.split() for line in tested.stdout.splitlines()]


def test_who_is_not_trusted_gets_no_token(plane: RunningPlane, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", "other")

    done = adminctl(
        *("--address", plane.tcp_address, "--ca", str(other.ca), "backend", "list"),
        environ={"PENSTOCK_TOKEN": TOKENS["admin"]},
    )

    assert (done.returncode, done.stdout) == (6, "")
    assert "error: UNAVAILABLE: no connection" in done.stderr


def test_in_the_clear_it_says_that_the_other_side_may_speak_tls(plane: RunningPlane) -> None:
    done = adminctl(
        *("--address", plane.tcp_address, "backend", "list"), environ={"PENSTOCK_TOKEN": TOKENS["admin"]}
    )

    assert (done.returncode, done.stdout) == (6, "")
    assert "--ca" in done.stderr


def test_a_server_that_knows_no_such_method_is_told_to_be_too_old() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        done = adminctl("--address", f"127.0.0.1:{port}", "status")
    finally:
        server.stop(0).wait()

    assert (done.returncode, done.stdout) == (1, "")
    assert "UNIMPLEMENTED" in done.stderr
    assert "too old" in done.stderr
