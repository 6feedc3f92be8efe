"""IdentityService: who may do what is made, told once, switched off and on, and taken away through the API."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from penstock.admin.v1 import (
    identity_pb2,
    identity_service_pb2,
    identity_service_pb2_grpc,
    origin_pb2,
    roles_pb2,
    system_service_pb2,
)

from engine.deployment.opening import OpenDeployment, open_deployment
from engine.errors import InvalidConfig
from tests.integration.controlplane.clients import Client
from tests.support.control import RunningPlane, bearer, failure, wait_until, write_config

pb = identity_service_pb2

CONFIGURED = """\
identities:
  - {name: file, account: main, access_key_id: AKIAFILE, secret_access_key: "kept-to-itself-01234", role: superuser}
"""


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RunningPlane]:
    with RunningPlane(write_config(tmp_path, extra=CONFIGURED)) as plane:
        yield plane


@pytest.fixture
def dataplane(plane: RunningPlane) -> Iterator[OpenDeployment]:
    """Another process of the deployment, as it serves clients."""
    opened = open_deployment(plane.config, {}, plane="dataplane", version="1")
    yield opened
    opened.close()


def identity(name: str = "alice", **fields: Any) -> identity_pb2.Identity:
    wanted = identity_pb2.Identity(
        name=f"identities/{name}", account="accounts/main", role=identity_pb2.IDENTITY_ROLE_WRITER
    )
    wanted.MergeFrom(identity_pb2.Identity(**fields))
    return wanted


def create(
    client: Client, wanted: identity_pb2.Identity | None = None, **options: Any
) -> identity_pb2.Identity:
    request = pb.CreateIdentityRequest(identity=wanted or identity(), **options)
    made: identity_pb2.Identity = client("identity", request).identity
    return made


def update(client: Client, wanted: identity_pb2.Identity, *paths: str) -> identity_pb2.Identity:
    request = pb.UpdateIdentityRequest(identity=wanted)
    request.update_mask.paths.extend(paths)
    changed: identity_pb2.Identity = client("identity", request).identity
    return changed


def create_key(client: Client, name: str = "alice", **fields: Any) -> Any:
    return client("identity", pb.CreateAccessKeyRequest(identity=f"identities/{name}", **fields))


def update_key(client: Client, key: identity_pb2.AccessKey, *paths: str) -> identity_pb2.AccessKey:
    request = pb.UpdateAccessKeyRequest(access_key=key)
    request.update_mask.paths.extend(paths)
    changed: identity_pb2.AccessKey = client("identity", request).access_key
    return changed


def token(name: str = "ci", **fields: Any) -> identity_pb2.AdminToken:
    wanted = identity_pb2.AdminToken(name=f"adminTokens/{name}", role=roles_pb2.ROLE_OPERATOR)
    wanted.MergeFrom(identity_pb2.AdminToken(**fields))
    return wanted


# --- accounts and identities ---


def test_an_account_is_made_once(client: Client) -> None:
    wanted = identity_pb2.Account(name="accounts/Team_1@x")
    request = pb.CreateAccountRequest(account=wanted)

    trial = client("identity", pb.CreateAccountRequest(account=wanted, validate_only=True)).account
    made = client("identity", request).account
    again = failure(lambda: client("identity", request))
    listed = client("identity", pb.ListAccountsRequest()).accounts

    assert trial.name == made.name == "accounts/Team_1@x"
    assert made.origin == origin_pb2.ORIGIN_API
    assert (again.code, again.reason) == (grpc.StatusCode.ALREADY_EXISTS, "RESOURCE_EXISTS")
    assert [each.name for each in listed] == ["accounts/Team_1@x", "accounts/main"]


def test_an_identity_is_made_seen_changed_and_deleted(client: Client) -> None:
    made = create(client, identity(buckets=["buckets/photos", "buckets/films"]))
    got = client("identity", pb.GetIdentityRequest(name="identities/alice")).identity
    off = update(client, identity_pb2.Identity(name="identities/alice", disabled=True), "disabled", "buckets")
    client("identity", pb.DeleteIdentityRequest(name="identities/alice", validate_only=True))
    client("identity", pb.DeleteIdentityRequest(name="identities/alice", etag=off.etag))
    missing = failure(lambda: client("identity", pb.GetIdentityRequest(name="identities/alice")))

    assert made == got
    assert (made.account, list(made.buckets)) == ("accounts/main", ["buckets/photos", "buckets/films"])
    assert (off.disabled, list(off.buckets), off.role) == (True, [], identity_pb2.IDENTITY_ROLE_WRITER)
    assert missing.code == grpc.StatusCode.NOT_FOUND


def test_a_trial_makes_nothing(client: Client) -> None:
    create(client, validate_only=True)

    assert failure(lambda: create_key(client)).code == grpc.StatusCode.NOT_FOUND


def test_identities_of_both_origins_are_listed(client: Client) -> None:
    create(client)

    listed = client("identity", pb.ListIdentitiesRequest(page_size=1))
    rest = client("identity", pb.ListIdentitiesRequest(page_token=listed.next_page_token))

    told = [(each.name, each.origin, each.configured) for each in (*listed.identities, *rest.identities)]
    assert told == [
        ("identities/alice", origin_pb2.ORIGIN_API, False),
        ("identities/file", origin_pb2.ORIGIN_CONFIG, True),
    ]


@pytest.mark.parametrize(
    ("wanted", "at_fault"),
    [
        (identity(name="identities/Alice"), "identity.name"),
        (identity(name="identities/-"), "identity.name"),
        (identity(account="main"), "identity.account"),
        (identity_pb2.Identity(name="identities/a", account="accounts/main"), "identity.role"),
        (identity(role=77), "identity.role"),
        (identity(buckets=["photos"]), "identity.buckets"),
        (identity(buckets=["buckets/No"]), "identity.buckets"),
        (identity(buckets=[f"buckets/b{n:03}" for n in range(101)]), "identity.buckets"),
        (identity(expire_time=Timestamp(seconds=-1)), "identity.expire_time"),
        (identity(expire_time=Timestamp(seconds=1 << 60)), "identity.expire_time"),
    ],
)
def test_a_malformed_identity_is_refused_by_field(
    client: Client, wanted: identity_pb2.Identity, at_fault: str
) -> None:
    refused = failure(lambda: create(client, wanted))

    assert (refused.code, list(refused.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, [at_fault])


def test_what_the_configuration_names_is_refused_by_name(client: Client) -> None:
    for call in (
        lambda: update(client, identity_pb2.Identity(name="identities/file", disabled=True), "disabled"),
        lambda: client("identity", pb.DeleteIdentityRequest(name="identities/file")),
        lambda: create_key(client, "file"),
        lambda: client("identity", pb.DeleteAccessKeyRequest(name="accessKeys/AKIAFILE")),
        lambda: client("identity", pb.DeleteAdminTokenRequest(name="adminTokens/admin-1")),
    ):
        refused = failure(call)
        assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "OWNED_BY_CONFIG")


def test_the_configuration_does_not_take_the_name_of_an_identity_made_by_a_call(
    plane: RunningPlane, client: Client
) -> None:
    create(client)
    plane.stop()
    plane.config.write_text(plane.config.read_text().replace("name: file,", "name: alice,"))

    with pytest.raises(InvalidConfig, match=r"'alice' was made through the API"):
        RunningPlane(plane.config)


# --- access keys ---


def test_a_secret_is_told_once_and_opens_in_every_process(client: Client, dataplane: OpenDeployment) -> None:
    create(client, identity(buckets=["buckets/photos"]))

    made = create_key(client)

    credential = dataplane.find_identity(made.access_key.access_key_id)
    assert credential is not None
    assert (credential.secret, credential.identity, credential.role) == (
        made.secret_access_key,
        "alice",
        "writer",
    )
    assert credential.buckets == frozenset({"photos"})
    listed = client("identity", pb.ListAccessKeysRequest(identity="identities/alice"))
    assert list(listed.access_keys) == [made.access_key]
    assert made.secret_access_key not in str(listed)


@pytest.mark.parametrize("how", ["disabled", "expired", "deleted", "identity disabled"])
def test_a_key_that_was_taken_away_is_none_in_other_processes_within_seconds(
    client: Client, dataplane: OpenDeployment, how: str
) -> None:
    create(client)
    key = create_key(client).access_key
    assert dataplane.find_identity(key.access_key_id) is not None

    if how == "disabled":
        update_key(client, identity_pb2.AccessKey(name=key.name, disabled=True), "disabled")
    elif how == "expired":
        past = Timestamp(seconds=1_000_000)
        update_key(client, identity_pb2.AccessKey(name=key.name, expire_time=past), "expire_time")
    elif how == "deleted":
        client("identity", pb.DeleteAccessKeyRequest(name=key.name))
    else:
        update(client, identity_pb2.Identity(name="identities/alice", disabled=True), "disabled")

    wait_until(lambda: dataplane.find_identity(key.access_key_id) is None, "the key to be forgotten")


def test_keys_are_rotated_without_a_gap(client: Client, dataplane: OpenDeployment) -> None:
    create(client)
    first, second = create_key(client).access_key, create_key(client).access_key

    both = [dataplane.find_identity(each.access_key_id) is not None for each in (first, second)]
    off = update_key(client, identity_pb2.AccessKey(name=first.name, disabled=True), "disabled")
    on_again = update_key(client, identity_pb2.AccessKey(name=first.name), "disabled")

    assert both == [True, True]
    assert (off.disabled, off.usable) == (True, False)
    assert (on_again.disabled, on_again.usable) == (False, True)


def test_a_repeat_with_the_same_request_id_makes_no_second_key(client: Client) -> None:
    create(client)
    create(client, identity("bob"))
    request_id = "0e7c0e0e-0000-4000-8000-000000000001"

    first = create_key(client, request_id=request_id)
    again = failure(lambda: create_key(client, request_id=request_id))
    of_another = create_key(client, "bob", request_id=request_id)

    assert (again.code, again.reason) == (grpc.StatusCode.ALREADY_EXISTS, "RESOURCE_EXISTS")
    assert first.access_key.name in again.text
    assert first.secret_access_key not in again.text
    assert of_another.access_key.name != first.access_key.name


@pytest.mark.parametrize("request_id", ["short", "x" * 65, "with blanks in it, sixteen"])
def test_a_malformed_request_id_is_refused(client: Client, request_id: str) -> None:
    create(client)

    refused = failure(lambda: create_key(client, request_id=request_id))

    assert list(refused.fields) == ["request_id"]


# --- tokens ---


def call_with(plane: RunningPlane, given: str) -> grpc.StatusCode:
    """What a call of a viewer's method with that token comes to."""
    from penstock.admin.v1 import system_service_pb2_grpc

    with plane.channel() as channel:
        stub = system_service_pb2_grpc.SystemServiceStub(channel)
        try:
            stub.GetVersion(
                system_service_pb2.GetVersionRequest(),
                metadata=(("authorization", f"Bearer {given}"),),
                timeout=10,
            )
        except grpc.RpcError as error:
            assert isinstance(error, grpc.Call)
            return error.code()
        return grpc.StatusCode.OK


