"""Identities, access keys and tokens as operators change them: guarded, and never those of the configuration."""

import json
from functools import partial

import pytest

from engine.errors import (
    EtagMismatch,
    InvalidConfig,
    MalformedField,
    NoSuchResource,
    OwnedByConfig,
    ResourceExists,
)
from engine.metadata import (
    access_keys,
    accounts,
    admin_tokens,
    generations,
    identities,
    identity_changes,
    keys,
)
from engine.metadata.access_keys import NewAccessKey, SeenAccessKey
from engine.metadata.admin_tokens import SeenToken, TokenField, TokenSettings
from engine.metadata.identity_changes import IdentityField, IdentitySettings, SeenIdentity
from engine.metadata.store import Store
from engine.records import Origin
from tests.support.metadata import START_US, SetClock, make_account

READER = IdentitySettings(role="reader", buckets=("photos",))
ALL = frozenset(IdentityField)


@pytest.fixture(autouse=True)
def ring_key(store: Store) -> None:
    store.write(
        partial(
            keys.insert_key,
            key_id=b"key-0",
            key_name="main",
            provider="file",
            wrapped_material=b"wrapped",
            state="primary",
            check_value=b"check",
        )
    )


def make(store: Store, name: str = "alice", settings: IdentitySettings = READER) -> SeenIdentity:
    account_id = make_account(store)
    return store.write(
        partial(identity_changes.make_identity, name=name, account_id=account_id, settings=settings)
    )


def make_key(
    store: Store, key: str = "KEY1", identity: str = "alice", *, expires_at_us: int | None = None
) -> SeenAccessKey:
    new = NewAccessKey(
        access_key_id=key, sealed_secret=b"sealed", key_id=b"key-0", expires_at_us=expires_at_us
    )
    return store.write(partial(access_keys.make_access_key, identity=identity, new=new))


def make_token(store: Store, name: str = "ops", settings: TokenSettings | None = None) -> SeenToken:
    settings = settings or TokenSettings(role="operator", scopes=("*/Get*",))
    return store.write(
        partial(admin_tokens.make_token, name=name, sha256=name.encode().ljust(32, b"-"), settings=settings)
    )


def configure(store: Store, *, named: bool = True) -> None:
    """A generation with the identity `bob` and the token `file`, or one that names neither."""
    account_id = make_account(store)
    document = {"identities": [{"name": "bob"}], "admin_tokens": [{"name": "file"}]} if named else {}
    store.write(
        partial(
            generations.commit_generation,
            document=json.dumps(document),
            file_digest=None,
            origin=Origin.CONFIG,
            author="file",
        )
    )
    if named:
        apply(store, account_id, "bob", "KEYBOB")
        store.write(
            partial(identities.apply_admin_token, name="file", role="admin", sha256=b"file".ljust(32, b"-"))
        )


def apply(store: Store, account_id: int, name: str, key: str) -> None:
    store.write(
        partial(
            identities.apply_identity,
            name=name,
            account_id=account_id,
            role="writer",
            buckets=None,
            access_key_id=key,
            sealed_secret=b"sealed",
            key_id=b"key-0",
        )
    )


def is_usable(store: Store, key: str = "KEY1") -> bool:
    return store.read(partial(access_keys.see_access_key, access_key_id=key)).is_usable


# --- identities ---


def test_an_identity_is_made_once_as_it_was_asked_for(store: Store) -> None:
    made = make(store)

    assert made == store.read(partial(identity_changes.see_identity, name="alice"))
    assert (made.account, made.settings, made.origin) == ("main", READER, Origin.API)
    assert (made.is_configured, made.created_at_us) == (False, START_US)
    with pytest.raises(ResourceExists):
        make(store)


def test_identities_come_in_pages_by_name(store: Store) -> None:
    for name in ("carol", "alice", "bob"):
        make(store, name)

    first = store.read(partial(identity_changes.see_identities, after="", count_max=2))
    rest = store.read(partial(identity_changes.see_identities, after="bob", count_max=2))

    assert [each.name for each in (*first, *rest)] == ["alice", "bob", "carol"]


