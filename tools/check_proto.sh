#!/usr/bin/env bash
# Checks the protos: lint, format, no breaking change against main, and stubs that are what they would be generated as.
set -euo pipefail
bin=$1
"$bin/buf" lint
"$bin/buf" format --diff --exit-code proto
if git rev-parse --verify --quiet main >/dev/null && git cat-file -e main:proto 2>/dev/null; then
  "$bin/buf" breaking --against '.git#branch=main'
fi
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
tools/generate_stubs.sh "$bin" "$fresh" >/dev/null
diff -r --exclude=__pycache__ gen "$fresh/gen"
