# Two commands on a fresh clone: `make verify` (the main job) and `make test` (every test).
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
FAST := $(addprefix tests/unit/,theory stats evidence data optim questions reporting test_architecture.py test_registration.py test_seeds.py)

# `ilr-check verify --claims exact` and a plain `pytest properties/` draw 60 examples for each exact law.
EXAMPLES := --ilr-examples 8

.PHONY: verify test test-fast test-nightly lint bench setup

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

verify: $(STAMP)
	$(BIN)/ilr-check verify --claims core

test: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not nightly and not gpu" $(EXAMPLES) tests properties

# The tests of closed forms, statistics, records and architecture. They break most often and train nothing.
test-fast: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not nightly and not gpu" $(FAST)

test-nightly: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist worksteal -m "nightly and not gpu" tests properties
	$(BIN)/python -m pytest -m nightly benchmarks  # alone, because it compares speeds

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python -m pytest benchmarks --benchmark-only
