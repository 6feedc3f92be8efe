#!/usr/bin/env bash
# Makes a virtual environment with exactly what requirements.lock names, and this project in it; quick when it stands.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1
python=${PYTHON:-python3}
stamp=$venv/.locked

if ! command -v "$python" >/dev/null ||
  ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "Penstock needs Python 3.11 or newer, $python is none; set PYTHON=/path/to/python3.11" >&2
  exit 1
fi

# What the environment was made from: the lock, the entry points, and where it stands (an editable install is not moved).
wanted=$(cat requirements.lock pyproject.toml tools/setup.sh <(pwd) | sha256sum | cut -d ' ' -f 1)
if [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
  exit 0
fi

echo "making $venv: downloads some 210 MB the first time, which takes a minute or two" >&2
if [ ! -x "$venv/bin/python" ]; then
  rm -rf "$venv"
  if "$python" -c 'import ensurepip' 2>/dev/null; then
    "$python" -m venv "$venv"
  elif "$python" -m pip --version >/dev/null 2>&1; then
    # Debian ships venv without ensurepip; the system's pip can install into an environment that has none.
    "$python" -m venv --without-pip "$venv"
  else
    echo "this Python can make no virtual environment: run 'apt-get install python3-venv' (or python3-pip), then again" >&2
    exit 1
  fi
fi
pip=("$venv/bin/python" -m pip)
if ! "${pip[@]}" --version >/dev/null 2>&1; then
  pip=("$python" -m pip --python "$venv/bin/python")
fi

rm -f "$stamp"
if ! "${pip[@]}" install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: \
  -r requirements.lock; then
  echo "the packages of requirements.lock could not be installed, see above: is the package index in reach? Then run it again" >&2
  exit 1
fi
# hatchling builds the project and stands in the lock, so nothing is fetched here.
PATH="$(cd "$venv" && pwd)/bin:$PATH" "${pip[@]}" install --quiet --disable-pip-version-check --no-deps \
  --no-build-isolation --no-index -e .
echo "$wanted" > "$stamp"