def test_only_the_fields_that_are_named_change(store: Store) -> None:
    made = make(store)
    wanted = IdentitySettings(role="superuser", is_disabled=True, expires_at_us=START_US + 1)
    change = partial(identity_changes.change_identity, name="alice", settings=wanted)

    once = store.write(partial(change, fields=frozenset({IdentityField.DISABLED})))
    twice = store.write(partial(change, fields=ALL, etag=once.etag))

    assert (once.settings.role, once.settings.is_disabled) == ("reader", True)
    assert twice.settings == wanted
    assert len({made.etag, once.etag, twice.etag}) == 3
    with pytest.raises(EtagMismatch):
        store.write(partial(change, fields=ALL, etag=made.etag))
    with pytest.raises(EtagMismatch):
        store.write(partial(identity_changes.delete_identity, name="alice", etag=made.etag))


def test_an_identity_goes_with_its_keys_and_no_others(store: Store) -> None:
    make(store)
    make(store, "bob")
    for key in ("KEY1", "KEY2"):
        make_key(store, key)
    make_key(store, "KEY3", "bob")

    assert store.write(partial(identity_changes.delete_identity, name="alice")) == 2

    seen = store.read(partial(access_keys.see_access_keys, identity=None, after="", count_max=10))
    assert [each.access_key_id for each in seen] == ["KEY3"]
    with pytest.raises(NoSuchResource):
        store.read(partial(identity_changes.see_identity, name="alice"))


def test_what_the_configuration_names_is_refused(store: Store) -> None:
    configure(store)

    for refused in (
        partial(identity_changes.change_identity, name="bob", settings=READER, fields=ALL),
        partial(identity_changes.delete_identity, name="bob"),
        partial(access_keys.delete_access_key, access_key_id="KEYBOB"),
        partial(
            access_keys.change_access_key,
            access_key_id="KEYBOB",
            is_disabled=True,
            expires_at_us=None,
            sets_expiry=False,
        ),
    ):
        with pytest.raises(OwnedByConfig, match="identities/bob"):
            store.write(refused)
    with pytest.raises(OwnedByConfig):
        make_key(store, identity="bob")
    with pytest.raises(OwnedByConfig, match="adminTokens/file"):
        store.write(partial(admin_tokens.delete_token, name="file"))


def test_what_it_names_no_more_can_be_deleted(store: Store) -> None:
    configure(store)
    configure(store, named=False)

    assert store.write(partial(identity_changes.delete_identity, name="bob")) == 1
    store.write(partial(admin_tokens.delete_token, name="file"))


def test_the_configuration_takes_neither_name_nor_key_nor_token_of_a_call(store: Store) -> None:
    account_id = make_account(store)
    make(store)
    make_key(store)
    make_token(store)
    token = partial(identities.apply_admin_token, role="admin")

    with pytest.raises(InvalidConfig, match="alice"):
        apply(store, account_id, "alice", "OTHER")
    with pytest.raises(InvalidConfig, match=r"KEY1.*alice"):
        apply(store, account_id, "bob", "KEY1")
    with pytest.raises(InvalidConfig, match="ops"):
        store.write(partial(token, name="ops", sha256=b"x" * 32))
    with pytest.raises(InvalidConfig, match="ops"):
        store.write(partial(token, name="other", sha256=b"ops".ljust(32, b"-")))


def test_an_identity_that_comes_back_into_the_configuration_has_no_end_left(store: Store) -> None:
    configure(store)
    configure(store, named=False)
    ended = IdentitySettings(role="reader", is_disabled=True, expires_at_us=START_US)
    store.write(partial(identity_changes.change_identity, name="bob", settings=ended, fields=ALL))

    configure(store)

    assert is_usable(store, "KEYBOB")


# --- access keys ---


def test_a_key_is_made_once_and_never_in_the_past(store: Store) -> None:
    make(store)

    made = make_key(store, expires_at_us=START_US + 1)

    assert (made.identity, made.is_usable, made.expires_at_us) == ("alice", True, START_US + 1)
    with pytest.raises(ResourceExists):
        make_key(store)
    with pytest.raises(MalformedField):
        make_key(store, "KEY2", expires_at_us=START_US)
    with pytest.raises(NoSuchResource):
        make_key(store, "KEY2", "nobody")


