"""Of every value it is told who says it: nobody, the file, a reference, or a call."""

import base64
from pathlib import Path
from typing import Any

from engine.settings import live_to_document, settings_of
from engine.settings.sources import Provenance, live_sources, node_sources

TEXT = """\
node: {name: n1, state_dir: "${env:STATE}"}
listen: {metrics: "127.0.0.1:9091"}
database: {path: metadata.sqlite}
keys: {provider: inline, material: "${MASTER}"}
region: "${file:region}"
storage: {chunk_bytes: 32MiB}
backends:
  - {name: v1, kind: volume, path: volumes/v1}
  - {name: v2, kind: volume, path: volumes/v2, failure_domain: shelf-2, quota_bytes: "${QUOTA}"}
identities:
  - {name: app, account: main, access_key_id: AKA, secret_access_key: "${env:S}", role: writer, buckets: ["${B}"]}
"""
ENVIRON = {
    "STATE": "state",
    "MASTER": base64.b64encode(bytes(range(32))).decode(),
    "QUOTA": "1GiB",
    "S": "a-secret-0123456789",
    "B": "photos",
}


def told(folder: Path, *, is_of_file: bool = True) -> dict[str, Any]:
    (folder / "region").write_text("eu-test-1")
    settings = settings_of(TEXT.encode(), path=folder / "penstock.yaml", environ=ENVIRON)
    document = live_to_document(settings.live, lambda secret: secret)
    sources = [
        *node_sources(settings.node, settings.node_references),
        *live_sources(document, node="n1", is_of_file=is_of_file),
    ]
    assert len({each.path for each in sources}) == len(sources)
    return {each.path: each.reference or each.provenance for each in sources}


def test_every_value_has_its_source(tmp_path: Path) -> None:
    found = told(tmp_path)

    assert {
        "node.name": Provenance.FILE,
        "node.state_dir": "${env:STATE}",
        "listen.metrics": Provenance.FILE,
        "listen.s3": Provenance.DEFAULT,
        "processes.threads_short": Provenance.DEFAULT,
        "region": "${file:region}",
        "routing": Provenance.DEFAULT,
        "storage.chunk_bytes": Provenance.FILE,
        "storage.read_grace": Provenance.DEFAULT,
        "backends[v1].name": Provenance.FILE,
        "backends[v1].path": Provenance.FILE,
        "backends[v2].quota_bytes": "${QUOTA}",
        "backends[v1].verify_reads": Provenance.DEFAULT,
        "telemetry.log_level": Provenance.DEFAULT,
        "workers.cleanup.enabled": Provenance.DEFAULT,
        "identities[app].buckets": '["${B}"]',
    }.items() <= found.items()


def test_what_a_node_fills_in_is_nobodys_word(tmp_path: Path) -> None:
    found = told(tmp_path)

    assert found["backends[v1].failure_domain"] is Provenance.DEFAULT
    assert found["backends[v1].node"] is Provenance.DEFAULT
    assert found["backends[v2].failure_domain"] is Provenance.FILE


def test_the_reference_of_a_secret_is_hidden(tmp_path: Path) -> None:
    found = told(tmp_path)

    assert found["identities[app].secret_access_key"] == "***"
    assert found["keys.material"] == "***"


def test_what_no_file_has_said_a_call_has(tmp_path: Path) -> None:
    found = told(tmp_path, is_of_file=False)

    assert found["storage.chunk_bytes"] is Provenance.API
    assert found["listen.metrics"] is Provenance.FILE
