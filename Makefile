# Every target works on a fresh machine with Python 3.11 or newer; `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
# The system's own Python is built with profile-guided optimisation on Debian; others are not always.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3.11 /usr/bin/python3.12 /usr/bin/python3.13) python3)
DATA ?= data
# Processes that tests run in, side by side: one more than there are processors, as tests wait a lot.
JOBS ?= $(shell expr $$(nproc) + 1)
# A start takes a quarter less with compiled modules, whatever the shell says about keeping them.
export PYTHONDONTWRITEBYTECODE :=

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

setup: ## make .venv with everything that running and testing need
	@PYTHON="$(PYTHON)" tools/setup.sh $(VENV)

lock: ## write the locks of Python packages anew (needs uv)
	uv pip compile --generate-hashes --no-emit-index-url --no-annotate --no-header --universal \
	  --python-version 3.11 --prerelease if-necessary-or-explicit --group dev pyproject.toml -o requirements.lock -q --upgrade
	uv pip compile --generate-hashes --no-emit-index-url --no-annotate --no-header --universal \
	  --python-version 3.11 tests/clients/s3fs/requirements.in -o tests/clients/s3fs/requirements.lock -q --upgrade

run: setup ## initialise ./data once, then serve S3 on :9000 and the control API on :9001
	@tools/run.sh $(BIN) $(DATA)

test: setup ## every suite but the long forms
	$(BIN)/pytest -n $(JOBS) --dist worksteal

check: setup ## format, lint, types, imports, proto
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@tools/check_proto.sh $(BIN)

fmt: setup ## format code and protos
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/buf format -w proto

proto: setup ## generate gen/ from proto/
	@tools/generate_stubs.sh $(BIN)

ui: ## build the web UI (not built yet)
	@echo "the web UI is not built yet: docs/status.md says what is" >&2; exit 1

bench: setup ## measure against the limits of this machine (needs wrk and nginx)
	$(BIN)/python -m tests.bench.s3_bench
	$(BIN)/python -m tests.bench.s3_bench --database postgres
	$(BIN)/python -m tests.bench.backend_bench
	$(BIN)/python -m tests.bench.spread_bench
	$(BIN)/python -m tests.bench.spread_bench --database postgres
	$(BIN)/python -m tests.bench.metadata_bench --only-rows

test-clients: setup ## real clients at full size; a missing one is a failure
	PENSTOCK_CLIENTS=long $(BIN)/pytest tests/clients

fuzz: setup ## parsers of the wire under a hundred thousand odd inputs each, the served system under tens of thousands
	PENSTOCK_FUZZ_EXAMPLES=100000 $(BIN)/pytest --timeout=0 tests/unit/dataplane/fuzz
	PENSTOCK_FLIPS=20000 PENSTOCK_RANDOM_REQUESTS=50000 $(BIN)/pytest --timeout=0 tests/conformance/s3/test_http.py \
		tests/conformance/s3/test_random_requests.py

chaos: setup ## a hundred kills and two hundred power cuts at random moments, a model for long, registers under every harm, crowds of slow clients, 5 GiB objects, every trouble of every store
	PENSTOCK_CHAOS_KILLS=100 PENSTOCK_CHAOS_RELOADS=50 PENSTOCK_CHAOS_CUTS=200 PENSTOCK_MODEL_EXAMPLES=300 PENSTOCK_SLOW=500 \
	PENSTOCK_CHAOS_STORES=1 PENSTOCK_FAR_UPLOADS=200 PENSTOCK_MEMORY_GIB=5 PENSTOCK_LINEAR_OPERATIONS=20000 \
	PENSTOCK_BACKGROUND_KILLS=10 PENSTOCK_CHAOS_P99=1 PENSTOCK_NTH=all PENSTOCK_CHAOS_PLACES=1 PENSTOCK_SYNC_KILLS=2 $(BIN)/pytest tests/chaos
	PENSTOCK_HOWTOS=long $(BIN)/pytest tests/integration/docs/test_howtos.py

.PHONY: help setup lock run test check fmt proto ui bench fuzz chaos test-clients
