"""What starts and reloads do to a deployment is in the journal, from its first row on."""

import base64
from functools import partial
from pathlib import Path

import pytest

from engine.clock import uuid7
from engine.deployment.generation import Generations
from engine.deployment.ring import key_provider
from engine.metadata import backends
from engine.settings import load_settings
from tests.conformance.metadata.replaying import images_of, no_blobs, replayed, rows_told
from tests.conformance.metadata.watched import WatchedStore
from tests.support.engines import metadata_on, open_metadata
from tests.support.metadata import SetClock

CONFIG = """\
node: {name: n1, state_dir: state}
database: {path: metadata.sqlite}
keys: {provider: file, path: master.key}
debug: {allowed: true}
storage: {write_quorum: 1}
backends:
  - {name: m1, kind: memory}
  - {name: m2, kind: memory, quota_bytes: 1MiB}
identities:
  - {name: alice, account: main, access_key_id: AKIAALICE, secret_access_key: "kept-to-itself-01234", role: superuser}
  - {name: bob, account: main, access_key_id: AKIABOB, secret_access_key: "${BOB}", role: writer, buckets: [abc]}
admin_tokens:
  - {name: first, role: admin, sha256: "ABAB"}
buckets:
  - {name: abc, account: main, quota_bytes: 1MiB}
workers: {cleanup: {interval: 5s}}
""".replace("ABAB", "ab" * 32)

RELOADS: dict[str, tuple[str, str]] = {
    "nothing but a comment": ("debug:", "# Said again.\ndebug:"),
    "a secret": ("kept-to-itself-01234", "another-secret-98765"),
    "an access key": ("AKIABOB", "AKIAROBERT"),
    "a role and an account": (
        "account: main, access_key_id: AKIABOB",
        "account: other, access_key_id: AKIABOB",
    ),
    "an identity less": (next(line for line in CONFIG.splitlines() if "bob" in line) + "\n", ""),
    "a token of another name": ("first, role", "second, role"),
    "another bucket": (
        "{name: abc, account: main, quota_bytes: 1MiB}",
        "{name: xyz, account: main, seal: all}",
    ),
    "settings of a bucket": ("{name: abc, account: main, quota_bytes: 1MiB}", "{name: abc, account: main}"),
    "a quota and a failure domain": (
        "quota_bytes: 1MiB}\nid",
        "quota_bytes: 2MiB, failure_domain: rack}\nid",
    ),
    "a backend less": ("  - {name: m2, kind: memory, quota_bytes: 1MiB}\n", ""),
    "a volume more": (
        "  - {name: m1, kind: memory}",
        "  - {name: m1, kind: memory}\n  - {name: v1, kind: volume, path: v1}",
    ),
}


@pytest.mark.parametrize("name", RELOADS)
def test_a_reload_can_be_replayed(engine: str, tmp_path: Path, clock: SetClock, name: str) -> None:
    config = tmp_path / "penstock.yaml"
    key = tmp_path / "master.key"
    key.touch(0o600)
    key.write_bytes(base64.b64encode(bytes(range(32))))
    old, new = RELOADS[name]
    assert CONFIG.count(old) == 1
    (tmp_path / "lived").mkdir()
    (tmp_path / "empty").mkdir()
    with metadata_on(engine):
        lived, empty = (open_metadata(tmp_path / each, clock) for each in ("lived", "empty"))
        watched = WatchedStore(lived)

        for text, secret in (
            (CONFIG, "one"),
            (CONFIG, "two"),
            (CONFIG.replace(old, new), "two"),
            (CONFIG, "two"),
        ):
            clock.move(1)
            config.write_text(text)
            environ = {"BOB": f"out-of-the-environment-{secret}"}
            settings = load_settings(config, environ)
            provider = key_provider(settings.node.keys)
            Generations(watched, settings, provider, environ=environ, ids=uuid7).settle()
            for row in lived.read(backends.list_backends):
                watched.write(partial(backends.mark_registered, backend_id=row.backend_id))
        replayed(images_of(lived), empty, restore_blob=no_blobs)

        assert rows_told(empty) == rows_told(lived)
        lived.close()
        empty.close()
