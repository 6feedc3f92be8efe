"""Roles allow what they list, in the buckets they are limited to, and nothing else."""

import pytest

from dataplane.auth.identity import ALLOWED, Credential, Identity, Role, authorise
from dataplane.wire.operations import Action, Operation
from dataplane.wire.refusals import AccessDenied
from dataplane.wire.served_operations import SERVED


def identity(role: Role, buckets: frozenset[str] | None = None) -> Identity:
    return Identity(name="n", account_id=1, account="main", role=role, buckets=buckets)


READING = frozenset({"GET", "HEAD"})


@pytest.mark.parametrize("operation", SERVED, ids=lambda each: each.name)
def test_a_reader_changes_nothing(operation: Operation) -> None:
    assert operation.action is not None

    if operation.method not in READING:
        with pytest.raises(AccessDenied):
            authorise(identity(Role.READER), operation.action, "bucket")
    else:
        authorise(identity(Role.READER), operation.action, "bucket")


@pytest.mark.parametrize("action", [Action.CREATE_BUCKET, Action.DELETE_BUCKET, Action.PUT_VERSIONING])
def test_a_writer_makes_removes_and_changes_no_buckets(action: Action) -> None:
    with pytest.raises(AccessDenied):
        authorise(identity(Role.WRITER), action, "bucket")


@pytest.mark.parametrize("action", [Action.PUT_OBJECT, Action.DELETE_OBJECT, Action.GET_OBJECT])
def test_a_writer_reads_and_writes(action: Action) -> None:
    authorise(identity(Role.WRITER), action, "bucket")


@pytest.mark.parametrize("action", list(Action))
def test_a_superuser_may_do_everything(action: Action) -> None:
    authorise(identity(Role.SUPERUSER), action, "bucket")


@pytest.mark.parametrize("role", list(Role))
def test_a_bucket_list_limits_every_role(role: Role) -> None:
    limited = identity(role, frozenset({"mine"}))

    authorise(limited, Action.GET_OBJECT, "mine")
    with pytest.raises(AccessDenied):
        authorise(limited, Action.GET_OBJECT, "theirs")


@pytest.mark.parametrize("role", list(Role))
def test_an_empty_bucket_list_opens_no_bucket(role: Role) -> None:
    with pytest.raises(AccessDenied):
        authorise(identity(role, frozenset()), Action.GET_OBJECT, "any")


def test_every_role_says_what_it_allows() -> None:
    assert set(ALLOWED) == set(Role)


def test_a_credential_never_shows_its_secret() -> None:
    credential = Credential(access_key_id="AK", secret="hush", identity=identity(Role.READER))

    assert "hush" not in repr(credential)
