# make demo   sets everything up and trains on real data        make test    sets everything up and runs all tests
# make check  format, lint, types, import contracts, sizes      make format  mends what can be mended
# make bench  installs the peers and measures every claim: hours on a laptop; docs/benchmarks.md has shorter ways

PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo check test slow bench format clean

setup: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

demo: setup
	$(BIN)/luban demo

check: setup
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/contract/test_house.py

test: check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2  # one thread a worker: two would wait for each other

slow: setup
	$(BIN)/python -m pytest -m slow

bench: setup
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[bench]"
	set -e; for claim in mrpc banking77 predict frozen mnist cifar10 adult start gemm profile_step; do \
		$(BIN)/python benchmarks/$$claim.py; done

format: setup
	$(BIN)/ruff format src tests benchmarks
	$(BIN)/ruff check --fix src tests benchmarks

clean:
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
