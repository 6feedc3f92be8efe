#!/usr/bin/env bash
# Initialises a data folder once, says how to use it, and serves it.
set -euo pipefail
bin=$1
data=$2
config=$data/penstock.yaml

if [ ! -e "$config" ]; then
  # Its last line says how to start it, which is what comes next here.
  "$bin/penstock" init --data "$data" --out "$config" --yes | sed '/^Start it with/d'
fi
endpoint=$("$bin/python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["endpoint"])' "$data/credentials.json")
cat <<TEXT

S3 endpoint   $endpoint
credentials   $data/credentials.json
requests      logged in $data/access.log
try it        once it says "serving", in another terminal, here:

  eval "\$(python3 tools/aws_environment.py $(printf %q "$data")/credentials.json)"
  $bin/aws s3 mb s3://first && $bin/aws s3 cp README.md s3://first/ && $bin/aws s3 ls s3://first/
  $bin/adminctl status

Ctrl-C stops.

TEXT
exec "$bin/penstock" serve --config "$config" >>"$data/access.log"
