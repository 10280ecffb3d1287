# Earshot. `make help` says what there is to do; each target installs what it needs first.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help install demo test bench check lock clean

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps

# The python3 of the machine if it is one that we support, else Debian's own.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(shell python3 -c '$(SUPPORTED)' 2>/dev/null && echo python3 || echo /usr/bin/python3)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input
# What is locked is everything: nothing else is fetched, neither to build nor to run.
LOCKED := $(PIP) --require-hashes --no-deps
OURSELVES := $(PIP) --no-deps --no-build-isolation --editable .

BENCHMARKS := $(patsubst benchmarks/%.py,%,$(shell grep -l __main__ benchmarks/*.py))
# Short runs; docs/benchmarks.md has the long ones.
SHORT_alarms_per_second := --seconds 5
SHORT_check_ins := --workers 500 --seconds 30
SHORT_decisions := --alarms 100
SHORT_live_delay := --pairs 1 10 --seconds 5
SHORT_mass_incident := --alarms 100 --seconds 20 --contacts 60 --customers 6 --patience 240
SHORT_memory := --calls 1000
SHORT_recorded_calls := --calls 100 400 --seconds 5
WORKERS ?= 2
# With real phones a test mostly waits for what is said.
CALLERS ?= 3

help:  ## say what there is to do
	@sed -n 's/^\([a-z]*\):.*## /  make \1 /p' Makefile | awk '{ printf "  %s %-8s", $$1, $$2; $$1 = $$2 = ""; print }'

install: $(STAMPS)/product  ## make .venv with Earshot in it

demo: install  ## play a whole alarm with simulated phones; ESCALATION=1, CHECK_IN=1: other stories; KEEP=1 leaves the service up
	@$(BIN)/earshot demo $(if $(KEEP),--keep) $(if $(ESCALATION),--escalation) $(if $(CHECK_IN),--check-in)

test: $(STAMPS)/development  ## pass every test, with real phones too
	$(BIN)/python -m pytest -n $(WORKERS) -m "not interop" -q
	$(BIN)/python -m pytest -n $(CALLERS) --dist loadfile -m "interop and not alone" -q
	$(BIN)/python -m pytest -m "interop and alone" -q

bench: $(STAMPS)/development  ## measure: recorded calls, calls a second, delay, store
	@set -e; $(foreach name,$(BENCHMARKS),echo "== $(name)"; $(BIN)/python -m benchmarks.$(name) $(SHORT_$(name));)

check: $(STAMPS)/development  ## lint, format, types, direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

lock: $(VENV)/tools/bin/uv  ## pin the newest versions that pyproject.toml allows
	$(call COMPILE,requirements.lock,--extra build)
	$(call COMPILE,requirements-dev.lock,--extra build --extra dev)

clean:  ## remove what make and the tools made; recordings and database stay
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

COMPILE = $(VENV)/tools/bin/uv pip compile pyproject.toml $(2) --output-file $(1) --upgrade --quiet \
	--universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock"

$(STAMPS)/python: deploy/debian-packages.txt
	@deploy/install-debian-packages deploy/debian-packages.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c '$(SUPPORTED)' || { echo "Python 3.11 to 3.13 is needed: make PYTHON=/path/to/python3" >&2; exit 2; }
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/product: requirements.lock pyproject.toml | $(STAMPS)/python
	@test -e $(STAMPS)/development || $(LOCKED) -r requirements.lock
	@test ! -e $(STAMPS)/development || $(LOCKED) -r requirements-dev.lock
	@$(OURSELVES)
	@touch $@
	@echo "Installed: $(BIN)/earshot --help"

$(STAMPS)/development: requirements-dev.lock deploy/debian-test-packages.txt $(STAMPS)/product
	@deploy/install-debian-packages deploy/debian-test-packages.txt
	@$(LOCKED) -r requirements-dev.lock
	@touch $@

$(VENV)/tools/bin/uv: | $(STAMPS)/python
	@$(BIN)/python -m venv $(VENV)/tools
	@$(VENV)/tools/bin/python -m pip install --quiet --disable-pip-version-check uv
