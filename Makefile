# Two commands on a fresh clone: `make verify` (the main job) and `make test` (every test).
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: verify test lint bench setup

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

verify: $(STAMP)
	$(BIN)/ilr-check verify --claims core

test: $(STAMP)
	$(BIN)/python -m pytest -n auto -m "not nightly and not gpu" tests properties

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python -m pytest benchmarks --benchmark-only
