"""TLS at the control API: whose certificate stands for whom, renewals without a restart, and nobody comes in plain."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from penstock.admin.v1 import (
    identity_service_pb2,
    identity_service_pb2_grpc,
    system_service_pb2,
    system_service_pb2_grpc,
    worker_service_pb2,
    worker_service_pb2_grpc,
)

from engine.metadata.identities import apply_admin_token
from tests.support.certificates import Authority, CertificateFiles
from tests.support.control import RunningPlane, bearer, failure, wait_until, write_config

OPS = "spiffe://example.org/ops"
OWNERS = f"""
admin_certificates:
  - {{name: ops, role: operator, uri: "{OPS}"}}
  - {{name: watch, role: viewer, common_name: monitor, scopes: ["SystemService/*", "IdentityService/GetCaller"]}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder / "authority")


@pytest.fixture(scope="module")
def clients(folder: Path) -> Authority:
    return Authority(folder / "clients", "clients")


def write_tls_config(
    folder: Path, served: CertificateFiles, *, client_ca: Path | None, extra: str = ""
) -> Path:
    config = write_config(folder, extra=extra)
    ca = "" if client_ca is None else f", client_ca: {client_ca}"
    text = config.read_text()
    tls = f"control_tls: {{cert: {served.cert}, key: {served.key}{ca}}}"
    config.write_text(text.replace('metrics: "127.0.0.1:0"', f'metrics: "127.0.0.1:0", {tls}'))
    return config


@contextmanager
def connected(plane: RunningPlane, ca: Path, own: CertificateFiles | None = None) -> Iterator[grpc.Channel]:
    """A channel of its own: gRPC shares connections between channels that look alike."""
    pair = (
        {}
        if own is None
        else {"private_key": own.key.read_bytes(), "certificate_chain": own.cert.read_bytes()}
    )
    credentials = grpc.ssl_channel_credentials(ca.read_bytes(), **pair)
    options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(plane.tcp_address, credentials, options=options) as channel:
        yield channel


def get_version(channel: grpc.Channel, metadata: tuple[tuple[str, str], ...] = ()) -> str:
    stub = system_service_pb2_grpc.SystemServiceStub(channel)
    request = system_service_pb2.GetVersionRequest()
    return stub.GetVersion(request, metadata=metadata, timeout=10).version


def whoami(channel: grpc.Channel, metadata: tuple[tuple[str, str], ...] = ()) -> str:
    stub = identity_service_pb2_grpc.IdentityServiceStub(channel)
    answer = stub.GetCaller(identity_service_pb2.GetCallerRequest(), metadata=metadata, timeout=10)
    return answer.caller


def trigger(channel: grpc.Channel) -> object:
    stub = worker_service_pb2_grpc.WorkerServiceStub(channel)
    return stub.TriggerWorker(worker_service_pb2.TriggerWorkerRequest(name="workers/cleanup"), timeout=10)


@pytest.fixture(scope="module")
def plane(folder: Path, authority: Authority, clients: Authority) -> Iterator[RunningPlane]:
    config = write_tls_config(
        folder / "mutual", authority.issue("server"), client_ca=clients.ca, extra=OWNERS
    )
    with RunningPlane(config) as plane:
        yield plane


def test_a_token_works_over_tls_and_not_in_the_clear(folder: Path, authority: Authority) -> None:
    config = write_tls_config(folder / "plain", authority.issue("one-way"), client_ca=None)
    with RunningPlane(config) as plane:
        with connected(plane, authority.ca) as channel:
            assert get_version(channel, bearer("viewer"))
            stranger = failure(lambda: get_version(channel))
        with plane.channel() as channel:
            clear = failure(lambda: get_version(channel, bearer("viewer")))

    assert stranger.code is grpc.StatusCode.UNAUTHENTICATED
    assert clear.code is grpc.StatusCode.UNAVAILABLE


def test_a_certificate_stands_for_its_owner_by_its_uri(
    plane: RunningPlane, authority: Authority, clients: Authority
) -> None:
    with connected(plane, authority.ca, clients.issue("anything", uri=OPS)) as channel:
        assert whoami(channel) == "ops"
        assert trigger(channel)


def test_a_certificate_stands_for_its_owner_by_its_name_within_its_scopes(
    plane: RunningPlane, authority: Authority, clients: Authority
) -> None:
    with connected(plane, authority.ca, clients.issue("monitor")) as channel:
        assert whoami(channel) == "watch"
        refused = failure(lambda: trigger(channel))

    assert (refused.code, refused.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE")


@pytest.mark.parametrize(
    ("name", "uri"), [("nobody", None), ("nobody", OPS + "/deeper"), ("nobody", OPS.upper()), ("ops", None)]
)
def test_a_certificate_of_nobody_is_a_strangers(
    plane: RunningPlane, authority: Authority, clients: Authority, name: str, uri: str | None
) -> None:
    with connected(plane, authority.ca, clients.issue(name, uri=uri)) as channel:
        refused = failure(lambda: get_version(channel))

    assert refused.code is grpc.StatusCode.UNAUTHENTICATED


def test_a_token_counts_before_the_certificate(
    plane: RunningPlane, authority: Authority, clients: Authority
) -> None:
    with connected(plane, authority.ca, clients.issue("monitor")) as channel:
        assert whoami(channel, bearer("admin")) == "admin-1"
        refused = failure(lambda: get_version(channel, (("authorization", "Bearer wrong"),)))

    assert refused.code is grpc.StatusCode.UNAUTHENTICATED


def test_without_a_certificate_of_the_right_authority_nobody_is_heard(
    plane: RunningPlane, authority: Authority
) -> None:
    for own in (None, authority.issue("monitor")):
        with connected(plane, authority.ca, own) as channel:
            refused = failure(lambda: get_version(channel, bearer("admin")))
            assert refused.code is grpc.StatusCode.UNAVAILABLE


def test_a_renewed_certificate_is_shown_and_a_bad_one_is_not(
    folder: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="penstock.control")
    served = authority.issue("renewed")
    successor = Authority(folder / "successor", "successor")

    def told(event: str) -> bool:
        return any(record.getMessage() == event for record in caplog.records)

    config = write_tls_config(folder / "renewing", served, client_ca=None)
    with RunningPlane(config) as plane, connected(plane, authority.ca) as open_all_along:
        assert get_version(open_all_along, bearer("viewer"))

        served.cert.write_bytes(b"half of a certifi")
        wait_until(lambda: told("tls.kept_old"), "the complaint")
        with connected(plane, authority.ca) as channel:
            assert get_version(channel, bearer("viewer"))

        successor.issue("renewed", into=served)
        wait_until(lambda: told("tls.renewed"), "the renewal")
        with connected(plane, successor.ca) as channel:
            assert get_version(channel, bearer("viewer"))
        with connected(plane, authority.ca) as channel:
            assert failure(lambda: get_version(channel, bearer("viewer"))).code is grpc.StatusCode.UNAVAILABLE
        assert get_version(open_all_along, bearer("viewer"))


def test_the_first_token_opens_the_network(tmp_path: Path) -> None:
    with RunningPlane(write_config(tmp_path, tokens=False)) as plane:
        assert plane.plane.tcp_port is None
        plane.opened.store.write(
            lambda tx: apply_admin_token(tx, name="first", role="viewer", sha256=b"h" * 32)
        )
        wait_until(lambda: plane.plane.tcp_port is not None, "the listener")
        with plane.channel() as channel:
            assert failure(lambda: get_version(channel)).code is grpc.StatusCode.UNAUTHENTICATED
