#!/usr/bin/env bash
# Initialises a data folder once, says how to use it, and serves it.
set -euo pipefail
bin=$1
data=$2
config=$data/penstock.yaml

if [ ! -e "$config" ]; then
  "$bin/penstock" init --data "$data" --out "$config" --yes
fi
endpoint=$("$bin/python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["endpoint"])' "$data/credentials.json")
cat <<TEXT

S3 endpoint   $endpoint
credentials   $data/credentials.json
try it        in another terminal, here:

  eval "\$(python3 tools/aws_environment.py $(printf %q "$data")/credentials.json)"
  $bin/aws s3 mb s3://first && $bin/aws s3 cp README.md s3://first/ && $bin/aws s3 ls s3://first/

Ctrl-C stops.

TEXT
exec "$bin/penstock" serve --config "$config"
