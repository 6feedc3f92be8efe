"""Prints a deployment's credentials as shell exports, for `eval`: for aws and other S3 clients, and for adminctl."""

import argparse
import json
import shlex
from pathlib import Path

_VARIABLES = {
    "AWS_ENDPOINT_URL": "endpoint",
    "AWS_DEFAULT_REGION": "region",
    "AWS_ACCESS_KEY_ID": "access_key_id",
    "AWS_SECRET_ACCESS_KEY": "secret_access_key",
    "PENSTOCK_ENDPOINT": "control_address",
    "PENSTOCK_TOKEN": "admin_token",
}


def main() -> None:
    """Read the file that `penstock init` wrote."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("credentials", type=Path, help="credentials.json of a data folder")
    facts = json.loads(parser.parse_args().credentials.read_text())
    for variable, name in _VARIABLES.items():
        print(f"export {variable}={shlex.quote(facts[name])}")


if __name__ == "__main__":
    main()
