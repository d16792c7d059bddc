# make demo   installs Luban alone and trains on real data      make test    installs the developers' tools, checks and tests
# make check  format, lint, types, import contracts, sizes      make format  mends what can be mended
# make slow   the tests that take longer                        make setup   Luban and the developers' tools
# make bench  installs the peers and measures every claim, about two hours on two cores; make bench-full: a day

PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo check test slow peers bench bench-full format clean

.venv/luban: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/developer: .venv/luban
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

setup: .venv/developer

demo: .venv/luban
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
	$(BIN)/python -m pytest -m slow --timeout 1200

peers: setup
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[bench]"

# Three pairs of each claim, whose runs give the test scores too; of some fewer epochs or rows than in a full run.
bench: peers
	$(BIN)/python benchmarks/mrpc.py --epochs 1 --score-epochs 1 --peers trainer trainer-bfloat16
	$(BIN)/python benchmarks/banking77.py --epochs 1 --score-epochs 1 --peers trainer trainer-bfloat16
	$(BIN)/python benchmarks/cifar10.py --rows 10000 --epochs 2 --score-rows 10000 --score-epochs 2 \
		--peers keras-jax keras-tensorflow lightning lightning-bf16
	$(BIN)/python benchmarks/mnist.py --peers keras-jax keras-tensorflow torch-dataloader torch-in-memory
	$(BIN)/python benchmarks/adult.py --peers keras-jax keras-tensorflow skorch
	$(BIN)/python benchmarks/frozen.py --rows 4096 --score-rows 4096
	set -e; for claim in predict start gemm profile_step audit datapath explain; do $(BIN)/python benchmarks/$$claim.py; done

bench-full: peers
	set -e; for claim in mrpc banking77 predict frozen mnist cifar10 adult start gemm profile_step audit datapath explain; do \
		$(BIN)/python benchmarks/$$claim.py; done

format: setup
	$(BIN)/ruff format src tests benchmarks
	$(BIN)/ruff check --fix src tests benchmarks

clean:
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
