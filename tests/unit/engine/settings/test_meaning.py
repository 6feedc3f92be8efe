"""What must hold between values: names used once, copies within failure domains, volumes apart from each other."""

import hashlib
from pathlib import Path

import pytest

from tests.unit.engine.settings.conftest import MINIMAL, Load, Refused

SECOND_VOLUME = "  - {name: v2, kind: volume, path: v2}\n"
IDENTITY = (
    "  - {{name: {name}, account: main, access_key_id: {key}, role: {role}, "
    "secret_access_key: 0123456789abcdefghij}}\n"
)


def test_volumes_on_one_disk_are_one_failure_domain(refused: Refused) -> None:
    ((line, path, message),) = refused(MINIMAL + SECOND_VOLUME + "storage: {default_scheme: copies(2)}\n")

    assert (line, path) == (14, "storage.default_scheme")
    assert "there is 1" in message
    assert "v1, v2" in message


def test_volumes_on_one_disk_may_be_said_to_fail_apart(load: Load) -> None:
    text = MINIMAL + "    failure_domain: a\n" + SECOND_VOLUME.replace("}", ", failure_domain: b}")

    settings = load(text + "storage: {default_scheme: copies(2)}\n")

    assert [each.failure_domain for each in settings.live.backends] == ["a", "b"]


def test_a_volume_elsewhere_is_a_failure_domain_of_its_own(load: Load, folder: Path) -> None:
    other = Path("/dev/shm")
    if other.stat().st_dev == folder.stat().st_dev:
        pytest.skip("only one file system here")

    settings = load(
        MINIMAL
        + f"  - {{name: v2, kind: volume, path: {other}/v2}}\nstorage: {{default_scheme: copies(2)}}\n"
    )

    assert [each.failure_domain for each in settings.live.backends] == ["n1/disk-of-v1", "n1/disk-of-v2"]


def test_a_bucket_asks_for_no_more_copies_than_there_are_domains(refused: Refused) -> None:
    assert refused(MINIMAL + "buckets: [{name: abc, account: main, scheme: copies(3)}]\n")[0][:2] == (
        13,
        "buckets[0].scheme",
    )


def test_the_write_quorum_is_within_the_copies(refused: Refused) -> None:
    assert refused(MINIMAL + "storage: {write_quorum: 2}\n")[0][:2] == (13, "storage.write_quorum")


@pytest.mark.parametrize("path", ["v1", "v1/inner", ".", "./v1/../v1"])
def test_volumes_that_overlap_are_refused(refused: Refused, path: str) -> None:
    assert refused(MINIMAL + f"  - {{name: v2, kind: volume, path: {path}}}\n")[0][:2] == (
        13,
        "backends[1].path",
    )


def test_a_volume_behind_a_symbolic_link_is_recognised(refused: Refused, folder: Path) -> None:
    (folder / "v1").mkdir()
    (folder / "alias").symlink_to("v1")

    assert refused(MINIMAL + "  - {name: v2, kind: volume, path: alias}\n")[0][1] == "backends[1].path"


def test_backends_in_memory_ask_for_debugging(load: Load, refused: Refused) -> None:
    text = MINIMAL + "  - {name: m, kind: memory}\n"

    assert refused(text)[0][:2] == (13, "backends[1].kind")
    assert load(text + "debug: {allowed: true}\n").live.backends[1].kind == "memory"


def test_a_volume_of_another_node_is_refused(refused: Refused) -> None:
    ((line, _, message),) = refused(MINIMAL + "    node: n2\n")

    assert line == 13
    assert "n1" in message


def test_a_volume_has_a_path_and_memory_has_none(refused: Refused) -> None:
    problems = refused(
        MINIMAL
        + "  - {name: v2, kind: volume}\n  - {name: m, kind: memory, path: x}\ndebug: {allowed: true}\n"
    )

    assert [(line, path) for line, path, _ in problems] == [(13, "backends[1]"), (14, "backends[2]")]


def test_names_and_access_keys_stand_once(refused: Refused) -> None:
    text = (
        MINIMAL
        + "  - {name: v1, kind: volume, path: v2}\n"
        + "identities:\n"
        + IDENTITY.format(name="a", key="AKIA1", role="writer")
        + IDENTITY.format(name="a", key="AKIA1", role="reader")
        + "buckets: [{name: abc, account: x}, {name: abc, account: y}]\n"
    )

    assert [(line, path) for line, path, _ in refused(text)] == [
        (13, "backends[1].name"),
        (16, "identities[1].name"),
        (16, "identities[1].access_key_id"),
        (17, "buckets[1].name"),
    ]


