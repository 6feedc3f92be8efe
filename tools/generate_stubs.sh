#!/usr/bin/env bash
# Generates the Python stubs of proto/ into gen/, or into the gen/ of another folder.
set -euo pipefail
bin=$(cd "$1" && pwd)
out=${2:-.}
PATH="$bin:$PATH" "$bin/buf" generate -o "$out" 2>/dev/null
for folder in penstock penstock/admin penstock/admin/v1; do
  : > "$out/gen/$folder/__init__.py"
done
# The plugin writes service stubs for files without services too.
for stub in "$out"/gen/penstock/admin/v1/*_pb2_grpc.pyi; do
  [ -e "${stub%i}" ] || rm "$stub"
done
