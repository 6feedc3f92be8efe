#!/usr/bin/env bash
# Checks the protos: lint, format, no breaking change since main, and stubs that are what they would be generated as.
set -euo pipefail
bin=$1
"$bin/buf" lint
"$bin/buf" format --diff --exit-code proto

# What clients may have built on: main where this is a branch, main before its last commit where this is main. A clone
# may know main only as origin's; the first commit of all, and protos that no commit has yet, have nothing to break.
base=
for main in main origin/main; do
  if git rev-parse --verify --quiet "$main" >/dev/null; then
    base=$(git merge-base "$main" HEAD 2>/dev/null) || base=
    break
  fi
done
if [ -n "$base" ] && [ "$base" = "$(git rev-parse HEAD)" ]; then
  base=$(git rev-parse --verify --quiet HEAD~1) || base=
fi
if [ -n "$base" ] && git cat-file -e "$base:proto" 2>/dev/null && git cat-file -e "$base:buf.yaml" 2>/dev/null; then
  before=$(mktemp -d)
  trap 'rm -rf "$before"' EXIT
  # Unpacked rather than named to buf: it would clone, and finds no commits in a work tree that shares its store.
  git archive "$base" proto third_party buf.yaml | tar -x -C "$before"
  "$bin/buf" breaking --against "$before"
else
  echo "no earlier protos here to compare with" >&2
fi

fresh=$(mktemp -d)
trap 'rm -rf "$fresh" ${before:+"$before"}' EXIT
tools/generate_stubs.sh "$bin" "$fresh" >/dev/null
diff -r --exclude=__pycache__ gen "$fresh/gen"