@pytest.mark.parametrize("role", ["admin", "Superuser", "''", "[reader]"])
def test_roles_of_identities_are_the_three(refused: Refused, role: str) -> None:
    text = MINIMAL + "identities:\n" + IDENTITY.format(name="a", key="AKIA1", role=role)

    assert refused(text) == [(14, "identities[0].role", "expected reader or writer or superuser")]


def test_an_identity_without_account_is_refused(refused: Refused) -> None:
    text = MINIMAL + "identities:\n" + IDENTITY.format(name="a", key="AKIA1", role="reader")

    assert refused(text.replace("account: main, ", "")) == [(14, "identities[0].account", "is required")]


def test_a_superuser_is_held_to_no_buckets(refused: Refused) -> None:
    text = MINIMAL + "identities:\n" + IDENTITY.format(name="a", key="AKIA1", role="superuser")

    assert refused(text.replace("role:", "buckets: [abc], role:"))[0][1] == "identities[0].buckets"


@pytest.mark.parametrize("sha256", ["secret-token", "AB" * 32, "ab" * 31, "''", "12"])
def test_an_admin_token_is_given_by_its_digest_only(refused: Refused, sha256: str) -> None:
    ((line, path, message),) = refused(
        MINIMAL + f"admin_tokens: [{{name: a, role: admin, sha256: {sha256}}}]\n"
    )

    assert (line, path) == (13, "admin_tokens[0].sha256")
    assert "never the token itself" in message


def test_the_digest_of_a_default_token_is_refused(refused: Refused) -> None:
    digest = hashlib.sha256(b"admin").hexdigest()

    assert refused(MINIMAL + f"admin_tokens: [{{name: a, role: admin, sha256: {digest}}}]\n")[0][:2] == (
        13,
        "admin_tokens[0].sha256",
    )


@pytest.mark.parametrize("scopes", ["[]", "[Worker]", '["*"]', "[X/Y/Z]", "['X/Get[A-Z]']", "X/*", "[1]"])
def test_scopes_are_methods_and_not_none_at_all(refused: Refused, scopes: str) -> None:
    token = f"{{name: a, role: admin, sha256: {'ab' * 32}, scopes: {scopes}}}"

    ((line, path, _),) = refused(MINIMAL + f"admin_tokens: [{token}]\n")

    assert line == 13
    assert path.startswith("admin_tokens[0].scopes")


CERTIFICATES = "admin_certificates:\n  - {{name: a, role: viewer, {}}}\n"


def test_certificates_ask_for_an_authority_of_clients(refused: Refused) -> None:
    ((line, path, message),) = refused(MINIMAL + CERTIFICATES.format("common_name: monitor"))

    assert (line, path) == (13, "admin_certificates")
    assert "listen.control_tls.client_ca" in message


@pytest.mark.parametrize(
    ("names", "path"),
    [
        ("scopes: [X/*]", "admin_certificates[0]"),
        ('common_name: monitor, uri: "spiffe://example.org/ops"', "admin_certificates[0]"),
        ("common_name: monitor, scopes: []", "admin_certificates[0].scopes"),
        ("uri: ops", "admin_certificates[0].uri"),
        ("common_name: ''", "admin_certificates[0].common_name"),
        (
            "common_name: monitor}\n  - {name: b, role: admin, common_name: monitor",
            "admin_certificates[1].common_name",
        ),
        (
            "common_name: monitor}\n  - {name: a, role: admin, common_name: other",
            "admin_certificates[1].name",
        ),
    ],
)
def test_a_certificate_is_one_owners_by_one_name(refused: Refused, names: str, path: str) -> None:
    assert path in [found for _, found, _ in refused(MINIMAL + CERTIFICATES.format(names))]


@pytest.mark.parametrize("expires", ["2027-01-31", "2027-01-31T00:00:00", "soon", "1800000000", "''"])
def test_a_token_ends_at_a_moment_with_a_zone(refused: Refused, expires: str) -> None:
    token = f"{{name: a, role: admin, sha256: {'ab' * 32}, expires: {expires}}}"

    ((line, path, message),) = refused(MINIMAL + f"admin_tokens: [{token}]\n")

    assert (line, path) == (13, "admin_tokens[0].expires")
    assert "2027-01-31T00:00:00Z" in message


def test_bucket_names_follow_s3(refused: Refused) -> None:
    assert refused(MINIMAL + "buckets: [{name: Not_One, account: x}]\n")[0][:2] == (13, "buckets[0].name")
