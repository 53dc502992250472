# Vouch. `make help` lists what can be done; every target installs what it needs into .venv first.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

VENV    := .venv
BIN     := $(VENV)/bin
STAMP   := $(VENV)/.installed
EXTRAS  := embedded,dev
# Processes that share the tests; WORKERS=0: none beside pytest's own, as a debugger wants it.
WORKERS ?= 2
# The first interpreter that is new enough, the one we test with before others. PYTHON=… chooses another.
PYTHON  ?= $(shell for p in python3.11 python3.12 python3 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)

.PHONY: help install demo test test-fast test-long lint bench constraints clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

install: $(STAMP)  ## Create .venv and install Vouch with its exact dependencies

# Installed once, and again only when the requirements change. The index comes from pip's own configuration.
$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python" >&2; exit 1; }
	@echo "==> installing into $(VENV) with $$($(PYTHON) --version); the first time downloads a lot (see README)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	@$(BIN)/python -m pip install --disable-pip-version-check --no-deps Resemblyzer==0.1.4
	@touch $(STAMP)
	@echo "==> installed; $(BIN)/vouch --help"

demo: $(STAMP)  ## The whole story on this machine: enrol, consent, clone, verify, revoke, refused
	@$(BIN)/vouch demo

test-fast: $(STAMP)  ## While you write: no Ray, no compiler, no model, no PostgreSQL, no stamping
	@$(BIN)/python -m pytest -q -n $(WORKERS) tests/unit tests/contract -m "not (long or slow or ray or aws or postgresql)"

test: $(STAMP)  ## Every test but the long ones
	@$(BIN)/python -m pytest -n $(WORKERS) -m "not long"

test-long: $(STAMP)  ## Every test, with soaks, fuzzing and fault runs
	@$(BIN)/python -m pytest -n $(WORKERS)

lint: $(STAMP)  ## Style, types and the walls between the rooms
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(STAMP)  ## Measure engine, gate, stamp, serve and narrate; one JSON line per figure
	@for case in engine gate stamp serve narrate; do $(BIN)/vouch bench $$case; done

constraints: $(STAMP)  ## Write constraints.txt anew from what .venv holds
	@$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS),postgres,research]'
	@$(BIN)/python deploy/freeze.py > constraints.new && mv constraints.new constraints.txt

clean:  ## Remove what was built, installed or left by a demo
	rm -rf $(VENV) demo-output build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
