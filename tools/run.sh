#!/usr/bin/env bash
# Initialises a data folder once, says how to use it, and serves it.
set -euo pipefail
bin=$1
data=$2
config=$data/penstock.yaml

if [ ! -e "$config" ]; then
  "$bin/penstock" init --data "$data" --out "$config" --yes
fi
"$bin/python" - "$data/credentials.json" <<'PY'
import json, sys
facts = json.load(open(sys.argv[1]))
print(f"""
S3 endpoint   {facts['endpoint']}
credentials   {sys.argv[1]}
try it        AWS_ACCESS_KEY_ID={facts['access_key_id']} \\
              AWS_SECRET_ACCESS_KEY=$(python3 -c 'import json;print(json.load(open("{sys.argv[1]}"))["secret_access_key"])') \\
              AWS_DEFAULT_REGION={facts['region']} aws --endpoint-url {facts['endpoint']} s3 mb s3://first
""", flush=True)
PY
exec "$bin/penstock" serve --config "$config"
