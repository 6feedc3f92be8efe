"""The text of a new deployment's configuration, with the comments that its reader will want."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """All that the configuration and the credentials of a new deployment say."""

    node: str
    state_dir: Path
    database_file: Path
    key_file: Path
    volumes: tuple[Path, ...]
    copy_count: int
    s3_port: int
    control_port: int
    metrics_port: int
    region: str
    access_key_id: str
    secret_access_key: str
    admin_token: str


def config_text(deployment: Deployment, *, token_digest: str) -> str:
    """YAML that `load_settings` accepts. Holds the secret key: the file is for its owner only."""
    return f"""\
# Penstock. Every key is described in docs/reference/configuration.md; `penstock validate` names every problem here.
# Values may refer to the environment (${{env:NAME}}) and to files (${{file:PATH}}).

node:
  # Volumes belong to this name: it stays, whatever the machine is called.
  name: {deployment.node}
  state_dir: {_text(deployment.state_dir)}

listen:
  # Plain HTTP, for this machine only. For others: "0.0.0.0:{deployment.s3_port}", behind a proxy with TLS.
  s3: "127.0.0.1:{deployment.s3_port}"
  control: "127.0.0.1:{deployment.control_port}"
  metrics: "127.0.0.1:{deployment.metrics_port}"

database:
  driver: sqlite
  path: {_text(deployment.database_file)}

keys:
  provider: file
  # Losing this file loses all sealed data: keep a copy elsewhere.
  path: {_text(deployment.key_file)}

region: {deployment.region}

storage:
  default_scheme: copies({deployment.copy_count})
  # `all` seals objects before they are stored.
  seal: none

backends:
{_backends(deployment)}
routing: spread

identities:
  - name: first
    account: main
    access_key_id: {deployment.access_key_id}
    secret_access_key: "{deployment.secret_access_key}"
    role: superuser

admin_tokens:
  # SHA-256 of the token; the token itself stands in credentials.json.
  - name: first
    role: admin
    sha256: "{token_digest}"
"""


def _backends(deployment: Deployment) -> str:
    text = ""
    if deployment.copy_count > 1:
        text += "  # Each volume counts as failing alone. True only if each lies on a disk of its own.\n"
    for index, path in enumerate(deployment.volumes, start=1):
        text += f"  - name: v{index}\n    kind: volume\n    path: {_text(path)}\n"
        if deployment.copy_count > 1:
            text += f"    failure_domain: v{index}\n"
    return text


def _text(path: Path) -> str:
    """A path in double quotes, as YAML and our references read it."""
    return json.dumps(str(path).replace("${", "$${"), ensure_ascii=False)
