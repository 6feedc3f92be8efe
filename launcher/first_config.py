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


def config_text(deployment: Deployment, *, folder: Path, token_digest: str) -> str:
    """YAML that `load_settings` accepts in `folder`. Holds the secret key: the file is for its owner only.

    What lies below that folder is named from there, so that all of it can be moved at once.
    """

    def text(path: Path) -> str:
        return _text(path, folder)

    return f"""\
# Penstock. Every key is described in docs/reference/configuration.md; `penstock validate` names every problem here.
# Values may refer to the environment (${{env:NAME}}) and to files (${{file:PATH}}).
# Relative paths start where this file is.

node:
  # Volumes belong to this name: it stays, whatever the machine is called.
  name: {deployment.node}
  state_dir: {text(deployment.state_dir)}

listen:
  # Plain HTTP, for this machine only. For others: "0.0.0.0:{deployment.s3_port}", behind a proxy with TLS.
  s3: "127.0.0.1:{deployment.s3_port}"
  control: "127.0.0.1:{deployment.control_port}"
  metrics: "127.0.0.1:{deployment.metrics_port}"

database:
  driver: sqlite
  path: {text(deployment.database_file)}

keys:
  provider: file
  # Losing this file loses all sealed data: keep a copy elsewhere.
  path: {text(deployment.key_file)}

region: {deployment.region}

storage:
  default_scheme: copies({deployment.copy_count})
  # `all` seals objects before they are stored.
  seal: none

backends:
{_backends(deployment, folder)}
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


def _backends(deployment: Deployment, folder: Path) -> str:
    text = ""
    if deployment.copy_count > 1:
        text += "  # Each volume counts as failing alone. True only if each lies on a disk of its own.\n"
    for index, path in enumerate(deployment.volumes, start=1):
        text += f"  - name: v{index}\n    kind: volume\n    path: {_text(path, folder)}\n"
        if deployment.copy_count > 1:
            text += f"    failure_domain: v{index}\n"
    return text


def _text(path: Path, folder: Path) -> str:
    """A path in double quotes, as YAML and our references read it."""
    shown = f"./{path.relative_to(folder)}" if path.is_relative_to(folder) else str(path)
    return json.dumps(shown.replace("${", "$${"), ensure_ascii=False)
