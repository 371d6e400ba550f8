# make demo | test | lint | bench | wheel; each prepares .venv when it is missing or out of date.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: help demo test lint format bench wheel clean

help:
	@echo "make demo    train, evaluate and explain a small network on drawn faces, into demo/"
	@echo "make test    run the tests"
	@echo "make lint    style, format and types, as in CI"
	@echo "make format  repair style and format"
	@echo "make bench   time a prediction, into results/"
	@echo "make wheel   build dist/mien-*.whl"

$(VENV)/.stamp: pyproject.toml hatch_build.py constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "mien needs Python 3.10 or newer, $(PYTHON) is older or missing: make PYTHON=python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[train,classical,parquet,video,study,web,explain,dev]'
	@touch $@

demo: $(VENV)/.stamp
	$(BIN)/mien demo --out demo

# one thread a worker: more of them on the same cores only wait for each other
test: $(VENV)/.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

lint: $(VENV)/.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/.stamp
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.stamp
	$(BIN)/python -m bench.runtime.predict

wheel: $(VENV)/.stamp
	$(BIN)/python -m pip wheel --disable-pip-version-check --no-deps --wheel-dir dist .

clean:
	rm -rf build dist demo .pytest_cache .mypy_cache .ruff_cache