def test_keys_come_in_pages_of_one_identity_or_all(store: Store) -> None:
    make(store)
    make(store, "bob")
    for key, identity in (("C", "alice"), ("A", "alice"), ("B", "bob")):
        make_key(store, key, identity)

    def ids(identity: str | None, after: str) -> list[str]:
        unit = partial(access_keys.see_access_keys, identity=identity, after=after, count_max=2)
        return [each.access_key_id for each in store.read(unit)]

    assert ids(None, "") == ["A", "B"]
    assert ids(None, "B") == ["C"]
    assert ids("alice", "") == ["A", "C"]
    with pytest.raises(NoSuchResource):
        ids("nobody", "")


def test_a_key_can_be_used_while_it_and_its_identity_may(store: Store, clock: SetClock) -> None:
    make(store)
    make_key(store, expires_at_us=START_US + 10_000_000)
    change = partial(
        access_keys.change_access_key, access_key_id="KEY1", expires_at_us=None, sets_expiry=False
    )
    identity = partial(
        identity_changes.change_identity, name="alice", fields=frozenset({IdentityField.DISABLED})
    )

    store.write(partial(change, is_disabled=True))
    assert not is_usable(store)
    store.write(partial(change, is_disabled=False))
    assert is_usable(store)
    store.write(partial(identity, settings=IdentitySettings(role="", is_disabled=True)))
    assert not is_usable(store)
    store.write(partial(identity, settings=IdentitySettings(role="")))
    assert is_usable(store)
    clock.move(11)
    assert not is_usable(store)
    store.write(partial(change, is_disabled=None, sets_expiry=True))
    assert is_usable(store)


def test_requests_see_what_was_changed(store: Store) -> None:
    make(store)
    make_key(store)
    found = store.read(partial(identities.find_access_key, access_key_id="KEY1"))
    assert found is not None
    assert (found.identity, found.buckets, found.is_disabled) == ("alice", ("photos",), False)

    store.write(partial(access_keys.delete_access_key, access_key_id="KEY1"))

    assert store.read(partial(identities.find_access_key, access_key_id="KEY1")) is None


# --- tokens ---


def test_a_token_lives_by_its_hash_until_it_is_switched_off_ends_or_goes(
    store: Store, clock: SetClock
) -> None:
    made = make_token(store)
    find = partial(identities.find_admin_token, sha256=b"ops".ljust(32, b"-"))
    change = partial(admin_tokens.change_token, name="ops")

    assert made == store.read(partial(admin_tokens.see_token, name="ops"))
    assert store.read(find) is not None
    off = TokenSettings(role="", is_disabled=True)
    store.write(partial(change, settings=off, fields=frozenset({TokenField.DISABLED})))
    assert store.read(find) is None
    soon = TokenSettings(role="viewer", expires_at_us=START_US + 5_000_000)
    changed = store.write(partial(change, settings=soon, fields=frozenset(TokenField)))
    assert changed.settings == soon
    assert store.read(find) is not None
    clock.move(6)
    assert store.read(find) is None
    store.write(partial(admin_tokens.delete_token, name="ops"))
    with pytest.raises(NoSuchResource):
        store.write(partial(change, settings=soon, fields=frozenset(TokenField)))


def test_a_tokens_name_is_taken_once_and_its_end_lies_ahead(store: Store) -> None:
    make_token(store)

    with pytest.raises(ResourceExists):
        make_token(store)
    with pytest.raises(MalformedField):
        make_token(store, "late", TokenSettings(role="viewer", expires_at_us=START_US))

    seen = store.read(partial(admin_tokens.see_tokens, after="", count_max=10))
    assert [each.name for each in seen] == ["ops"]


# --- accounts ---


def test_accounts_are_made_once_and_come_in_pages(store: Store) -> None:
    make_account(store)
    made = store.write(partial(accounts.make_account, name="other"))

    listed = store.read(partial(accounts.list_accounts, after="", count_max=10))

    assert [(each.name, each.origin) for each in listed] == [
        ("main", Origin.CONFIG),
        ("other", Origin.API),
    ]
    assert made == listed[1]
    assert store.read(partial(accounts.list_accounts, after="main", count_max=1)) == [made]
    with pytest.raises(ResourceExists):
        store.write(partial(accounts.make_account, name="main"))
    with pytest.raises(NoSuchResource):
        store.read(partial(accounts.find_account_id, name="nobody"))
