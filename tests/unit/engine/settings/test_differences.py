"""A difference names what changed and when it counts, and never a secret."""

from typing import Any

import pytest

from engine.errors import SealBroken
from engine.settings.differences import Change, Effect, Marks, live_changes, node_changes, redacted

V1 = {"name": "v1", "kind": "volume", "path": "/v1"}
V2 = {"name": "v2", "kind": "volume", "path": "/v2"}


def told(changes: list[Change]) -> list[tuple[str, Any, Any]]:
    return [(each.path, each.old, each.new) for each in changes]


def test_equal_documents_do_not_differ() -> None:
    assert live_changes({"backends": [V1]}, {"backends": [dict(V1)]}) == []


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ({"region": "a"}, {"region": "b"}, [("region", "a", "b")]),
        ({}, {"region": "b"}, [("region", None, "b")]),
        ({"storage": {"seal": "none"}}, {"storage": {}}, [("storage.seal", "none", None)]),
        (
            {"rate_limits": {"trusted_proxies": ["10.0.0.0/8"]}},
            {"rate_limits": {"trusted_proxies": []}},
            [("rate_limits.trusted_proxies", ["10.0.0.0/8"], [])],
        ),
        ({"backends": [V1]}, {"backends": [V1, V2]}, [("backends[v2]", None, V2)]),
        ({"backends": [V1, V2]}, {"backends": [V2]}, [("backends[v1]", V1, None)]),
        (
            {"backends": [V1, V2]},
            {"backends": [V1, {**V2, "quota_bytes": 5}]},
            [("backends[v2].quota_bytes", None, 5)],
        ),
    ],
)
def test_what_changed_is_named(old: Any, new: Any, changes: Any) -> None:
    assert told(live_changes(old, new)) == changes


def test_the_order_of_backends_is_a_change_and_that_of_names_is_none() -> None:
    assert told(live_changes({"backends": [V1, V2]}, {"backends": [V2, V1]})) == [
        ("backends", ["v1", "v2"], ["v2", "v1"])
    ]
    one, two = {"name": "a", "role": "x"}, {"name": "b", "role": "x"}
    assert live_changes({"identities": [one, two]}, {"identities": [two, one]}) == []


def test_secrets_are_compared_and_not_shown() -> None:
    marks = Marks()

    def document(secret: bytes) -> Any:
        return marks.of_document(
            {"identities": [{"name": "app", "secret_access_key": {"sealed": "aGlkZGVu"}}]}, lambda _: secret
        )

    assert live_changes(document(b"one"), document(b"one")) == []
    changes = live_changes(document(b"one"), document(b"two"))
    assert told(changes) == [("identities[app].secret_access_key", "***", "***")]
    (added,) = live_changes({"identities": []}, document(b"one"))
    assert added.new == {"name": "app", "secret_access_key": "***"}


def test_a_secret_that_cannot_be_opened_any_more_is_another_one() -> None:
    marks = Marks()
    sealed = {"identities": [{"name": "app", "secret_access_key": {"sealed": "aGlkZGVu"}}]}

    def gone(_: bytes) -> bytes:
        raise SealBroken("gone")

    before, after = marks.of_document(sealed, gone), marks.of_document(sealed, lambda _: b"one")

    assert [each.path for each in live_changes(before, after)] == ["identities[app].secret_access_key"]


def test_marks_of_two_makers_say_nothing_of_the_secret() -> None:
    assert Marks().mark(b"one") != Marks().mark(b"one")


def test_changes_of_a_node_count_after_a_restart() -> None:
    old = {"listen": {"s3": "a:1", "domains": []}, "processes": {"threads_short": 4}}
    new = {"listen": {"s3": "a:2", "domains": ["x"]}, "processes": {"threads_short": 5}}

    assert [(each.path, each.effect) for each in node_changes(old, new)] == [
        ("listen.domains", Effect.PROCESS_RESTART),
        ("listen.s3", Effect.NODE_RESTART),
        ("processes.threads_short", Effect.PROCESS_RESTART),
    ]


def test_a_document_is_shown_without_secrets_wherever_they_stand() -> None:
    document = {"keys": {"material": "m"}, "a": [{"password": "p", "name": "n"}], "sha256": ("x", "y")}

    assert redacted(document) == {
        "keys": {"material": "***"},
        "a": [{"password": "***", "name": "n"}],
        "sha256": "***",
    }