def test_a_token_works_until_it_is_switched_off_or_gone(plane: RunningPlane, client: Client) -> None:
    made = client("identity", pb.CreateAdminTokenRequest(admin_token=token()))
    assert call_with(plane, made.token) == grpc.StatusCode.OK

    request = pb.UpdateAdminTokenRequest(admin_token=token(disabled=True))
    request.update_mask.paths.append("disabled")
    client("identity", request)
    assert call_with(plane, made.token) == grpc.StatusCode.UNAUTHENTICATED
    request.admin_token.disabled = False
    client("identity", request)
    assert call_with(plane, made.token) == grpc.StatusCode.OK
    client("identity", pb.DeleteAdminTokenRequest(name="adminTokens/ci"))
    assert call_with(plane, made.token) == grpc.StatusCode.UNAUTHENTICATED


def test_tokens_are_listed_without_what_they_are(client: Client) -> None:
    made = client("identity", pb.CreateAdminTokenRequest(admin_token=token(scopes=["BucketService/*"])))
    again = failure(lambda: client("identity", pb.CreateAdminTokenRequest(admin_token=token())))

    listed = client("identity", pb.ListAdminTokensRequest())

    assert [(each.name, each.configured) for each in listed.admin_tokens] == [
        ("adminTokens/admin-1", True),
        ("adminTokens/ci", False),
        ("adminTokens/operator-1", True),
        ("adminTokens/viewer-1", True),
    ]
    assert listed.admin_tokens[1] == made.admin_token
    assert made.token not in str(listed)
    assert again.code == grpc.StatusCode.ALREADY_EXISTS


