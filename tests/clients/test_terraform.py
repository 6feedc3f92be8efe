"""Terraform with the AWS provider: what it makes it finds unchanged, and its state is locked by a conditional put."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.conftest import missing
from tests.clients.running import run
from tests.support.served import Served

CONFIGURATION = Path(__file__).parent / "terraform"
PLUGINS = "/opt/tf-plugins", "/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins"


@pytest.fixture
def plugins() -> Path:
    """A folder that holds the provider: nothing is downloaded for it."""
    for folder in (os.environ.get("TF_PLUGIN_MIRROR", ""), *PLUGINS):
        if folder and next(Path(folder).glob("**/hashicorp/aws"), None):
            return Path(folder)
    missing("no folder here holds Terraform's AWS provider; TF_PLUGIN_MIRROR names one")
    raise AssertionError


@pytest.mark.timeout(420)
def test_what_is_applied_stays_without_drift_and_goes_away(
    tmp_path: Path,
    served: Served,
    client_environment: dict[str, str],
    tool: Callable[[str], str],
    plugins: Path,
) -> None:
    terraform = tool("terraform")
    work = tmp_path / "work"
    shutil.copytree(CONFIGURATION, work)
    s3 = served.client()
    s3.create_bucket(Bucket="terraform-state")
    environment = {**client_environment, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
    state = {
        "bucket": "terraform-state",
        "key": "state/one",
        "region": served.credentials.region,
        "endpoint": served.credentials.endpoint,
    }
    settings = [f"-backend-config={name}={value}" for name, value in state.items()]

    def call(*words: str) -> str:
        return run([terraform, f"-chdir={work}", *words], environment, timeout_s=180)

    call("init", "-input=false", "-no-color", f"-plugin-dir={plugins}", *settings)
    call("apply", "-auto-approve", "-input=false", "-no-color")
    call("plan", "-detailed-exitcode", "-input=false", "-no-color")
    first = json.loads(call("output", "-json"))["version_id"]["value"]
    call("apply", "-auto-approve", "-input=false", "-no-color", "-var=content=second")
    call("plan", "-detailed-exitcode", "-input=false", "-no-color", "-var=content=second")
    second = json.loads(call("output", "-json"))["version_id"]["value"]

    named = {"Bucket": "terraform-kept", "Key": "folder/ü +.txt"}
    assert first != second
    assert s3.get_object(**named)["Body"].read() == b"second"
    assert s3.get_object_tagging(**named)["TagSet"] == [{"Key": "owner", "Value": "terraform"}]
    assert s3.get_object(**named, VersionId=first)["Body"].read() == b"first"
    call("destroy", "-auto-approve", "-input=false", "-no-color")
    assert "terraform-kept" not in [each["Name"] for each in s3.list_buckets()["Buckets"]]
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="terraform-state")["Contents"]] == ["state/one"]
