# make run      set everything up and run manifest.yaml
# make test     set everything up and pass every test
# make soak     the proofs of docs/renewal.md in full, some fifteen minutes
# make figures  the same, and put what came of it into that page
# make nightly  20,000 worlds in which everything goes wrong that may
PYTHON ?= python3
BIN := .venv/bin
# Kept, whatever is set: the tests start Python some hundred times, and without them each compiles the package anew.
export PYTHONDONTWRITEBYTECODE :=
# Two processes, each with a file at a time: what a file starts is started once (tests/conftest.py).
BESIDE := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: run test test-quick soak figures nightly lint clean help

run: .venv/.run
	@$(BIN)/connector run --jobs 2

test: lint .venv/.servers
	@$(BIN)/python -m pytest $(BESIDE) -m "not alone"
	@$(BIN)/python -m pytest tests/proof tests/store -m alone

# Without those that need servers, a registry or a second environment.
test-quick: .venv/.dev
	@$(BIN)/python -m pytest $(BESIDE) -m "not slow"

soak: .venv/.servers
	@$(BIN)/python -m tests.proof.figures

figures: .venv/.servers
	@$(BIN)/python -m tests.proof.figures --write

nightly: .venv/.dev
	@$(BIN)/python -m pytest tests/flow/test_machine.py --hypothesis-profile=nightly

lint: .venv/.dev
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy

# A stamp is older than pyproject.toml when what must be installed may have changed.
.venv/.run: pyproject.toml .ci/venv
	@.ci/venv "$(PYTHON)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/.dev: .venv/.run
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# Servers that others wrote, and a browser, for the tests that sign in to them.
.venv/.servers: .venv/.dev tests/servers/oidc/package-lock.json .ci/servers
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,servers]'
	@.ci/servers
	@touch $@

clean:
	rm -rf .venv out .connector build dist tests/servers/oidc/node_modules

help:
	@grep -E '^# ' Makefile | cut -c3-
