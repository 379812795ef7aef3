# Every target sets up what it needs in .venv, from python3 >= 3.11, make and the package index.
PYTHON ?= python3
BIN := .venv/bin
UV_VERSION := 0.13.9

.PHONY: demo test up down lint bench lock clean

demo: .venv/ready
	$(BIN)/python -m local demo

test: .venv/ready
	$(BIN)/tox run

up: .venv/ready
	$(BIN)/python -m local up --detach

down: .venv/ready
	$(BIN)/python -m local down

lint: .venv/ready
	$(BIN)/tox run -e lint

bench: .venv/ready
	$(BIN)/uv pip install --quiet --require-hashes --python $(BIN)/python -r requirements-bench.lock
	$(BIN)/python -m bench hot-path
	$(BIN)/python -m bench planner
	$(BIN)/python -m bench compaction
	$(BIN)/python -m bench memory
	$(BIN)/python -m bench scale --measure

.venv/ready: requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"Python 3.11 or newer is needed, {sys.executable} is {v[0]}.{v[1]}: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip sync --quiet --require-hashes --python $(BIN)/python requirements.lock
	@touch $@

# Resolve requirements*.in (this repository, its checks, measurements and readers) and lambdas/*/requirements.in (each function's layer) again.
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate
IN_THE_RUNTIME := $(addprefix --no-emit-package ,boto3 botocore s3transfer jmespath python-dateutil six urllib3)
lock: .venv/ready
	$(LOCK) --python-version 3.11 requirements.in -o requirements.lock
	$(LOCK) --python-version 3.11 -c requirements.lock requirements-checks.in -o requirements-checks.lock
	$(LOCK) --python-version 3.11 -c requirements.lock requirements-bench.in -o requirements-bench.lock
	$(LOCK) --python-version 3.11 -c requirements.lock -c requirements-bench.lock requirements-readers.in -o requirements-readers.lock
	$(LOCK) --python-version 3.11 requirements-rulepacks.in -o requirements-rulepacks.lock
	for list in lambdas/*/requirements.in; do \
	  $(LOCK) --python-version 3.11 -c requirements.lock $(IN_THE_RUNTIME) $$list -o $${list%.in}.txt || exit 1; done

clean:
	-test -x $(BIN)/python && $(BIN)/python -m local down
	rm -rf .venv .tox build .local .hypothesis .mypy_cache .pytest_cache .ruff_cache
