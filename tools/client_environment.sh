#!/usr/bin/env bash
# Makes the environment of a client that cannot live in .venv, from its lock; quick when it stands.
#
# `tools/client_environment.sh s3fs` prints the Python to run; `tools/client_environment.sh javascript` the folder.
set -euo pipefail
cd "$(dirname "$0")/.."
name=$1
folder=$PWD/tests/clients/$name

made_from() { cat "$@" <(pwd) | sha256sum | cut -d ' ' -f 1; }

stands() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }

case $name in
s3fs)
  # Its async botocore pins another botocore than ours.
  environment=$folder/.venv
  made=$environment
  wanted=$(made_from "$folder/requirements.lock" tools/client_environment.sh)
  ;;
javascript)
  environment=$folder
  made=$folder/node_modules
  wanted=$(made_from "$folder/package.json" "$folder/package-lock.json" tools/client_environment.sh)
  ;;
*)
  echo "no client named '$name' has an environment of its own" >&2
  exit 2
  ;;
esac

# Two runs of the tests at once make it once.
exec 9>"$folder/.making"
flock 9
stamp=$made/.locked
if ! stands "$stamp" "$wanted"; then
  rm -rf "$made"
  if [ "$name" = s3fs ]; then
    .venv/bin/python -m venv --without-pip "$environment"
    pip=(.venv/bin/python -m pip)
    "${pip[@]}" --version >/dev/null 2>&1 || pip=("${PYTHON:-python3}" -m pip)
    "${pip[@]}" --python "$environment/bin/python" install --quiet --disable-pip-version-check --require-hashes \
      --no-deps --only-binary :all: -r "$folder/requirements.lock" >&2
  else
    (cd "$environment" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
  fi
  echo "$wanted" >"$stamp"
fi

if [ "$name" = s3fs ]; then echo "$environment/bin/python"; else echo "$environment"; fi