@pytest.mark.parametrize(
    ("wanted", "at_fault"),
    [
        (token(name="adminTokens/CI"), "admin_token.name"),
        (identity_pb2.AdminToken(name="adminTokens/ci"), "admin_token.role"),
        (token(scopes=["everything"]), "admin_token.scopes"),
        (token(scopes=["*/Get?"]), "admin_token.scopes"),
        (token(expire_time=Timestamp(seconds=1_000)), "admin_token.expire_time"),
    ],
)
def test_a_malformed_token_is_refused_by_field(
    client: Client, wanted: identity_pb2.AdminToken, at_fault: str
) -> None:
    refused = failure(lambda: client("identity", pb.CreateAdminTokenRequest(admin_token=wanted)))

    assert (refused.code, list(refused.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, [at_fault])


def test_who_calls_is_told(plane: RunningPlane, client: Client) -> None:
    local = client("identity", pb.GetCallerRequest())
    with plane.channel() as channel:
        by_token = identity_service_pb2_grpc.IdentityServiceStub(channel).GetCaller(
            pb.GetCallerRequest(), metadata=bearer("operator"), timeout=10
        )

    assert (local.caller, local.role, list(local.scopes)) == ("local", roles_pb2.ROLE_ADMIN, [])
    assert (by_token.caller, by_token.role) == ("operator-1", roles_pb2.ROLE_OPERATOR)


def test_who_is_held_to_scopes_gives_nobody_others(plane: RunningPlane, client: Client) -> None:
    held = client(
        "identity",
        pb.CreateAdminTokenRequest(
            admin_token=token(role=roles_pb2.ROLE_ADMIN, scopes=["IdentityService/*", "*/Get*"])
        ),
    )
    client("identity", pb.CreateAdminTokenRequest(admin_token=token("wide", disabled=True)))
    metadata = (("authorization", f"Bearer {held.token}"),)
    with plane.channel() as channel:
        stub = identity_service_pb2_grpc.IdentityServiceStub(channel)
        narrow = pb.CreateAdminTokenRequest(admin_token=token("narrow", scopes=["*/Get*"]))
        stub.CreateAdminToken(narrow, metadata=metadata, timeout=10)
        widened = pb.UpdateAdminTokenRequest(admin_token=token("narrow"))
        widened.update_mask.paths.append("scopes")
        revived = pb.UpdateAdminTokenRequest(admin_token=token("wide"))
        revived.update_mask.paths.append("disabled")

        for call in (
            lambda: stub.CreateAdminToken(
                pb.CreateAdminTokenRequest(admin_token=token("free")), metadata=metadata, timeout=10
            ),
            lambda: stub.CreateAdminToken(
                pb.CreateAdminTokenRequest(admin_token=token("other", scopes=["*/*"])),
                metadata=metadata,
                timeout=10,
            ),
            lambda: stub.UpdateAdminToken(widened, metadata=metadata, timeout=10),
            lambda: stub.UpdateAdminToken(revived, metadata=metadata, timeout=10),
        ):
            refused = failure(call)
            assert (refused.code, refused.reason) == (
                grpc.StatusCode.PERMISSION_DENIED,
                "WIDER_THAN_CALLER",
            )


def test_secrets_are_in_no_log(plane: RunningPlane, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    create(client)

    secrets = [
        create_key(client).secret_access_key,
        client("identity", pb.CreateAdminTokenRequest(admin_token=token())).token,
    ]

    logged = "\n".join(str(record.__dict__) for record in caplog.records)
    assert "CreateAccessKey" in logged
    assert [each for each in secrets if each in logged] == []
